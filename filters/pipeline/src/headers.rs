use std::{fmt, ops::Range};

/// The header lines of a request or a response as the proxy delivered them: names in lower case, values as raw bytes.
///
/// HTTP allows bytes beyond ASCII in values (RFC 9110 section 5.5), so nothing here assumes UTF-8. The lines are spans of
/// one buffer, as every request has a dozen of them and few are looked at.
#[derive(Clone, Default)]
pub struct Headers {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

/// Where a line's name and value stand.
#[derive(Clone)]
struct Line {
    name: Range<usize>,
    value: Range<usize>,
}

/// A header that may stand only once was sent on several lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl Headers {
    /// Copies header lines; names are expected in lower case, as HTTP/2 and Envoy deliver them.
    pub fn new(lines: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        let mut headers = Self::default();
        for (name, value) in lines {
            headers.push(&name, &value);
        }
        headers
    }

    /// Header lines that stand in `bytes` at these places, each a name and a value; `None` if one is not there.
    pub fn within(bytes: Vec<u8>, places: Vec<(Range<usize>, Range<usize>)>) -> Option<Self> {
        let lines = places.into_iter().map(|(name, value)| Line { name, value }).collect::<Vec<_>>();
        let is_there = |range: &Range<usize>| bytes.get(range.clone()).is_some();
        lines
            .iter()
            .all(|line| is_there(&line.name) && is_there(&line.value))
            .then_some(Self { bytes, lines })
    }

    /// All lines in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|line| (self.at(&line.name), self.at(&line.value)))
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

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether any line has that name.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|(key, _)| key == name.as_bytes())
    }

    /// Sets `name` to one line with `value`, in the place of the first line of that name.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        let Some(first) = self.iter().position(|(key, _)| key == name.as_bytes()) else {
            return self.push(name.as_bytes(), value);
        };
        let value = self.append(value);
        let Self { bytes, lines } = self;
        let mut index = 0;
        lines.retain_mut(|line| {
            let here = index;
            index += 1;
            if here == first {
                line.value = value.clone();
            }
            here == first || bytes.get(line.name.clone()) != Some(name.as_bytes())
        });
    }

    /// Removes every line of that name.
    pub fn remove(&mut self, name: &str) {
        let Self { bytes, lines } = self;
        lines.retain(|line| bytes.get(line.name.clone()) != Some(name.as_bytes()));
    }

    fn push(&mut self, name: &[u8], value: &[u8]) {
        let line = Line { name: self.append(name), value: self.append(value) };
        self.lines.push(line);
    }

    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn at(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    /// Names only: values may be credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name))).finish()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Headers {
    fn from(lines: [(&str, &str); N]) -> Self {
        let mut headers = Self::default();
        for (name, value) in lines {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        headers
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
