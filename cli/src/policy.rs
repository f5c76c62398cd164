use airlock_policy::{Policy as Compiled, lint};
use serde_json::json;

use crate::{
    arguments::Policy,
    console::{Console, counted},
    document::Document,
    failure::{Exit, Failure},
};

/// `airlock policy`.
///
/// # Errors
/// A [`Failure`] with the place of what is wrong in the document.
pub fn run(command: &Policy, console: Console) -> Result<Exit, Failure> {
    let Policy::Lint { file } = command;
    // A file that cannot be read answers nothing; one whose text is wrong answers the question with no.
    let refuted = |failure: Failure| match failure.place {
        Some(_) => Failure { exit: Exit::Refuted, ..failure },
        None => failure,
    };
    let document = Document::read(file).map_err(refuted)?;
    let policy = Compiled::from_value(document.to_json())
        .map_err(|error| refuted(document.failure(&error.path, error.message)))?;
    let mut lines = Vec::new();
    let mut warnings = Vec::new();
    for warning in lint(&policy) {
        let (line, column) = document.position(&warning.path);
        let file = file.display();
        lines.push(format!("warning: {file}:{line}:{column}: {}: {}", warning.path, warning.message));
        warnings.push(
            json!({ "path": warning.path, "line": line, "column": column, "message": warning.message }),
        );
    }
    let rules = policy.document().rules.len();
    let found = counted(warnings.len() as u64, "warning");
    lines.push(format!("{}: valid, {}, {found}", file.display(), counted(rules as u64, "rule")));
    lines.push(format!("digest {}", policy.digest()));
    let json = json!({
        "valid": true,
        "file": file.to_string_lossy(),
        "rules": rules,
        "digest": policy.digest(),
        "warnings": warnings,
    });
    console.print(&lines.join("\n"), &json);
    Ok(Exit::Success)
}
