use airlock_receipt::{Code, Effect, Name, Record};

/// One line about a call, as `airlock up` prints it.
pub fn line(record: &Record) -> String {
    let who = record.who.subject.as_ref().map_or("anonymous", |subject| subject.as_str());
    let what = match (&record.what.method, &record.what.name) {
        (Some(method), Some(name)) => format!("{method} {name}"),
        (Some(method), None) => method.to_string(),
        (None, _) => record.what.http_method.to_string(),
    };
    let verdict = &record.decision;
    let (decision, reasons) = match (verdict.effect, verdict.would_deny.as_slice()) {
        (Effect::Allow, would_deny @ [_, ..]) => {
            let reasons = would_deny.iter().map(|denial| reason(&denial.reason, denial.rule.as_ref()));
            ("would deny", reasons.collect::<Vec<_>>().join(", "))
        }
        (effect, _) => {
            let decision = if effect == Effect::Deny { "deny  " } else { "allow " };
            (decision, reason(&verdict.reason, verdict.rule.as_ref()))
        }
    };
    let status = record.outcome.status.map_or("-".to_owned(), |status| status.to_string());
    let milliseconds = record.duration_us.value() / 1_000;
    let mut line = format!("{decision} {status:>3} {milliseconds:>5} ms  {who}  {what}  ({reasons})");
    for (class, count) in &record.findings {
        let found = count.request.value() + count.response.value();
        line.push_str(&format!("  {class}: {found}"));
    }
    line
}

fn reason(code: &Code, rule: Option<&Name<128>>) -> String {
    match rule {
        Some(rule) => format!("{code}: {rule}"),
        None => code.to_string(),
    }
}
