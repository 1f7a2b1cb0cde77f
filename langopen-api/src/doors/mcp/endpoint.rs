use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::{ConnectInfo, Extension, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use langopen_core::{RawJson, RawObject};
use rmcp::model::{ErrorCode, ErrorData, Implementation, InitializeResult, ProtocolVersion, ServerCapabilities};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{call, origin, tools};
use crate::agent::App;
use crate::agent::Forwarded;
use crate::agent::error::{ApiError, ApiResult, ErrorKey, ErrorResponse};
use crate::agent::wire;
use crate::doors::json_rpc::{Answer, Reply, answer, invalid};
use crate::http::access::Caller;
use crate::http::extract::{Body, accepts};

/// The most time that a call takes before the server begins its response.
const AT_ONCE: Duration = Duration::from_secs(1);

/// MCP Post
///
/// Sends a message of the Model Context Protocol: `initialize`, `ping`, `tools/list` or `tools/call`. A tool is an
/// assistant. Calling it runs the assistant on a new thread.
#[utoipa::path(
    post, path = "/mcp", tag = "MCP", operation_id = "post_mcp",
    request_body(content = serde_json::Value, description = "A JSON-RPC 2.0 message"),
    responses(
        (status = 200, description = "The answer to a request", body = serde_json::Value),
        (status = 202, description = "The server accepted a notification"),
        (status = 400, description = "The body is not JSON, or the Accept header does not allow JSON", body = ErrorKey),
        (status = 403, description = "Pages of this origin may not call", body = ErrorResponse),
    )
)]
pub(super) async fn post_mcp(
    State(app): State<App>,
    caller: Caller,
    forwarded: Forwarded,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: ApiResult<Body<RawObject>>,
) -> ApiResult<Response> {
    if !origin::may_call(app.settings.cors.as_ref(), &headers, peer.as_ref().map(|peer| &peer.0)) {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "Pages of this origin may not call"));
    }
    if !accepts(&headers) {
        let error = "Accept header must include application/json or text/event-stream";
        return Err(ApiError::error_key(StatusCode::BAD_REQUEST, error));
    }
    let message = match body {
        Ok(Body(message)) => message,
        Err(error) if error.status() == StatusCode::UNPROCESSABLE_ENTITY => {
            return Err(ApiError::error_key(StatusCode::BAD_REQUEST, "Invalid JSON"));
        }
        Err(error) => return Err(error),
    };
    let method: Option<String> = message.get("method").and_then(|method| method.decode().ok());
    let Some(id) = message.get("id").filter(|id| id.as_str() != "null").cloned() else {
        // A notification has no answer.
        return Ok(StatusCode::ACCEPTED.into_response());
    };
    let answer = match method {
        Some(method) if method == "tools/call" => {
            let params = message.get("params").filter(|params| params.as_str() != "null").cloned();
            let params = params.unwrap_or_else(|| json!({}).into());
            return Ok(call_tool(app, caller, forwarded, id, params).await);
        }
        Some(method) => obey(&app, &caller, &method, message.get("params")).await,
        // A client's answer to a request; the server never sends requests.
        None if message.get("result").is_some() || message.get("error").is_some() => {
            return Ok(StatusCode::ACCEPTED.into_response());
        }
        None => Err(ErrorData::new(ErrorCode::INVALID_REQUEST, "A message has a method", None)),
    };
    Ok(Json(Reply::new(id, answer)).into_response())
}

/// Calls a tool. A longer call begins its response early and sends line breaks while it runs. Only a write shows that
/// the client is gone. The call's future is then dropped, which cancels its run.
async fn call_tool(app: App, caller: Caller, forwarded: Forwarded, id: RawJson, params: RawJson) -> Response {
    let heartbeat = app.settings.heartbeat;
    let mut work = Box::pin(async move {
        let answer = call::call(&app, &caller, &forwarded, &params).await;
        Bytes::from(serde_json::to_vec(&Reply::new(id, answer)).unwrap_or_default())
    });
    if let Ok(reply) = timeout(heartbeat.min(AT_ONCE), &mut work).await {
        return wire::json(reply);
    }
    let body = futures::stream::unfold(Some(work), move |work| async move {
        let mut work = work?;
        Some(match timeout(heartbeat, &mut work).await {
            Ok(reply) => (Ok::<_, Infallible>(reply), None),
            Err(_) => (Ok(Bytes::from_static(b"\n")), Some(work)),
        })
    });
    wire::json(HttpBody::from_stream(body))
}

async fn obey(app: &App, caller: &Caller, method: &str, params: Option<&RawJson>) -> Answer {
    let nothing = RawJson::from(json!({}));
    let params = params.filter(|params| params.as_str() != "null").unwrap_or(&nothing);
    match method {
        "initialize" => initialize(params),
        "ping" => Ok(nothing),
        "tools/list" => tools::list(app, caller, params).await,
        _ => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("Method not found: {method}"), None)),
    }
}

fn initialize(params: &RawJson) -> Answer {
    #[derive(Deserialize, Default)]
    #[serde(default, rename_all = "camelCase")]
    struct Initialize {
        protocol_version: Option<ProtocolVersion>,
    }
    let given: Initialize = params.decode().map_err(|error| invalid(error.to_string()))?;
    let known = given
        .protocol_version
        .filter(|version| ProtocolVersion::KNOWN_VERSIONS.contains(version) && version.has_initialize());
    let mut capabilities = ServerCapabilities::default();
    capabilities.tools = serde_json::from_value(json!({"listChanged": false})).ok();
    let mut result = InitializeResult::new(capabilities);
    result.protocol_version = known.unwrap_or(ProtocolVersion::LATEST_WITH_INITIALIZE);
    result.server_info = Implementation::new("LangGraph", env!("CARGO_PKG_VERSION"));
    answer(&result)
}

/// MCP Get
///
/// The server sends no messages on its own, so there is no stream.
#[utoipa::path(
    get, path = "/mcp", tag = "MCP", operation_id = "get_mcp",
    responses((status = 405, description = "Messages are sent with POST"))
)]
pub(super) async fn get_mcp(_caller: Caller) -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response()
}

/// Terminate Session
///
/// The server has no sessions.
#[utoipa::path(
    delete, path = "/mcp", tag = "MCP", operation_id = "delete_mcp",
    responses((status = 404, description = "There is no session"))
)]
pub(super) async fn delete_mcp(_caller: Caller) -> Response {
    StatusCode::NOT_FOUND.into_response()
}

/// The string under `key`, or an empty one.
pub(super) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
