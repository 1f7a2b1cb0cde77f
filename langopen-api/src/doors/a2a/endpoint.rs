use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use langopen_core::model::Assistant;
use langopen_core::{RawJson, RawObject, Scope};
use rmcp::model::{ErrorCode, ErrorData};
use serde_json::{Value, json};

use super::dialect::Dialect;
use super::fields::KnownFields;
use super::request::Request;
use super::{cancel, card, error, get, list, send, subscribe};
use crate::agent::App;
use crate::agent::assistants;
use crate::agent::error::{ApiError, ApiResult, ErrorKey};
use crate::agent::{AssistantIdText, Forwarded};
use crate::doors::json_rpc::{Reply, failed, invalid};
use crate::http::access::Caller;
use crate::http::extract::{ListBody, accepts, parse_id};
use crate::http::sse::ServerSentEvent;

/// The answer to a method.
pub(super) enum Answered {
    /// The method's result.
    Now(RawJson),
    /// A response that the server writes over time.
    Response(Response),
}

/// A2A Post
///
/// Sends a message of the Agent2Agent protocol to an assistant. The method's name decides the dialect. Version 0.3 has
/// `message/send`, `message/stream`, `tasks/get`, `tasks/cancel` and `tasks/resubscribe`; version 1.0 has
/// `SendMessage`, `SendStreamingMessage`, `GetTask`, `ListTasks`, `CancelTask` and `SubscribeToTask`.
#[utoipa::path(
    post, path = "/a2a/{assistant_id}", tag = "A2A", operation_id = "post_a2a",
    params(
        ("assistant_id" = Uuid, Path, description = "The assistant"),
        ("Accept" = String, Header, description = "`application/json`, or `text/event-stream` for streams"),
    ),
    request_body(content = serde_json::Value, description = "A JSON-RPC 2.0 request"),
    responses(
        (status = 200, description = "The answer to the request, or a stream of answers", content(
            (serde_json::Value = "application/json"), (ServerSentEvent = "text/event-stream"),
        )),
        (status = 400, description = "An Accept header that allows no answer", body = ErrorKey),
    )
)]
pub(super) async fn post_a2a(
    State(app): State<App>,
    caller: Caller,
    AssistantIdText(assistant_id): AssistantIdText,
    forwarded: Forwarded,
    head: Parts,
    body: ApiResult<ListBody<RawJson>>,
) -> ApiResult<Response> {
    if !accepts(&head.headers) {
        return Err(ApiError::error_key(StatusCode::BAD_REQUEST, "Accept header must include application/json"));
    }
    let nobody = RawJson::default;
    let message = match body {
        Ok(ListBody(message)) => message,
        Err(error) if error.status() == StatusCode::UNPROCESSABLE_ENTITY => {
            let error = ErrorData::new(ErrorCode::PARSE_ERROR, "Invalid JSON payload", None);
            return Ok(Json(Reply::new(nobody(), Err(error))).into_response());
        }
        Err(error) => return Err(error),
    };
    let Envelope { id, method, params } = match Envelope::parse(&message) {
        Ok(envelope) => envelope,
        Err((id, error)) => return Ok(Json(Reply::new(id.unwrap_or_else(nobody), Err(error))).into_response()),
    };
    let answered = match Method::of(&method, &head.headers) {
        Err(error) => Err(error),
        Ok((method, dialect)) => match agent(&app, &caller, &assistant_id).await {
            Err(error) => Err(error),
            Ok((scope, assistant)) => {
                let address = card::address(&app, &head, &assistant);
                let known_fields = KnownFields::of(&head.extensions);
                let (id, headers) = (id.clone(), head.headers);
                let request = Request {
                    app,
                    caller,
                    forwarded,
                    headers,
                    assistant,
                    scope,
                    dialect,
                    id,
                    params,
                    known_fields,
                    address,
                };
                obey(method, request).await
            }
        },
    };
    let answer = match answered {
        Ok(Answered::Response(response)) => return Ok(response),
        Ok(Answered::Now(result)) => Ok(result),
        Err(error) => Err(error),
    };
    Ok(Json(Reply::new(id, answer)).into_response())
}

/// The assistant with this id, and the scope in which the caller may read it.
pub(super) async fn agent(app: &App, caller: &Caller, id: &str) -> Result<(Scope, Assistant), ErrorData> {
    let assistant_id = parse_id(id, "assistant").map_err(failed)?;
    assistants::read(app, caller, assistant_id).await.map_err(|error| match error.is_not_found() {
        true => invalid(format!("Assistant '{id}' not found")),
        false => failed(error),
    })
}

