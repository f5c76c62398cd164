//! The bodies that are measured: what agents send, varied enough that no branch can be learnt by heart.

use std::fmt::Write;

/// Bodies of about this many bytes are compared with one another.
pub(crate) const USUAL: usize = 16 << 10;

/// A kind of `tools/call`, written in any size.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// Adds one more piece of the arguments.
    add: fn(&mut String, &mut Chance),
    before: &'static str,
    after: &'static str,
}

/// The call that stands for the others: an agent writes a source file, and says what it is.
pub(crate) const TYPICAL: Shape = Shape {
    name: "typical: a file and its metadata",
    add: source,
    before: r#""path":"services/signer/src/store.rs","encoding":"utf-8","createDirectories":true,"mode":420,"reason":"Keep the writer's batch within one transaction — see the review","labels":["storage","signer"],"content":"// Naïve on purpose.\n"#,
    after: r#"","edits":[{"line":12,"column":5,"old":"pending","new":"batch"},{"line":40,"column":9,"old":"commit()","new":"commit(batch)?"},{"line":41,"column":9,"old":"","new":"drop(lock);"},{"line":118,"column":21,"old":"usize","new":"u64"}],"expected":{"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","bytes":14822},"dryRun":false"#,
};

/// What calls are made of, each alone.
pub(crate) const USUAL_SHAPES: [Shape; 5] = [
    TYPICAL,
    Shape { name: "one long text", add: prose, before: r#""text":""#, after: "\"" },
    Shape { name: "source code, escaped", add: source, before: r#""content":""#, after: "\"" },
    Shape { name: "nested records", add: record, before: r#""rows":["#, after: "null]" },
    Shape { name: "Japanese text", add: japanese, before: r#""text":""#, after: "\"" },
];

/// What an attacker sends to make reading expensive.
pub(crate) const HOSTILE_SHAPES: [Shape; 9] = [
    Shape { name: "short names in one object", add: name, before: r#""x":{"#, after: "\"\":0}" },
    Shape { name: "names that begin alike", add: similar_name, before: r#""x":{"#, after: "\"\":0}" },
    Shape { name: "names that differ in the middle", add: middle_name, before: r#""x":{"#, after: "\"\":0}" },
    Shape { name: "names of one length, long", add: long_name, before: r#""x":{"#, after: "\"\":0}" },
    Shape { name: "escaped names", add: escaped_name, before: r#""x":{"#, after: "\"\":0}" },
    Shape { name: "escapes only", add: escapes, before: r#""x":""#, after: "\"" },
    Shape { name: "surrogate pairs only", add: pairs, before: r#""x":""#, after: "\"" },
    Shape { name: "empty containers, nested 56 deep", add: containers, before: r#""x":["#, after: "0]" },
    Shape { name: "numbers of 17 digits", add: long_number, before: r#""x":["#, after: "0]" },
];

impl Shape {
    /// A whole body of at least `size` bytes, and little more.
    pub(crate) fn body(&self, size: usize) -> Vec<u8> {
        let mut body = String::with_capacity(size + 1_000);
        body.push_str(
            r#"{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"write_file","arguments":{"#,
        );
        body.push_str(self.before);
        let end = r#"},"_meta":{"progressToken":17,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
        while body.len() + self.after.len() + end.len() < size {
            (self.add)(&mut body, &mut chance);
        }
        body.push_str(self.after);
        body.push_str(end);
        body.into_bytes()
    }
}

/// The same choices in every run (xorshift64).
pub(crate) struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let index = usize::try_from(self.below(choices.len() as u64)).unwrap_or(0);
        choices.get(index).copied().unwrap_or_default()
    }
}

fn source(text: &mut String, chance: &mut Chance) {
    let indentation = chance.one_of(&["", "    ", "    ", "        ", "        ", "            "]);
    let line = chance.one_of(&[
        "pub fn append(&mut self, records: &[Record]) -> Result<Receipt, StoreError> {",
        "let transaction = self.connection.transaction()?;",
        "for record in records.iter().filter(|record| !record.is_empty()) {",
        "}",
        "}",
        "",
        "// The statement is prepared once: SQLite keeps it.",
        "transaction.execute(\\\"INSERT INTO receipts VALUES (?1, ?2)\\\", params![id, bytes])?;",
        "if let Some(last) = self.last.take() {",
        "return Err(StoreError::Closed);",
        "writeln!(output, \\\"{}\\\\t{}\\\", record.id, record.kind)?;",
        "let path = directory.join(\\\"receipts.db\\\");",
        "tracing::debug!(count = records.len(), \\\"committed\\\");",
        "match self.state {",
        "State::Open { since } => since.elapsed() < LIMIT,",
        "_ => false,",
        "use std::collections::BTreeMap;",
        "#[derive(Clone, Debug, PartialEq, Eq)]",
    ]);
    text.extend([indentation, line, "\\n"]);
}

fn prose(text: &mut String, chance: &mut Chance) {
    text.push_str(chance.one_of(&[
        "The quarterly figures are attached. ",
        "Totals differ from those of last week, and nobody has said why. ",
        "Please answer before Friday; ",
        "otherwise the report goes out as it is. ",
    ]));
}

fn japanese(text: &mut String, chance: &mut Chance) {
    text.push_str(chance.one_of(&[
        "今期の数字を添付します。",
        "合計が先週と異なりますが、理由は不明です。",
        "金曜日までにMCPゲートウェイの件をご返信ください。",
        "それ以外の場合はこのまま送付します。\\n",
    ]));
}

fn record(text: &mut String, chance: &mut Chance) {
    let id = chance.below(100_000);
    let name = chance.one_of(&["Ada Lovelace", "Grace Hopper", "Alan Turing", "Edsger W. Dijkstra", "Zuse"]);
    let paid = chance.one_of(&["true", "false", "null"]);
    let tag = chance.one_of(&["a", "late", "reminded twice"]);
    let amount = chance.below(1_000_000);
    let _ = write!(
        text,
        r#"{{"id":{id},"name":"{name}","email":"user{id}@example.com","amount":{amount}.25,"paid":{paid},"tags":["{tag}","b"]}},"#
    );
}

fn name(text: &mut String, _: &mut Chance) {
    let _ = write!(text, "\"{:x}\":0,", text.len());
}

fn similar_name(text: &mut String, _: &mut Chance) {
    let _ = write!(text, "\"{}{:06x}\":0,", "p".repeat(100), text.len());
}

fn middle_name(text: &mut String, _: &mut Chance) {
    let _ = write!(text, "\"pppppppp{:06x}pppppppp\":0,", text.len());
}

fn long_name(text: &mut String, chance: &mut Chance) {
    let _ = write!(text, "\"{:06x}{}\":0,", text.len(), "p".repeat(120));
    let _ = chance.below(2);
}

fn escaped_name(text: &mut String, _: &mut Chance) {
    let _ = write!(text, "\"\\u0061{:06x}\":0,", text.len());
}

fn escapes(text: &mut String, chance: &mut Chance) {
    text.push_str(chance.one_of(&["\\n", "\\\"", "\\\\", "\\u00e9", "\\/"]));
}

fn pairs(text: &mut String, chance: &mut Chance) {
    text.push_str(chance.one_of(&["\\ud83d\\ude00", "\\uD83D\\uDE01"]));
}

fn containers(text: &mut String, chance: &mut Chance) {
    let (open, close) = if chance.below(2) == 0 { ("[", "]") } else { ("{\"\":", "}") };
    text.push_str(&open.repeat(56));
    text.push_str(if open == "[" { "" } else { "0" });
    text.push_str(&close.repeat(56));
    text.push(',');
}

fn long_number(text: &mut String, chance: &mut Chance) {
    let _ = write!(
        text,
        "-0.{:09}{:08}e-{},",
        100_000_000 + chance.below(800_000_000),
        chance.below(99_999_999) + 1,
        chance.below(300)
    );
}
