//! Agent cards: an agent's description and its address.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, header};
use langopen_core::RawJson;
use langopen_core::model::Assistant;
use rmcp::model::ErrorData;
use serde::Deserialize;
use serde_json::{Value, json};

use super::endpoint::{Answered, agent};
use super::error;
use super::fields::{KnownFields, fields};
use super::request::Request;
use crate::agent::App;
use crate::agent::{AssistantIdText, Forwarded};
use crate::doors::json_rpc::{answer, invalid};
use crate::http::access::Caller;
use crate::http::extract::{Query, forwarded_scheme};
use crate::http::reached::Reached;

/// The media types that an agent accepts and returns, unless its assistant's metadata name others.
const MODES: [&str; 2] = ["application/json", "text/plain"];

/// The extension by which a client chooses the messages in the histories of tasks.
const HISTORY_SCOPE: &str = "https://langchain.com/a2a/extensions/history-scope/v1";

/// The value of `a2a` in an assistant's metadata.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Modes {
    #[serde(alias = "defaultInputModes", alias = "input_modes")]
    default_input_modes: Option<Vec<String>>,
    #[serde(alias = "defaultOutputModes", alias = "output_modes")]
    default_output_modes: Option<Vec<String>>,
}

/// The media types that an agent accepts, and those that it returns.
fn modes(assistant: &Assistant) -> (Vec<String>, Vec<String>) {
    let given = assistant.metadata.get("a2a").cloned().unwrap_or_default();
    let given: Modes = serde_json::from_value(given).unwrap_or_default();
    let or_default = |modes: Option<Vec<String>>| modes.unwrap_or_else(|| MODES.map(str::to_owned).to_vec());
    (or_default(given.default_input_modes), or_default(given.default_output_modes))
}

/// # Errors
/// If the client accepts none of the agent's output modes.
pub(super) fn check_output_modes(assistant: &Assistant, accepted: &[String]) -> Result<(), ErrorData> {
    let (_, offered) = modes(assistant);
    let fits = |wanted: &str, mode: &str| {
        wanted == "*/*" || wanted == mode || wanted.strip_suffix('*').is_some_and(|kind| mode.starts_with(kind))
    };
    // Early clients write `text` for plain text.
    let is_offered = |wanted: &String| wanted == "text" || offered.iter().any(|mode| fits(wanted, mode));
    match accepted.is_empty() || accepted.iter().any(is_offered) {
        true => Ok(()),
        false => Err(error::content_type(&offered)),
    }
}

/// The agent card of the assistant that the path names.
pub(super) async fn get_card(
    State(app): State<App>,
    caller: Caller,
    forwarded: Forwarded,
    AssistantIdText(id): AssistantIdText,
    parts: Parts,
) -> Response {
    answered(show(app, caller, forwarded, parts, &id).await)
}

/// The agent card of the assistant that the query names.
pub(super) async fn get_root_card(
    State(app): State<App>,
    caller: Caller,
    forwarded: Forwarded,
    query: Query,
    parts: Parts,
) -> Response {
    let id = query.last("assistant_id").map(str::to_owned).or_else(|| app.settings.default_a2a_assistant.clone());
    answered(match id {
        Some(id) => show(app, caller, forwarded, parts, &id).await,
        None => Err((StatusCode::BAD_REQUEST, invalid("Missing required query parameter: assistant_id"))),
    })
}

/// Always 404: the server has no sessions.
pub(super) async fn delete_session(_caller: Caller) -> StatusCode {
    StatusCode::NOT_FOUND
}

fn answered(card: Result<Value, (StatusCode, ErrorData)>) -> Response {
    match card {
        Ok(card) => Json(card).into_response(),
        Err((status, error)) => (status, Json(json!({"error": error}))).into_response(),
    }
}

async fn show(
    app: App,
    caller: Caller,
    forwarded: Forwarded,
    parts: Parts,
    id: &str,
) -> Result<Value, (StatusCode, ErrorData)> {
    let (scope, assistant) = agent(&app, &caller, id).await.map_err(|error| {
        let missing = error.message.ends_with("not found");
        (if missing { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST }, error)
    })?;
    let address = address(&app, &parts, &assistant);
    let dialect = super::dialect::Dialect::V1;
    let known_fields = KnownFields::of(&parts.extensions);
    let (id, params, headers) = (RawJson::default(), RawJson::default(), parts.headers);
    let request =
        Request { app, caller, forwarded, headers, assistant, scope, dialect, id, params, known_fields, address };
    card(&request).await.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error))
}

