//! Resources: a text, a picture, one to watch, and a template.

use rmcp::model::{ErrorData, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::json;

use crate::contents::PIXEL;

const TEXT: &str = "test://static-text";
const PICTURE: &str = "test://static-binary";
/// The resource that `test_trigger_resource_change` says has changed.
pub(crate) const WATCHED: &str = "test://watched-resource";

pub(crate) fn catalogue() -> Vec<Resource> {
    vec![
        resource(TEXT, "static-text", "A text that never changes", "text/plain"),
        resource(PICTURE, "static-binary", "A picture that never changes", "image/png"),
        resource(WATCHED, "watched-resource", "A text to watch", "text/plain"),
    ]
}

fn resource(uri: &str, name: &str, description: &str, media_type: &str) -> Resource {
    Resource::new(uri, name).with_description(description).with_mime_type(media_type)
}

pub(crate) fn templates() -> Vec<ResourceTemplate> {
    let template = ResourceTemplate::new("test://template/{id}/data", "template-data");
    vec![template.with_description("What there is of an id").with_mime_type("application/json")]
}

pub(crate) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let contents = match uri {
        TEXT => ResourceContents::text("This is the content of the static text resource.", uri),
        PICTURE => ResourceContents::blob(PIXEL, uri).with_mime_type("image/png"),
        WATCHED => ResourceContents::text("Nobody has seen it change.", uri),
        _ => of_template(uri).ok_or_else(|| {
            ErrorData::resource_not_found("there is no such resource", Some(json!({"uri": uri})))
        })?,
    };
    Ok(ReadResourceResult::new(vec![contents]))
}

fn of_template(uri: &str) -> Option<ResourceContents> {
    let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
    if id.is_empty() || id.contains('/') {
        return None;
    }
    let document = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
    Some(ResourceContents::text(document.to_string(), uri).with_mime_type("application/json"))
}
