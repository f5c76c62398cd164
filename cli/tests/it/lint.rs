//! `airlock policy lint`.

use crate::{command::Place, golden};

const VALID: &str = "\
version: 1
servers:
  - name: files
    path: /mcp
    tools: [{ name: search, operation: read }]
rules:
  - name: readers
    effect: allow
    operations: [read]
    scopes: [\"files:read\"]
";

#[test]
fn what_is_wrong_is_shown_with_its_place() {
    let place = Place::new();
    place.write("valid.yaml", VALID);
    place.write("warning.yaml", VALID.replace("    scopes: [\"files:read\"]\n", "    tools: [serch]\n"));
    place.write("misspelt.yaml", VALID.replace("effect: allow", "effect: alow"));
    place.write("unknown.yaml", VALID.replace("operations:", "operation:"));
    place.write("missing.yaml", VALID.replace("    effect: allow\n", ""));
    place.write("syntax.yaml", VALID.replace("[read]", "[read"));
    place.write("twice.yaml", VALID.replace("version: 1\n", "version: 1\nversion: 1\n"));
    place.write("empty.yaml", "");
    place.write("binary.yaml", b"version: \xff\n");
    place.write("large.yaml", vec![b'#'; (4 << 20) + 1]);
    place.write("deep.yaml", "[".repeat(100_000));
    place.write("json.json", r#"{"version": 1, "servers": [], "rules": [{"name": "r"}]}"#);

    let mut shown = String::new();
    for (file, exit) in [
        ("valid.yaml", 0),
        ("warning.yaml", 0),
        ("misspelt.yaml", 1),
        ("unknown.yaml", 1),
        ("missing.yaml", 1),
        ("json.json", 1),
        ("syntax.yaml", 1),
        ("twice.yaml", 1),
        ("empty.yaml", 1),
        ("binary.yaml", 64),
        ("large.yaml", 64),
        ("absent.yaml", 64),
    ] {
        let (transcript, told) = place.both(&["policy", "lint", file]);
        assert!(transcript.ends_with(&format!("exit {exit}\n\n")), "{transcript}");
        if exit == 1 {
            assert!(
                told.pointer("/error/line").is_some() && told.pointer("/error/column").is_some(),
                "{told}"
            );
        }
        shown += &transcript;
    }
    golden::compare("cli/tests/golden/lint.txt", &shown);
    assert_eq!(place.run(&["policy", "lint", "deep.yaml"]).exit, 1);
}

#[test]
fn a_warning_has_line_and_column_for_people_and_for_programs() {
    let place = Place::new();
    place.write("policy.yaml", VALID.replace("    scopes: [\"files:read\"]\n", ""));
    let (shown, told) = place.both(&["policy", "lint", "policy.yaml"]);
    assert!(shown.contains("warning: policy.yaml:7:5: rules[0]: "), "{shown}");
    assert_eq!(told["valid"], true);
    assert_eq!((&told["warnings"][0]["line"], &told["warnings"][0]["column"]), (&7.into(), &5.into()));
    assert!(shown.contains(told["digest"].as_str().unwrap()));
}

#[test]
fn the_policies_that_are_shipped_pass() {
    let place = Place::new();
    for name in ["everything-demo", "observe", "read-only"] {
        let file = format!("{}/../policies/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(place.run(&["policy", "lint", &file]).exit, 0, "{name}");
    }
}

#[test]
fn the_policy_in_the_guide_is_one_and_its_error_is_shown_as_it_is() {
    let guide = format!("{}/../docs/guides/security.md", env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(guide).unwrap();
    let policy =
        guide.split("```yaml tool-policy\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let place = Place::new();
    place.write("policy.yaml", policy);
    let ended = place.run(&["policy", "lint", "policy.yaml"]);
    assert!(
        ended.exit == 0 && ended.output.contains("3 rules, 0 warnings"),
        "{}{}",
        ended.output,
        ended.errors
    );

    place.write("policy.yaml", policy.replace("effect: deny", "effect: denny"));
    let shown = format!(
        "$ airlock policy lint policy.yaml\n{}```",
        place.run(&["policy", "lint", "policy.yaml"]).errors
    );
    assert!(guide.contains(&shown), "{shown}");
}