/// The card, as a method of the protocol.
pub(super) async fn extended(request: &Request) -> Result<Answered, ErrorData> {
    answer(&card(request).await?).map(Answered::Now)
}

async fn card(request: &Request) -> Result<Value, ErrorData> {
    let Request { app, assistant, address, .. } = request;
    let name = if assistant.name.trim().is_empty() { &assistant.graph_id } else { &assistant.name };
    let own = assistant.description.clone().filter(|text| !text.trim().is_empty());
    let description = own.unwrap_or_else(|| format!("{name} assistant"));
    let fields = fields(request).await?;
    let (input_modes, output_modes) = modes(assistant);
    let interface = |version: &str| json!({"url": address, "protocolBinding": "JSONRPC", "protocolVersion": version});
    let history_scope = json!({
        "uri": HISTORY_SCOPE, "description": "Choose task-only or full-context response history", "required": false,
        "params": {
            "header": "LangGraph-A2A-History-Scope", "values": ["context", "task"], "default": "context",
            "methods": ["SendMessage", "GetTask", "ListTasks"],
        },
    });
    Ok(json!({
        "name": name,
        "description": description,
        "url": address,
        "preferredTransport": "JSONRPC",
        "protocolVersion": "0.3.0",
        "supportedInterfaces": [interface("1.0"), interface("0.3")],
        "capabilities": {
            "streaming": true, "pushNotifications": false, "stateTransitionHistory": false, "extensions": [history_scope],
        },
        "defaultInputModes": input_modes,
        "defaultOutputModes": output_modes,
        "skills": [{
            "id": format!("{}-main", assistant.assistant_id),
            "name": format!("{name} Capabilities"),
            "description": description,
            "tags": ["assistant", "langgraph"],
            "examples": [],
            "inputModes": input_modes,
            "outputModes": output_modes,
            "metadata": {
                "inputSchema": {
                    "required": fields.required, "properties": fields.properties.as_deref().unwrap_or_default(),
                    "supportsA2A": fields.converses(),
                },
            },
        }],
        "version": app.settings.version,
    }))
}

/// The agent's URL, under the host and scheme by which the client reached the server.
pub(super) fn address(app: &App, parts: &Parts, assistant: &Assistant) -> String {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = forwarded_scheme(&parts.headers).or(parts.uri.scheme_str());
    let host = text(header::HOST.as_str()).or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    let deployment = parts.extensions.get::<Reached>().map_or("", |reached| reached.prefix.as_ref());
    let mount = app.settings.mount_prefix.as_deref().unwrap_or_default().trim_matches('/');
    let mount = if mount.is_empty() { String::new() } else { format!("/{mount}") };
    let (scheme, host) = (scheme.unwrap_or("http"), host.unwrap_or("localhost"));
    format!("{scheme}://{host}{deployment}{mount}/a2a/{}", assistant.assistant_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use langopen_core::{AssistantId, JsonMap, Timestamp};

    #[test]
    fn output_modes_must_match_the_clients() {
        let assistant = |metadata: Value| Assistant {
            assistant_id: AssistantId::system("a"),
            graph_id: "a".to_owned(),
            config: JsonMap::new(),
            context: JsonMap::new(),
            metadata: metadata.as_object().cloned().unwrap_or_default(),
            name: "a".to_owned(),
            description: None,
            version: 1,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        };
        let accepts = |metadata: Value, accepted: &[&str]| {
            let accepted: Vec<_> = accepted.iter().map(|mode| (*mode).to_owned()).collect();
            check_output_modes(&assistant(metadata), &accepted).is_ok()
        };
        for accepted in [&[][..], &["text/plain"], &["image/png", "application/json"], &["text/*"], &["*/*"], &["text"]]
        {
            assert!(accepts(json!({}), accepted), "{accepted:?}");
        }
        assert!(!accepts(json!({}), &["image/png"]));
        let pictures = json!({"a2a": {"defaultOutputModes": ["image/png"]}});
        assert!(accepts(pictures.clone(), &["image/png"]) && !accepts(pictures, &["text/plain"]));
    }
}
