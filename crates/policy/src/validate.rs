use std::collections::HashSet;

use crate::capability::Capabilities;
use crate::document::{Document, Rule, Server};
use crate::error::PolicyError;
use crate::limits;
use crate::pattern::is_plain;
use crate::server::Authority;

/// Checks everything about a document that its types do not say.
///
/// # Errors
/// The first mistake, in the order of the document.
pub(crate) fn validate(document: &Document) -> Result<(), PolicyError> {
    at_most("servers", document.servers.len(), limits::SERVERS)?;
    at_most("rules", document.rules.len(), limits::RULES)?;
    let mut names = HashSet::new();
    for (number, server) in document.servers.iter().enumerate() {
        let path = format!("servers[{number}]");
        unique(&path, &mut names, &server.name)?;
        check_server(&path, server)?;
    }
    let mut names = HashSet::new();
    for (number, rule) in document.rules.iter().enumerate() {
        let path = format!("rules[{number}]");
        unique(&path, &mut names, &rule.name)?;
        check_rule(&path, rule)?;
    }
    Ok(())
}

fn check_server(path: &str, server: &Server) -> Result<(), PolicyError> {
    identifier(&format!("{path}.name"), &server.name)?;
    endpoint(&format!("{path}.path"), &server.path)?;
    if let Some(host) = &server.host
        && (host.len() > limits::HOST_BYTES || Authority::parse(host).is_none())
    {
        let message = format!("`{host}` is not a host: write `mcp.example.com` or `mcp.example.com:8443`");
        return Err(PolicyError::new(format!("{path}.host"), message));
    }
    if let Some(capabilities) = &server.capabilities {
        check_capabilities(&format!("{path}.capabilities"), capabilities)?;
    }
    let Some(tools) = &server.tools else { return Ok(()) };
    let path = format!("{path}.tools");
    if tools.is_empty() {
        return Err(PolicyError::new(path, "the list is empty: leave it out, or list a tool"));
    }
    at_most(&path, tools.len(), limits::TOOLS_PER_SERVER)?;
    let mut names = HashSet::new();
    for (number, tool) in tools.iter().enumerate() {
        let path = format!("{path}[{number}]");
        unique(&path, &mut names, &tool.name)?;
        let path = format!("{path}.name");
        plain(&path, &tool.name)?;
        if tool.name.contains('*') {
            return Err(PolicyError::new(
                path,
                "a server lists its tools by exact name: `*` has no meaning here",
            ));
        }
    }
    Ok(())
}

fn check_capabilities(path: &str, capabilities: &Capabilities) -> Result<(), PolicyError> {
    let Capabilities { client, server } = capabilities;
    if client.is_none() && server.is_none() {
        return Err(PolicyError::new(path, "narrows nothing: leave it out, or add `client` or `server`"));
    }
    at_most(&format!("{path}.client"), client.as_ref().map_or(0, Vec::len), limits::ENTRIES_PER_LIST)?;
    at_most(&format!("{path}.server"), server.as_ref().map_or(0, Vec::len), limits::ENTRIES_PER_LIST)
}

fn check_rule(path: &str, rule: &Rule) -> Result<(), PolicyError> {
    identifier(&format!("{path}.name"), &rule.name)?;
    let selects_tools = rule.tools.is_some() || rule.operations.is_some();
    if !selects_tools && rule.methods.is_none() && rule.method_classes.is_none() {
        let message =
            "the rule selects nothing: it needs `tools`, `operations`, `methods` or `method_classes`";
        return Err(PolicyError::new(path, message));
    }
    each(path, "servers", rule.servers.as_deref(), limits::ENTRIES_PER_LIST, |_, _| Ok(()))?;
    each(path, "tools", rule.tools.as_deref(), limits::ENTRIES_PER_LIST, |path, name| plain(path, name))?;
    each(path, "operations", rule.operations.as_deref(), limits::ENTRIES_PER_LIST, |_, _| Ok(()))?;
    each(path, "methods", rule.methods.as_deref(), limits::ENTRIES_PER_LIST, |path, name| {
        method(path, name)
    })?;
    each(path, "method_classes", rule.method_classes.as_deref(), limits::ENTRIES_PER_LIST, |_, _| Ok(()))?;
    each(path, "scopes", rule.scopes.as_deref(), limits::SCOPES_PER_RULE, |path, name| scope(path, name))?;
    each(path, "subjects", rule.subjects.as_deref(), limits::ENTRIES_PER_LIST, |path, name| {
        principal(path, name)
    })?;
    each(path, "clients", rule.clients.as_deref(), limits::ENTRIES_PER_LIST, |path, name| {
        principal(path, name)
    })?;
    each(path, "groups", rule.groups.as_deref(), limits::ENTRIES_PER_LIST, |path, name| {
        principal(path, name)
    })?;
    rule.reason.as_deref().map_or(Ok(()), |text| reason(&format!("{path}.reason"), text))
}

