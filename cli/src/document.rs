use std::{
    fmt,
    io::Read,
    path::{Path, PathBuf},
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, MessageFormatter, Spanned, UserMessageFormatter};

use crate::failure::{Exit, Failure, Place};

/// Largest file that is read, bytes.
const FILE_BYTES: u64 = 4 << 20;

/// A YAML (or JSON) document that still knows where each of its values stands.
#[derive(Clone, Debug)]
pub struct Document {
    file: PathBuf,
    source: String,
    root: Node,
}

#[derive(Clone, Debug)]
struct Node {
    position: (usize, usize),
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Scalar(Value),
    Sequence(Vec<Node>),
    Mapping(Vec<(String, Node)>),
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// A [`Failure`] that names the file, and for bad YAML the line.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let mut source = String::new();
        std::fs::File::open(file)
            .and_then(|open| open.take(FILE_BYTES + 1).read_to_string(&mut source))
            .map_err(|error| Failure::file("read", file, &error))?;
        if source.len() as u64 > FILE_BYTES {
            let message = format!("`{}` has more than the {FILE_BYTES} bytes that are read", file.display());
            return Err(Failure::new(Exit::BadInput, message));
        }
        Self::parse(file, source)
    }

    /// Parses a document that comes from `file`.
    ///
    /// # Errors
    /// A [`Failure`] with the line of what is no YAML.
    pub fn parse(file: &Path, source: String) -> Result<Self, Failure> {
        let parsed = serde_saphyr::from_str::<Spanned<Content>>(&source);
        match parsed {
            Ok(root) => Ok(Self { file: file.to_owned(), root: Node::from(root), source }),
            Err(error) => {
                let position = error.location().and_then(position);
                // Without the place, which is shown beside it, and in words for people who write YAML.
                let message = UserMessageFormatter.format_message(error.without_snippet()).into_owned();
                let message = message.lines().next().unwrap_or_default().to_owned();
                let place = Place { file: file.to_owned(), source, position, path: String::new() };
                Err(Failure { place: Some(Box::new(place)), ..Failure::new(Exit::BadInput, message) })
            }
        }
    }

    /// The document as JSON.
    pub fn to_json(&self) -> Value {
        self.root.to_json()
    }

    /// Line and column of what `path` names, such as `rules[2].effect`, both from 1; of the nearest thing around it if
    /// it does not exist.
    pub fn position(&self, path: &str) -> (usize, usize) {
        let mut node = &self.root;
        for step in steps(path) {
            let next = match (&node.content, step) {
                (Content::Mapping(members), Step::Member(name)) => {
                    members.iter().find(|(key, _)| key == name).map(|(_, node)| node)
                }
                (Content::Sequence(items), Step::Item(index)) => items.get(index),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.position
    }

    /// The place of what `path` names.
    pub fn place(&self, path: &str) -> Place {
        Place {
            file: self.file.clone(),
            source: self.source.clone(),
            position: Some(self.position(path)),
            path: path.to_owned(),
        }
    }

    /// A failure at the place that `path` names.
    pub fn failure(&self, path: &str, message: impl Into<String>) -> Failure {
        Failure { place: Some(Box::new(self.place(path))), ..Failure::new(Exit::BadInput, message) }
    }
}

enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split(['.', '[']).filter(|step| !step.is_empty()).map(|step| {
        match step.strip_suffix(']').and_then(|index| index.parse().ok()) {
            Some(index) => Step::Item(index),
            None => Step::Member(step),
        }
    })
}

impl Node {
    fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Content::Mapping(members) => Value::Object(
                members.iter().map(|(name, node)| (name.clone(), node.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }
}

impl From<Spanned<Content>> for Node {
    fn from(spanned: Spanned<Content>) -> Self {
        Self { position: position(spanned.referenced).unwrap_or((1, 1)), content: spanned.value }
    }
}

fn position(location: Location) -> Option<(usize, usize)> {
    let (line, column) = (usize::try_from(location.line()).ok()?, usize::try_from(location.column()).ok()?);
    (line > 0).then_some((line, column))
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Content, E> {
        Number::from_f64(value)
            .map(|number| Content::Scalar(Value::Number(number)))
            .ok_or_else(|| E::custom("numbers must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(Value::String(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        Content::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element::<Spanned<Content>>()? {
            items.push(item.into());
        }
        Ok(Content::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Spanned<Content>>()? {
            members.push((name, value.into()));
        }
        Ok(Content::Mapping(members))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(source: &str) -> Document {
        Document::parse(Path::new("policy.yaml"), source.to_owned()).unwrap()
    }

    #[test]
    fn a_document_reads_as_json() {
        let document =
            document("version: 1\nratio: 0.5\nrules:\n  - { name: a, on: true, none: null }\n  - []\n");
        let expected = json!({
            "version": 1, "ratio": 0.5, "rules": [{ "name": "a", "on": true, "none": null }, []]
        });
        assert_eq!(document.to_json(), expected);
    }

    #[test]
    fn every_value_knows_its_place() {
        let document = document("version: 1\nrules:\n  - name: a\n    effect: alow\n");
        for (path, position) in [
            ("version", (1, 10)),
            ("rules[0].effect", (4, 13)),
            ("rules[0].missing", (3, 5)),
            ("rules[7]", (3, 3)),
            ("", (1, 1)),
        ] {
            assert_eq!(document.place(path).position, Some(position), "{path}");
        }
    }

    #[test]
    fn an_error_shows_the_line() {
        let shown = document("version: 1\nrules:\n  - name: a\n    effect: alow\n")
            .failure("rules[0].effect", "unknown effect `alow`")
            .remedy("write `allow` or `deny`")
            .render();
        assert!(shown.contains("policy.yaml:4:13"), "{shown}");
        assert!(shown.contains("effect: alow"), "{shown}");
        assert!(shown.contains("write `allow` or `deny`"), "{shown}");
    }

    #[test]
    fn yaml_that_cannot_be_read_is_refused_with_its_line() {
        for source in ["a: [1,\nb: 2", "a: 1\na: 2", "a: .inf", "a: {b"] {
            let failure = Document::parse(Path::new("x.yaml"), source.to_owned()).unwrap_err();
            assert_eq!(failure.exit, Exit::BadInput);
            assert!(failure.place.unwrap().position.is_some(), "{source}");
        }
    }
}
