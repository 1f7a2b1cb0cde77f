//! The frame of the OpenAPI document; the handlers fill it.

use serde_json::{Map, Value};
use utoipa::OpenApi;

use crate::settings::SecurityDocument;

#[derive(OpenApi)]
#[openapi(
    info(title = "LangOpen Agent Server", description = "The Agent Server API, served by LangOpen."),
    tags(
        (name = "Assistants", description = "An assistant is a graph with a configuration."),
        (name = "Threads", description = "A thread holds the state that its runs have built up."),
        (name = "Thread Runs", description = "A run executes an assistant on a thread."),
        (name = "Stateless Runs", description = "A run on a thread of its own, which is removed afterwards unless it is kept."),
        (name = "Crons", description = "A cron creates runs on a schedule."),
        (name = "Store", description = "Long-term memory: documents that every thread can reach."),
        (name = "Meta", description = "The server itself."),
    )
)]
pub(crate) struct Frame;

/// The document's text, with the custom app's part, and with what clients are told about logging in, merged into it.
pub(crate) fn text(
    document: &utoipa::openapi::OpenApi,
    security: &SecurityDocument,
    app: Option<&Value>,
) -> serde_json::Result<String> {
    let SecurityDocument { schemes, security, paths } = security;
    if schemes.is_empty() && security.is_empty() && paths.is_empty() && app.is_none() {
        return document.to_json();
    }
    let mut document = serde_json::to_value(document)?;
    if let Some(app) = app {
        crate::custom::merge(&mut document, app);
    }
    if !schemes.is_empty() {
        let schemes = Map::from_iter([("securitySchemes".to_owned(), schemes.clone().into())]);
        merge(&mut document, &Map::from_iter([("components".to_owned(), schemes.into())]).into());
    }
    if !security.is_empty() {
        merge(&mut document, &Map::from_iter([("security".to_owned(), security.clone().into())]).into());
    }
    merge(&mut document, &Map::from_iter([("paths".to_owned(), paths.clone().into())]).into());
    serde_json::to_string(&document)
}

/// Puts `over` into `base`: objects key by key, anything else whole.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}