/// Checks a list of a rule: absent, or with one entry at least and each entry good.
fn each<T>(
    path: &str,
    field: &str,
    list: Option<&[T]>,
    limit: usize,
    check: impl Fn(&str, &T) -> Result<(), PolicyError>,
) -> Result<(), PolicyError> {
    let Some(list) = list else { return Ok(()) };
    let path = format!("{path}.{field}");
    if list.is_empty() {
        return Err(PolicyError::new(
            path,
            "the list is empty: leave it out to not narrow the rule, or add an entry",
        ));
    }
    at_most(&path, list.len(), limit)?;
    list.iter().enumerate().try_for_each(|(number, entry)| check(&format!("{path}[{number}]"), entry))
}

fn at_most(path: &str, count: usize, limit: usize) -> Result<(), PolicyError> {
    if count <= limit {
        return Ok(());
    }
    Err(PolicyError::new(path, format_args!("{count} entries are more than the limit of {limit}")))
}

fn unique<'a>(path: &str, names: &mut HashSet<&'a str>, name: &'a str) -> Result<(), PolicyError> {
    if names.insert(name) {
        return Ok(());
    }
    Err(PolicyError::new(
        format!("{path}.name"),
        format_args!("the name `{name}` is taken by an earlier entry"),
    ))
}

fn identifier(path: &str, name: &str) -> Result<(), PolicyError> {
    let is_first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_good = name.len() <= 64
        && name.as_bytes().first().is_some_and(is_first)
        && name.bytes().all(|byte| is_first(&byte) || b"._-".contains(&byte));
    if is_good {
        return Ok(());
    }
    let message =
        format!("`{name}` is not a name: 1 to 64 of a-z, 0-9, `.`, `_`, `-`, the first a letter or digit");
    Err(PolicyError::new(path, message))
}

fn endpoint(path: &str, endpoint: &str) -> Result<(), PolicyError> {
    let refuse = |message: &str| Err(PolicyError::new(path, message));
    let Some(segments) = endpoint.strip_prefix('/') else { return refuse("a path starts with `/`") };
    if endpoint.len() > limits::PATH_BYTES {
        return refuse("the path is longer than the limit of 1024 bytes");
    }
    if !endpoint.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte)) {
        return refuse("a path is printable ASCII without query, fragment, space or backslash");
    }
    let mut inner = segments.split('/').rev().skip(1);
    if inner.any(str::is_empty) || segments.split('/').any(|segment| matches!(segment, "." | "..")) {
        return refuse(
            "a path with an empty segment or a dot segment would never match a normalised request",
        );
    }
    Ok(())
}

fn plain(path: &str, name: &str) -> Result<(), PolicyError> {
    if is_plain(name) {
        return Ok(());
    }
    Err(PolicyError::new(path, "would never match: a name is 1 to 256 characters of printable ASCII"))
}

fn method(path: &str, name: &str) -> Result<(), PolicyError> {
    if name == "tools/call" {
        return Err(PolicyError::new(path, "`tools/call` is selected by `tools` or `operations`"));
    }
    plain(path, name)
}

/// Scopes end up in a `WWW-Authenticate` header: only the characters of RFC 6749, section 3.3.
fn scope(path: &str, name: &str) -> Result<(), PolicyError> {
    let is_scope_byte = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if !name.is_empty() && name.len() <= limits::PRINCIPAL_BYTES && name.bytes().all(is_scope_byte) {
        return Ok(());
    }
    Err(PolicyError::new(
        path,
        "a scope is printable ASCII without space, quote or backslash, one scope per entry",
    ))
}

fn principal(path: &str, name: &str) -> Result<(), PolicyError> {
    if !name.is_empty() && name.len() <= limits::PRINCIPAL_BYTES && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(PolicyError::new(path, "would never match: an entry is 1 to 512 bytes without control characters"))
}

fn reason(path: &str, text: &str) -> Result<(), PolicyError> {
    let is_good = !text.trim().is_empty()
        && text.chars().take(limits::REASON_CHARS + 1).count() <= limits::REASON_CHARS;
    if is_good && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(PolicyError::new(path, "a reason is one line of 1 to 256 characters"))
}
