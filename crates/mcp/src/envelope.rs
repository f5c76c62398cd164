//! From JSON to one message: which members there may be, and what they mean together.

use std::borrow::Cow;

use crate::error::{Fault, ParseErrorKind};
use crate::message::Span;
use crate::method::Names;
use crate::number::Numbers;
use crate::scan::{Form, Scanner, Value};
use crate::text::{Text, differs_in_case_only};
use crate::transport::ProtocolVersion;
use crate::{Id, InputRequest, Kind, Limits, Message, Method, ParseError};

const VERSION_IN_META: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_IN_META: &str = "io.modelcontextprotocol/clientCapabilities";
/// The error by which a server of revision 2025-11-25 asks for elicitation in the browser.
const URL_ELICITATION_REQUIRED: i64 = -32042;
const TOP_LEVEL: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
const IN_PARAMS: [&str; 8] =
    ["name", "uri", "taskId", "arguments", "_meta", "protocolVersion", "capabilities", "inputRequests"];
const IN_META: [&str; 2] = [VERSION_IN_META, CAPABILITIES_IN_META];
const IN_RESULT: [&str; 4] = ["resultType", "inputRequests", "protocolVersion", "capabilities"];
const IN_INPUT_REQUEST: [&str; 1] = ["method"];
const IN_ERROR: [&str; 1] = ["code"];

/// Reads the one message that `body` is, as a client sends it.
///
/// Top-level members other than the six of JSON-RPC are refused: MCP defines none, the official TypeScript SDKs refuse
/// them too, and a member that only one of two readers understands is a way past the other. Members that MCP does not
/// define yet go into `params`, `result` and `_meta`, which are open here as they are in the specification.
///
/// An `id` of `null` is accepted in an error only, as "unknown" (JSON-RPC 2.0 section 5): servers on the official
/// Python SDK send it.
///
/// # Errors
///
/// [`ParseError`] with the first thing that makes the body unreadable as JSON; for readable JSON the first thing that
/// makes it no acceptable message. Either is typically a broken client, or an attempt to be read in two ways.
pub fn parse(body: &[u8], limits: &Limits) -> Result<Message, ParseError> {
    Reader { body, limits, found: Found::default() }.read_with(Scanner::new(body, limits))
}

/// Reads the one message that `body` is, as a server sends it.
///
/// It differs from [`parse`] in one thing: numbers beyond what a double holds are accepted. Servers do put 64-bit ids
/// into results, where the reader of the result may lose a digit, but nobody decides on them.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_answer(body: &[u8], limits: &Limits) -> Result<Message, ParseError> {
    Reader { body, limits, found: Found::default() }
        .read_with(Scanner::new(body, limits).accepting(Numbers::Rounded))
}

/// The places of the messages in a batch (JSON-RPC 2.0 section 6), each of which has to be read for itself.
///
/// Batches exist in protocol version 2025-03-26 only, see [`crate::transport::allows_batch`].
///
/// # Errors
///
/// [`ParseError`] when `body` is no array of JSON values, is empty, or has more of them than [`Limits::batch`].
pub fn batch(body: &[u8], limits: &Limits) -> Result<Vec<Span>, ParseError> {
    let mut scanner = Scanner::new(body, limits).accepting(Numbers::Rounded);
    read_batch(&mut scanner, limits).map_err(|fault| ParseError {
        kind: fault.kind,
        offset: fault.offset,
        id: None,
    })
}

fn read_batch(scanner: &mut Scanner<'_>, limits: &Limits) -> Result<Vec<Span>, Fault> {
    let mut messages = Vec::new();
    if scanner.peek() != Some(b'[') {
        return Err(ParseErrorKind::RpcShape.at(scanner.position()));
    }
    scanner.enter()?;
    while scanner.next_element()? {
        let message = scanner.value()?;
        if messages.len() >= limits.batch {
            return Err(ParseErrorKind::RpcBatch.at(message.span.start));
        }
        messages.push(message.span);
    }
    scanner.finish()?;
    if messages.is_empty() { Err(ParseErrorKind::RpcShape.at(0)) } else { Ok(messages) }
}

struct Reader<'a> {
    body: &'a [u8],
    limits: &'a Limits,
    found: Found,
}

