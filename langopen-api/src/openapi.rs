//! The frame of the OpenAPI document. The handlers fill it.

use serde_json::{Map, Value};
use utoipa::openapi::path::PathItem;
use utoipa::openapi::schema::{Object, Ref, Type};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Response, ResponseBuilder};
use utoipa::{OpenApi, ToSchema};

use crate::agent::error::ErrorResponse;
use crate::settings::SecurityDocument;

#[derive(OpenApi)]
#[openapi(
    info(title = "LangOpen Agent Server", description = "The Agent Server API, served by LangOpen."),
    tags(
        (name = "Assistants", description = "An assistant is a graph with a configuration."),
        (name = "Threads", description = "A thread holds the state that its runs have built up."),
        (name = "Thread Runs", description = "A run executes an assistant on a thread."),
        (name = "Stateless Runs", description = "A run on a thread of its own, which is deleted afterwards unless `on_completion` is `keep`."),
        (name = "Crons", description = "A cron creates runs on a schedule."),
        (name = "Store", description = "Long-term memory: documents that every thread can reach."),
        (name = "A2A", description = "Other agents send messages to an assistant in the Agent2Agent protocol."),
        (name = "Meta", description = "The server itself."),
    )
)]
pub(crate) struct Frame;

/// Answers that every authenticated operation may give before the request reaches its handler.
const REFUSALS: [(&str, &str, bool); 4] = [
    ("401", "No credentials, or unknown ones", false),
    ("403", "The caller's role does not permit it", false),
    ("429", "A limit of the deployment is reached", true),
    ("503", "A data store is unavailable", true),
];

/// Adds the answers of [`REFUSALS`] to every operation except those tagged `Meta`, which need no authentication.
pub(crate) fn describe_refusals(document: &mut utoipa::openapi::OpenApi) {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        if operation.tags.iter().flatten().any(|tag| tag == "Meta") {
            continue;
        }
        for (status, description, again) in REFUSALS {
            let responses = &mut operation.responses.responses;
            responses.entry(status.to_owned()).or_insert_with(|| refusal(description, again).into());
        }
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut utoipa::openapi::path::Operation> {
    let PathItem { get, put, post, delete, patch, .. } = path;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn refusal(description: &str, again: bool) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorResponse::name()))).build();
    let refusal = ResponseBuilder::new().description(description).content("application/json", body);
    let seconds = || {
        let seconds = HeaderBuilder::new().schema(Some(Object::with_type(Type::Integer)));
        seconds.description(Some("The seconds to wait before the next attempt")).build()
    };
    match again {
        true => refusal.header("Retry-After", seconds()).build(),
        false => refusal.build(),
    }
}

/// The document as JSON text, with `security` and the custom app's document merged into it.
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
        crate::doors::custom::merge(&mut document, app);
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

/// Merges `over` into `base`: objects key by key; any other value replaces the old one.
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
