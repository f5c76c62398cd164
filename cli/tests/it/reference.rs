//! Pages of `docs/reference` that follow from the code.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use airlock_cli::{arguments::Arguments, failure::Exit};
use clap::CommandFactory;

use crate::golden;

const COMMANDS: &str = "\
# The command line

This page is made from the program itself: a test fails when they differ, and `UPDATE_GOLDEN=1 cargo nextest run -p
airlock-cli` writes it anew.

Results go to standard output, errors to standard error. With `--format json` both are one JSON document a line: a result
with the members of its command, an error as `{\"error\":{\"message\":…}}`, with `file`, `path`, `line` and `column` where the
error has a place in a file, and with `remedy` where one is known. `airlock up` prints a line when it listens, one for each
call, and one when the policy has changed.

";

#[test]
fn the_page_about_the_command_line_is_what_the_program_says() {
    let mut page = COMMANDS.to_owned();
    page += "## How a command ends\n\n| code | meaning |\n|---|---|\n";
    for (exit, meaning) in Exit::ALL {
        writeln!(page, "| {} | {meaning} |", exit as u8).unwrap();
    }
    let mut command = Arguments::command();
    command.build();
    describe(&mut command, "airlock", &mut page);
    golden::compare("docs/reference/cli.md", &page);
}

fn describe(command: &mut clap::Command, name: &str, page: &mut String) {
    write!(page, "\n## {name}\n\n```text\n").unwrap();
    for line in command.render_long_help().to_string().trim_end().lines() {
        writeln!(page, "{}", line.trim_end()).unwrap();
    }
    page.push_str("```\n");
    for subcommand in command.get_subcommands_mut().filter(|subcommand| subcommand.get_name() != "help") {
        let name = format!("{name} {}", subcommand.get_name());
        describe(subcommand, &name, page);
    }
}

/// Where the words are that refusals and verdicts give as their reason.
const SOURCES: [&str; 6] = [
    "crates/jose/src/dpop/error.rs",
    "crates/jose/src/error.rs",
    "crates/mcp/src/error.rs",
    "crates/mcp/src/transport.rs",
    "crates/policy/src/decision.rs",
    "filters",
];

/// Words of those files that look like reasons and are none.
const OTHER_WORDS: [&str; 31] = [
    "authorization_servers",
    "bearer_methods_supported",
    "default_authority",
    "default_clock_skew_seconds",
    "default_interval_ms",
    "default_keep_seconds",
    "default_path",
    "default_refresh_seconds",
    "default_timeout_ms",
    "default_unknown_key_seconds",
    "discovery_uri",
    "dns_san_peer_certificate",
    "dpop_bound_access_tokens_required",
    "dpop_signing_alg_values_supported",
    "error_description",
    "invalid_dpop_proof",
    "invalid_token",
    "jwks_uri",
    "keys_fetched",
    "keys_not_fetched",
    "plugin_root_id",
    "resource_documentation",
    "resource_metadata",
    "resource_name",
    "scopes_supported",
    "sha256_peer_certificate_digest",
    "snake_case",
    "subject_peer_certificate",
    "uri_san_peer_certificate",
    "use_dpop_nonce",
    "verify_signature",
];

/// Reasons of one word, which nothing tells from other words.
const ONE_WORD: [&str; 2] = ["observed", "unconfigured"];

#[test]
fn the_page_about_reasons_has_each_reason_of_the_code_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut words = BTreeSet::new();
    SOURCES.iter().for_each(|source| collect(&root.join(source), &mut words));
    let is_reason = |word: &String| match word.contains('_') {
        true => !OTHER_WORDS.contains(&word.as_str()),
        false => ONE_WORD.contains(&word.as_str()),
    };
    let reasons: BTreeSet<_> = words.iter().filter(|word| is_reason(word)).cloned().collect();
    let page = fs::read_to_string(root.join("docs/reference/reasons.md")).unwrap();
    let described: BTreeSet<_> = page
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    let missing: Vec<_> = reasons.difference(&described).collect();
    let stale: Vec<_> = described.difference(&reasons).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "not on the page: {missing:?}; not in the code: {stale:?}"
    );
    assert!(OTHER_WORDS.iter().all(|word| words.contains(*word)), "a word is no longer in the code");
}

/// Adds every string of lower-case words joined by underscores that stands in a source file before its tests.
fn collect(path: &Path, words: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if !["tests", "tests.rs", "benches", "examples"].iter().any(|name| path.ends_with(name)) {
                collect(&path, words);
            }
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        words.extend(code.split('"').filter(|text| is_word(text)).map(str::to_owned));
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut pages =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|page| root.join(page)).to_vec();
    gather_pages(&root.join("docs"), &mut pages);
    let mut broken = Vec::new();
    let mut links = 0;
    for page in &pages {
        let text = fs::read_to_string(page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            links += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let leads = match anchor {
                "" => target.exists(),
                anchor => fs::read_to_string(&target).is_ok_and(|text| headings(&text).contains(anchor)),
            };
            if !leads {
                broken.push(format!("{}: {link}", page.strip_prefix(root).unwrap().display()));
            }
        }
    }
    assert!(links > 50, "the links of the documentation are found");
    assert!(broken.is_empty(), "{broken:#?}");
}

fn gather_pages(directory: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather_pages(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

/// Anchors of a page's headings, as GitHub makes them.
fn headings(text: &str) -> BTreeSet<String> {
    let headings = text
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| line.trim_start_matches('#').trim());
    headings
        .map(|heading| {
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        })
        .collect()
}
