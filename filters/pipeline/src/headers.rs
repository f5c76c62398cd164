/// The header lines of a request or a response as the proxy delivered them: names in lower case, values as raw bytes.
///
/// HTTP allows bytes beyond ASCII in values (RFC 9110 section 5.5), so nothing here assumes UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Vec<u8>, Vec<u8>)>);

/// A header that may stand only once was sent on several lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl Headers {
    /// Wraps header lines; names are expected in lower case, as HTTP/2 and Envoy deliver them.
    pub fn new(lines: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        Self(lines)
    }

    /// All lines in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The value of a header that may be sent once.
    ///
    /// # Errors
    /// [`Repeated`] when there is more than one line of that name, even if they are equal: two readers could take
    /// different ones.
    pub fn one(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        let mut values = self.iter().filter(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Repeated),
            (value, None) => Ok(value),
        }
    }

    /// The value of `name` as text when it stands exactly once and is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.one(name).ok().flatten().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether any line has that name.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|(key, _)| key == name.as_bytes())
    }

    /// Sets `name` to one line with `value`, in the place of the first line of that name.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        match self.0.iter().position(|(key, _)| key == name.as_bytes()) {
            Some(first) => {
                let mut index = 0;
                self.0.retain_mut(|(key, old)| {
                    let here = index;
                    index += 1;
                    if key != name.as_bytes() {
                        return true;
                    }
                    if here == first {
                        *old = value.to_vec();
                    }
                    here == first
                });
            }
            None => self.0.push((name.as_bytes().to_vec(), value.to_vec())),
        }
    }

    /// Removes every line of that name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name.as_bytes());
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Headers {
    fn from(lines: [(&str, &str); N]) -> Self {
        Self(
            lines.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_header_is_never_read_as_one_value() {
        let headers = Headers::from([("mcp-method", "ping"), ("mcp-method", "ping")]);
        assert_eq!(headers.one("mcp-method"), Err(Repeated));
        assert_eq!(headers.text("mcp-method"), None);
        assert!(headers.contains("mcp-method"));
    }

    #[test]
    fn setting_replaces_every_line_and_keeps_the_place_of_the_first() {
        let mut headers = Headers::from([("a", "1"), ("b", "2"), ("a", "3")]);
        headers.set("a", b"4");
        headers.set("c", b"5");
        assert_eq!(headers, Headers::from([("a", "4"), ("b", "2"), ("c", "5")]));
        headers.remove("a");
        assert_eq!(headers, Headers::from([("b", "2"), ("c", "5")]));
    }
}
