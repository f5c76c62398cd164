//! The lines of `airlock up` about calls.

use airlock_cli::calls::line;
use airlock_receipt::Record;
use serde_json::{Value, json};

use crate::evidence::record;

fn shown(decision: &Value, status: u16) -> String {
    let mut json = serde_json::to_value(record("a", 1)).unwrap();
    json["decision"] = decision.clone();
    json["outcome"] = json!({ "status": status, "state": if decision["effect"] == "deny" { "denied" } else { "completed" } });
    json["findings"] = json!({ "card": { "request": 1, "response": 2 } });
    line(&serde_json::from_value::<Record>(json).unwrap())
}

#[test]
fn a_line_says_what_happened_and_why() {
    let observed =
        json!([{ "reason": "token_missing" }, { "reason": "policy_denied", "rule": "no-deletes" }]);
    for (decision, status, expected) in [
        (
            json!({ "effect": "allow", "reason": "policy_allowed", "rule": "readers", "mode": "enforce" }),
            200,
            "allow  200     1 ms  zoe  tools/call search  (policy_allowed: readers)  card: 3",
        ),
        (
            json!({ "effect": "deny", "reason": "policy_default", "mode": "enforce" }),
            200,
            "deny   200     1 ms  zoe  tools/call search  (policy_default)  card: 3",
        ),
        (
            json!({ "effect": "allow", "reason": "observed", "mode": "observe", "would_deny": observed }),
            200,
            "would deny 200     1 ms  zoe  tools/call search  (token_missing, policy_denied: no-deletes)  card: 3",
        ),
        (
            json!({ "effect": "deny", "reason": "json_syntax", "mode": "enforce", "would_deny": observed }),
            400,
            "deny   400     1 ms  zoe  tools/call search  (json_syntax)  card: 3",
        ),
    ] {
        assert_eq!(shown(&decision, status), expected);
    }
}