/// A request in its JSON-RPC envelope.
struct Envelope {
    id: RawJson,
    method: String,
    params: RawJson,
}

impl Envelope {
    /// Parses a request. An error comes with the request's id, if that is known.
    fn parse(message: &RawJson) -> Result<Self, (Option<RawJson>, ErrorData)> {
        let refused = |message: &str| error::invalid_request(message);
        if message.as_str().starts_with('[') {
            return Err((None, refused("Batches are not supported: send each request by itself")));
        }
        let fields: RawObject = message.decode().map_err(|_| (None, refused("A request is an object")))?;
        let Some(id) = fields.get("id").cloned() else {
            return Err((None, refused("A request has an id: a string or a number")));
        };
        // An array or object may be as large as the whole body; it is not decoded.
        let is_id = !id.as_str().starts_with(['[', '{']);
        if !is_id || !matches!(id.decode(), Ok(Value::String(_) | Value::Number(_) | Value::Null)) {
            return Err((None, refused("The id of a request is a string or a number")));
        }
        let text = |key: &str| fields.get(key).and_then(|value| value.decode::<String>().ok());
        if text("jsonrpc").as_deref() != Some("2.0") {
            return Err((Some(id), refused("jsonrpc must be \"2.0\"")));
        }
        let Some(method) = text("method") else { return Err((Some(id), refused("A request has a method"))) };
        let params = fields.get("params").filter(|params| params.as_str() != "null").cloned();
        let params = params.unwrap_or_else(|| json!({}).into());
        if !params.as_str().starts_with('{') {
            return Err((Some(id), invalid("Invalid params: must be an object")));
        }
        Ok(Self { id, method, params })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Send,
    Stream,
    Get,
    List,
    Cancel,
    Subscribe,
    Card,
    PushNotifications,
}

/// Each method's names in 0.3 and in 1.0.
const METHODS: &[(&str, &str, Method)] = &[
    ("message/send", "SendMessage", Method::Send),
    ("message/stream", "SendStreamingMessage", Method::Stream),
    ("tasks/get", "GetTask", Method::Get),
    ("tasks/list", "ListTasks", Method::List),
    ("tasks/cancel", "CancelTask", Method::Cancel),
    ("tasks/resubscribe", "SubscribeToTask", Method::Subscribe),
    ("agent/getAuthenticatedExtendedCard", "GetExtendedAgentCard", Method::Card),
    ("tasks/pushNotificationConfig/set", "CreateTaskPushNotificationConfig", Method::PushNotifications),
    ("tasks/pushNotificationConfig/get", "GetTaskPushNotificationConfig", Method::PushNotifications),
    ("tasks/pushNotificationConfig/list", "ListTaskPushNotificationConfigs", Method::PushNotifications),
    ("tasks/pushNotificationConfig/delete", "DeleteTaskPushNotificationConfig", Method::PushNotifications),
];

impl Method {
    /// The method with this name, and the dialect that the name belongs to.
    fn of(name: &str, headers: &HeaderMap) -> Result<(Self, Dialect), ErrorData> {
        if let Some(version) = headers.get("a2a-version").map(|version| version.to_str().unwrap_or("?").trim()) {
            let spoken =
                |known: &str| version.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            if !version.is_empty() && !spoken("0.3") && !spoken("1.0") {
                return Err(error::version(version));
            }
        }
        let named = METHODS.iter().find_map(|(old, new, method)| match name {
            _ if name == *old => Some((*method, Dialect::V03)),
            _ if name == *new => Some((*method, Dialect::V1)),
            _ => None,
        });
        let unknown = || ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("Method not found: {name}"), None);
        named.ok_or_else(unknown)
    }
}

async fn obey(method: Method, request: Request) -> Result<Answered, ErrorData> {
    match method {
        Method::Send => send::send(request).await,
        Method::Stream => send::stream(request).await,
        Method::Get => get::get(&request).await,
        Method::List => list::list(&request).await,
        Method::Cancel => cancel::cancel(&request).await,
        Method::Subscribe => subscribe::subscribe(request).await,
        Method::Card => card::extended(&request).await,
        Method::PushNotifications => Err(error::no_push_notifications()),
    }
}
