use airlock_receipt::{Effect, Record};

/// One line about a call, as `airlock up` prints it.
pub fn line(record: &Record) -> String {
    let who = record.who.subject.as_ref().map_or("anonymous", |subject| subject.as_str());
    let what = match (&record.what.method, &record.what.name) {
        (Some(method), Some(name)) => format!("{method} {name}"),
        (Some(method), None) => method.to_string(),
        (None, _) => record.what.http_method.to_string(),
    };
    let decision = match (record.decision.effect, record.decision.would_deny.first()) {
        (Effect::Deny, _) => "deny  ",
        (Effect::Allow, Some(_)) => "would deny",
        (Effect::Allow, None) => "allow ",
    };
    let reasons: Vec<String> = match record.decision.would_deny.as_slice() {
        [] => vec![reason(
            record.decision.reason.as_str(),
            record.decision.rule.as_ref().map(|rule| rule.as_str()),
        )],
        observed => observed
            .iter()
            .map(|verdict| reason(verdict.reason.as_str(), verdict.rule.as_ref().map(|rule| rule.as_str())))
            .collect(),
    };
    let status = record.outcome.status.map_or("-".to_owned(), |status| status.to_string());
    let milliseconds = record.duration_us.value() / 1_000;
    let mut line =
        format!("{decision} {status:>3} {milliseconds:>5} ms  {who}  {what}  ({})", reasons.join(", "));
    for (class, count) in &record.findings {
        let found = count.request.value() + count.response.value();
        line.push_str(&format!("  {class}: {found}"));
    }
    line
}

fn reason(code: &str, rule: Option<&str>) -> String {
    match rule {
        Some(rule) => format!("{code}: {rule}"),
        None => code.to_owned(),
    }
}
