use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Map, Value, json};

/// How a command ends. The numbers from 64 on follow BSD's sysexits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// The question was answered with no: a policy with errors, receipts that do not verify.
    Refuted = 1,
    /// Arguments that make no sense together (clap ends with the same code).
    Usage = 2,
    /// A file that was given cannot be used.
    BadInput = 64,
    /// Something that is needed is not there or does not answer: Envoy, the module, the state directory.
    Unavailable = 69,
    /// A process that was started has failed.
    Failed = 70,
}

impl Exit {
    /// Every code with its meaning, for the reference.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Success, "done"),
        (Self::Refuted, "the answer is no: a policy has errors, receipts do not verify"),
        (Self::Usage, "the arguments make no sense"),
        (Self::BadInput, "a file that was given cannot be used"),
        (Self::Unavailable, "something that is needed is missing or does not answer"),
        (Self::Failed, "a process that was started has failed"),
    ];
}

/// Why a command could not do its work: what, where, and what to do about it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// What is wrong, in lower case.
    pub message: String,
    /// The file, and the place in it.
    pub place: Option<Box<Place>>,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// A place in a file.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Its text, if it could be read.
    pub source: String,
    /// Line and column, both from 1, if they are known.
    pub position: Option<(usize, usize)>,
    /// Path into the document, such as `rules[2].effect`; empty for the document itself.
    pub path: String,
}

impl Failure {
    /// A failure without a place.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), place: None, remedy: None }
    }

    /// A file that was named and cannot be read or written.
    pub fn file(action: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(Exit::BadInput, format!("cannot {action} `{}`: {error}", path.display()))
    }

    /// A file of this program's own that cannot be read or written.
    pub fn own_file(action: &str, path: &Path, error: &std::io::Error) -> Self {
        Self { exit: Exit::Unavailable, ..Self::file(action, path, error) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// For people: the message with the line it is about.
    pub fn render(&self) -> String {
        let title = match &self.place {
            Some(place) if !place.path.is_empty() => format!("{}: {}", place.path, self.message),
            _ => self.message.clone(),
        };
        let mut report =
            Level::ERROR.primary_title(title.as_str()).elements(Vec::<annotate_snippets::Message<'_>>::new());
        if let Some(place) = &self.place {
            let name = place.file.display().to_string();
            let start = place.position.map_or(0, |position| offset(&place.source, position));
            let end = word_end(&place.source, start);
            report = report.element(
                Snippet::source(place.source.as_str())
                    .path(name)
                    .annotation(AnnotationKind::Primary.span(start..end)),
            );
        }
        if let Some(remedy) = &self.remedy {
            report = report.element(Level::HELP.message(remedy.as_str()));
        }
        Renderer::plain().render(&[report])
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let mut error = Map::new();
        let mut add = |name: &str, value: Value| error.insert(name.to_owned(), value);
        add("message", json!(self.message));
        if let Some(place) = &self.place {
            // A path need not be UTF-8, and JSON must be.
            add("file", json!(place.file.to_string_lossy()));
            add("path", json!(place.path));
            if let Some((line, column)) = place.position {
                add("line", json!(line));
                add("column", json!(column));
            }
        }
        if let Some(remedy) = &self.remedy {
            add("remedy", json!(remedy));
        }
        json!({ "error": error })
    }
}

fn offset(source: &str, (line, column): (usize, usize)) -> usize {
    let start: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = source.get(start..).unwrap_or_default();
    start + rest.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum::<usize>()
}

fn word_end(source: &str, start: usize) -> usize {
    let rest = source.get(start..).unwrap_or_default();
    let length = rest.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len());
    start + length.max(usize::from(!rest.is_empty()))
}