/// What one pass over the body has found. Meaning is given afterwards, because members come in any order.
#[derive(Default)]
struct Found {
    version: bool,
    id: Option<Id>,
    null_id: Option<usize>,
    method: Option<Value>,
    params: Option<Value>,
    result: Option<Value>,
    error: Option<Value>,
    name: Option<Value>,
    uri: Option<Value>,
    task: Option<Value>,
    arguments: Option<Value>,
    offered_version: Option<Value>,
    offered_capabilities: Option<Value>,
    meta_version: Option<Value>,
    meta_capabilities: Option<Value>,
    result_type: Option<Value>,
    input_requests: Vec<InputRequest>,
    error_code: Option<Value>,
    /// The first thing wrong with JSON that is fine as JSON. The pass goes on, to find the id and worse.
    fault: Option<Fault>,
}

impl<'a> Reader<'a> {
    fn read_with(mut self, scanner: Scanner<'a>) -> Result<Message, ParseError> {
        let read = self.read(scanner);
        let message = read.and_then(|()| self.message());
        let id = self.found.id;
        message.map(|message| Message { id: id.clone(), ..message }).map_err(|fault| ParseError {
            kind: fault.kind,
            offset: fault.offset,
            id,
        })
    }

    fn read(&mut self, mut scanner: Scanner<'a>) -> Result<(), Fault> {
        if [b"\xEF\xBB\xBF".as_slice(), b"\xFE\xFF", b"\xFF\xFE"]
            .iter()
            .any(|mark| self.body.starts_with(mark))
        {
            return Err(ParseErrorKind::JsonByteOrderMark.at(0));
        }
        match scanner.peek() {
            Some(b'{') => self.read_top_level(&mut scanner)?,
            first => {
                let kind =
                    if first == Some(b'[') { ParseErrorKind::RpcBatch } else { ParseErrorKind::RpcShape };
                let value = scanner.value()?;
                self.note(kind, value.span.start);
            }
        }
        scanner.finish()
    }

    fn read_top_level(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Fault> {
        let start = scanner.position();
        scanner.enter()?;
        loop {
            let name = match scanner.next_name() {
                Ok(Some(name)) => name,
                Ok(None) => break,
                Err(fault) => return Err(self.forget_ambiguous_id(fault)),
            };
            let first = scanner.peek();
            match self.known(name, &TOP_LEVEL, ParseErrorKind::RpcMemberCase) {
                Some("jsonrpc") => {
                    let value = scanner.value()?;
                    self.found.version = true;
                    if self.text(&value).as_deref() != Some("2.0") {
                        self.note(ParseErrorKind::RpcVersion, value.span.start);
                    }
                }
                Some("id") => {
                    let value = scanner.value()?;
                    self.read_id(&value);
                }
                Some("method") => self.found.method = Some(scanner.value()?),
                Some("params") if first == Some(b'{') => {
                    self.found.params = Some(self.read_object(scanner, Self::read_params)?);
                }
                Some("params") => {
                    let value = scanner.value()?;
                    self.note(ParseErrorKind::ParamsShape, value.span.start);
                    self.found.params = Some(value);
                }
                Some("result") if first == Some(b'{') => {
                    self.found.result = Some(self.read_object(scanner, Self::read_result)?);
                }
                Some("result") => self.found.result = Some(scanner.value()?),
                Some("error") if first == Some(b'{') => {
                    self.found.error = Some(self.read_object(scanner, Self::read_error)?);
                }
                Some("error") => self.found.error = Some(scanner.value()?),
                _ => {
                    let value = scanner.value()?;
                    self.note(ParseErrorKind::RpcShape, value.span.start);
                }
            }
        }
        if !self.found.version {
            self.note(ParseErrorKind::RpcVersion, start);
        }
        Ok(())
    }

    fn read_id(&mut self, value: &Value) {
        self.found.id = match value.form {
            Form::Number => integer(self.slice(&value.span)).map(Id::Number),
            Form::Text(_) => self.text(value).map(|text| Id::Text(text.into_owned())),
            _ => None,
        }
        .filter(|(Id::Number(text) | Id::Text(text))| text.len() <= self.limits.id_bytes);
        match value.form {
            Form::Null => self.found.null_id = Some(value.span.start),
            _ if self.found.id.is_none() => self.note(ParseErrorKind::RpcId, value.span.start),
            _ => {}
        }
    }

    /// Reads the object that begins here with `members`, which starts before its first member and ends with it.
    fn read_object(
        &mut self,
        scanner: &mut Scanner<'a>,
        members: impl FnOnce(&mut Self, &mut Scanner<'a>) -> Result<(), Fault>,
    ) -> Result<Value, Fault> {
        let start = scanner.position();
        scanner.enter()?;
        members(self, scanner)?;
        Ok(Value { span: start..scanner.position(), form: Form::Object })
    }

    fn read_params(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Fault> {
        while let Some(name) = scanner.next_name()? {
            let first = scanner.peek();
            let member = self.known(name, &IN_PARAMS, ParseErrorKind::ParamsMemberCase);
            if member == Some("_meta") && first == Some(b'{') {
                self.read_object(scanner, Self::read_meta)?;
                continue;
            }
            if member == Some("inputRequests") && first == Some(b'{') {
                self.read_object(scanner, Self::read_input_requests)?;
                continue;
            }
            let value = scanner.value()?;
            match member {
                Some("name") => self.found.name = Some(value),
                Some("uri") => self.found.uri = Some(value),
                Some("taskId") => self.found.task = Some(value),
                Some("arguments") => self.found.arguments = Some(value),
                Some("protocolVersion") => self.found.offered_version = Some(value),
                Some("capabilities") => self.found.offered_capabilities = Some(value),
                Some("_meta" | "inputRequests") => self.note(ParseErrorKind::ParamsShape, value.span.start),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_meta(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Fault> {
        while let Some(name) = scanner.next_name()? {
            let member = self.known(name, &IN_META, ParseErrorKind::ParamsMemberCase);
            let value = scanner.value()?;
            match member {
                Some(VERSION_IN_META) => self.found.meta_version = Some(value),
                Some(_) => self.found.meta_capabilities = Some(value),
                None => {}
            }
        }
        Ok(())
    }

    fn read_result(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Fault> {
        while let Some(name) = scanner.next_name()? {
            let first = scanner.peek();
            let member = self.known(name, &IN_RESULT, ParseErrorKind::ParamsMemberCase);
            if member == Some("inputRequests") && first == Some(b'{') {
                self.read_object(scanner, Self::read_input_requests)?;
                continue;
            }
            let value = scanner.value()?;
            match member {
                Some("resultType") => self.found.result_type = Some(value),
                Some("protocolVersion") => self.found.offered_version = Some(value),
                Some("capabilities") => self.found.offered_capabilities = Some(value),
                Some(_) => self.note(ParseErrorKind::RpcShape, value.span.start),
                None => {}
            }
        }
        Ok(())
    }

    /// What a result asks of the client, by the server's own keys.
    fn read_input_requests(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Fault> {
        while let Some(key) = scanner.next_name()? {
            let first = scanner.peek();
            let start = scanner.position();
            let mut method = None;
            if first == Some(b'{') {
                self.read_object(scanner, |reader, scanner| {
                    method = reader.read_method(scanner)?;
                    Ok(())
                })?;
            } else {
                scanner.value()?;
            }
            match method {
                Some(method) => {
                    let key = String::from_utf8_lossy(&key.decoded(self.body)).into_owned();
                    self.found.input_requests.push(InputRequest { key, method });
                }
                None => self.note(ParseErrorKind::RpcMethod, start),
            }
        }
        Ok(())
    }

    /// The method of an object whose other members do not matter.
    fn read_method(&mut self, scanner: &mut Scanner<'a>) -> Result<Option<String>, Fault> {
        let mut method = None;
        while let Some(name) = scanner.next_name()? {
            let member = self.known(name, &IN_INPUT_REQUEST, ParseErrorKind::RpcMemberCase);
            let value = scanner.value()?;
            if member.is_some() {
                method = self.short_text(&value, ParseErrorKind::RpcMethod, self.limits.name_bytes).ok();
            }
        }
        Ok(method)
    }

    fn read_error(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Fault> {
        while let Some(name) = scanner.next_name()? {
            let member = self.known(name, &IN_ERROR, ParseErrorKind::RpcMemberCase);
            let value = scanner.value()?;
            if member.is_some() {
                self.found.error_code = Some(value);
            }
        }
        Ok(())
    }

    /// Which of the known members it is, if any. Notes a name that a lenient parser would take for one of them.
    fn known(
        &mut self,
        name: Text,
        known: &[&'static str],
        lookalike: ParseErrorKind,
    ) -> Option<&'static str> {
        let written = name.decoded(self.body);
        let member = known.iter().find(|known| known.as_bytes() == written.as_ref()).copied();
        if member.is_none() && known.iter().any(|known| differs_in_case_only(&written, known)) {
            self.note(lookalike, name.start.saturating_sub(1));
        }
        member
    }

    /// Gives what was found its one meaning. The id is left to the caller.
    fn message(&mut self) -> Result<Message, Fault> {
        if let Some(fault) = self.found.fault {
            return Err(fault);
        }
        let found = &self.found;
        let mut message = Message {
            kind: self.kind()?,
            id: None,
            method: None,
            name: None,
            params: found.params.as_ref().map(|value| value.span.clone()),
            arguments: None,
            result: object(&found.result, ParseErrorKind::RpcShape)?,
            error: object(&found.error, ParseErrorKind::RpcShape)?,
            error_code: self.error_code()?,
            result_type: None,
            input_requests: found.input_requests.clone(),
            protocol_version: None,
            capabilities: None,
            length: self.body.len(),
        };
        if message.error_code == Some(URL_ELICITATION_REQUIRED) {
            let method = "elicitation/create".to_owned();
            message.input_requests.push(InputRequest { key: String::new(), method });
        }
        if found.result.is_some() {
            let short = |member: &Option<Value>| self.optional_text(member);
            message.result_type = short(&found.result_type)?;
            message.protocol_version = short(&found.offered_version)?;
            message.capabilities = object(&found.offered_capabilities, ParseErrorKind::RpcShape)?;
        }
        if let Some(method) = &found.method {
            let method = self.short_text(method, ParseErrorKind::RpcMethod, self.limits.name_bytes)?;
            message.protocol_version = self.protocol_version(&method)?;
            message.name = self.name(&method, message.protocol_version.as_deref())?;
            message.arguments = self.arguments(&method)?;
            message.capabilities = self.client_capabilities(&method)?;
            message.method = Some(method);
        }
        Ok(message)
    }

    fn kind(&self) -> Result<Kind, Fault> {
        let found = &self.found;
        let unknown_id = || found.null_id.unwrap_or(0);
        let members = (&found.method, &found.result, &found.error);
        match members {
            (Some(_), None, None) => match (&found.id, found.null_id) {
                (Some(_), _) => Ok(Kind::Request),
                (None, None) => Ok(Kind::Notification),
                (None, Some(offset)) => Err(ParseErrorKind::RpcId.at(offset)),
            },
            (None, Some(_), None) if found.params.is_none() => match found.id {
                Some(_) => Ok(Kind::Response),
                None => Err(ParseErrorKind::RpcId.at(unknown_id())),
            },
            (None, None, Some(_)) if found.params.is_none() => Ok(Kind::Error),
            _ => Err(ParseErrorKind::RpcShape.at(0)),
        }
    }

    /// What the call names. A method that names something is refused without it, unless the version that the message
    /// claims does not have the method: then the server will say so.
    fn name(&self, method: &str, version: Option<&str>) -> Result<Option<String>, Fault> {
        let (member, limit) = match Names::of(method) {
            Names::Nothing => return Ok(None),
            Names::Name => (&self.found.name, self.limits.name_bytes),
            Names::Uri => (&self.found.uri, self.limits.uri_bytes),
            Names::Task => (&self.found.task, self.limits.uri_bytes),
        };
        match member {
            Some(value @ Value { form: Form::Text(_), .. }) => {
                self.short_text(value, ParseErrorKind::ParamsName, limit).map(Some)
            }
            Some(value) => Err(ParseErrorKind::ParamsShape.at(value.span.start)),
            None if is_gone(method, version) => Ok(None),
            None => Err(ParseErrorKind::ParamsShape.at(self.params_start())),
        }
    }

    /// The arguments: an object where the method defines them, and whatever object has their name elsewhere.
    fn arguments(&self, method: &str) -> Result<Option<Span>, Fault> {
        match object(&self.found.arguments, ParseErrorKind::ParamsShape) {
            Err(_) if Names::of(method) != Names::Name => Ok(None),
            arguments => arguments,
        }
    }

    /// The version that the message claims. Two claims must not differ.
    fn protocol_version(&self, method: &str) -> Result<Option<String>, Fault> {
        let in_meta = self.optional_text(&self.found.meta_version)?;
        if method != "initialize" {
            return Ok(in_meta);
        }
        let offered = self.optional_text(&self.found.offered_version)?;
        if in_meta.is_some() && offered.is_some() && in_meta != offered {
            return Err(ParseErrorKind::ParamsShape.at(self.params_start()));
        }
        Ok(offered.or(in_meta))
    }

    /// The capabilities that a client declares, in the place where its method has them.
    fn client_capabilities(&self, method: &str) -> Result<Option<Span>, Fault> {
        let offered = object(&self.found.offered_capabilities, ParseErrorKind::ParamsShape);
        let in_meta = object(&self.found.meta_capabilities, ParseErrorKind::ParamsShape)?;
        if method == "initialize" { offered.map(|offered| offered.or(in_meta)) } else { Ok(in_meta) }
    }

    /// The code of an error, which has to be an integer (JSON-RPC 2.0 section 5.1).
    fn error_code(&self) -> Result<Option<i64>, Fault> {
        let Some(error) = &self.found.error else { return Ok(None) };
        let code = self.found.error_code.as_ref();
        code.and_then(|code| integer(self.slice(&code.span))?.parse().ok())
            .map(Some)
            .ok_or(ParseErrorKind::RpcShape.at(error.span.start))
    }

    fn optional_text(&self, member: &Option<Value>) -> Result<Option<String>, Fault> {
        member
            .as_ref()
            .map(|value| self.short_text(value, ParseErrorKind::ParamsShape, self.limits.name_bytes))
            .transpose()
    }

    /// A string that is not empty, not too long, and fit for headers and logs.
    fn short_text(&self, value: &Value, kind: ParseErrorKind, limit: usize) -> Result<String, Fault> {
        self.text(value)
            .filter(|text| !text.is_empty() && text.len() <= limit && !text.contains(char::is_control))
            .map(Cow::into_owned)
            .ok_or(kind.at(value.span.start))
    }

    /// A string value, decoded.
    fn text(&self, value: &Value) -> Option<Cow<'a, str>> {
        let Form::Text(text) = value.form else { return None };
        match text.decoded(self.body) {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        }
    }

    fn slice(&self, span: &Span) -> &'a [u8] {
        self.body.get(span.clone()).unwrap_or_default()
    }

    fn params_start(&self) -> usize {
        self.found.params.as_ref().map_or(0, |params| params.span.start)
    }

    fn note(&mut self, kind: ParseErrorKind, offset: usize) {
        self.found.fault.get_or_insert(kind.at(offset));
    }

    /// After a second `id` nobody can say which one the sender waits for.
    fn forget_ambiguous_id(&mut self, fault: Fault) -> Fault {
        if fault.kind == ParseErrorKind::JsonDuplicateKey {
            let repeated = Text::scan(self.body, fault.offset.saturating_add(1), self.limits.string_bytes);
            if repeated.is_ok_and(|name| name.decoded(self.body).as_ref() == b"id") {
                self.found.id = None;
            }
        }
        fault
    }
}

/// Whether the version has the method no longer.
fn is_gone(method: &str, version: Option<&str>) -> bool {
    let until = Method::of(method).and_then(|method| method.until);
    let version = version.and_then(ProtocolVersion::parse);
    until.zip(version).is_some_and(|(until, version)| version > until)
}

/// The span of a value that has to be an object.
fn object(value: &Option<Value>, kind: ParseErrorKind) -> Result<Option<Span>, Fault> {
    match value {
        None => Ok(None),
        Some(Value { span, form: Form::Object }) => Ok(Some(span.clone())),
        Some(value) => Err(kind.at(value.span.start)),
    }
}

/// The text of an integer that fits an `i64` and has no other spelling; `-0` has one.
fn integer(written: &[u8]) -> Option<String> {
    let written = std::str::from_utf8(written).ok()?;
    let canonical = written.parse::<i64>().ok()?.to_string();
    (canonical == written).then_some(canonical)
}
