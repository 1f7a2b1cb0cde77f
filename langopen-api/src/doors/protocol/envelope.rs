//! Commands and their answers.

use langopen_core::{RawJson, RawObject};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::agent::error::ApiError;
use crate::http::error;

/// The last frame of a stream whose reader fell behind the log.
pub(super) const LOST: &str = r#"{"type":"error","id":null,"error":"unknown_error","message":"this stream lost its position, most likely because the client read too slowly; open it again with since to get the events that the log still has"}"#;

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ErrorCode {
    InvalidArgument,
    UnknownCommand,
    UnknownError,
    NoSuchRun,
    NoSuchSubscription,
    NoSuchNamespace,
    NoSuchInterrupt,
    NoSuchCheckpoint,
    PermissionDenied,
    NotSupported,
}

/// A command that was refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: ErrorCode,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }
}

impl From<ApiError> for Refusal {
    /// A failure of an operation behind the command, with its status.
    fn from(error: ApiError) -> Self {
        let status = error.status().as_u16();
        let code = if status == 403 { ErrorCode::PermissionDenied } else { ErrorCode::UnknownError };
        Self::new(code, format!("{status}: {}", error.message()))
    }
}

impl From<langopen_core::Error> for Refusal {
    fn from(error: langopen_core::Error) -> Self {
        ApiError::from(error).into()
    }
}

impl From<error::Failure> for Refusal {
    fn from(failure: error::Failure) -> Self {
        ApiError::from(failure).into()
    }
}

/// The result of a command.
pub(super) type Answer = Result<RawJson, Refusal>;

/// Serializes the result of a command.
pub(super) fn answer(result: &impl Serialize) -> Answer {
    RawJson::of(result).map_err(|error| ApiError::from(error).into())
}

/// A command in the protocol's envelope.
#[derive(Debug, ToSchema)]
#[schema(as = ProtocolCommand)]
pub(super) struct Command {
    #[schema(minimum = 0)]
    pub(super) id: u64,
    /// `run.start`, `input.respond`, `input.inject`, `state.get`, `state.listCheckpoints`, `state.fork`,
    /// `agent.getTree`; over a WebSocket also `subscription.subscribe`, `subscription.unsubscribe` and
    /// `subscription.reconnect`.
    pub(super) method: String,
    #[schema(value_type = Option<Object>, nullable = false)]
    pub(super) params: RawJson,
}

/// An invalid command, with its id as the client sent it.
#[derive(Debug)]
pub(super) struct Malformed {
    pub(super) id: Value,
    pub(super) message: String,
}

impl Command {
    /// Reads a command.
    pub(super) fn parse(given: &RawObject) -> Result<Self, Malformed> {
        // An array or object is not an id, and may be as large as the whole body; it is not decoded.
        let id = given.get("id").filter(|id| !id.as_str().starts_with(['[', '{']));
        let id = id.and_then(|id| id.decode().ok()).unwrap_or(Value::Null);
        let method = given.get("method").and_then(|method| method.decode().ok());
        let (Some(number), Some(method)) = (id.as_u64(), method) else {
            let message = "Protocol commands must include an integer id and string method.".to_owned();
            return Err(Malformed { id, message });
        };
        let params = given.get("params").filter(|params| params.as_str() != "null").cloned();
        let params = params.unwrap_or_else(|| Value::Object(Default::default()).into());
        match params.as_str().starts_with('{') {
            true => Ok(Self { id: number, method, params }),
            false => Err(Malformed { id, message: "params must be an object.".to_owned() }),
        }
    }
}

/// Reads a command's parameters.
pub(super) fn params<T: for<'de> Deserialize<'de>>(method: &str, params: &RawJson) -> Result<T, Refusal> {
    params.decode().map_err(|error: serde_json::Error| {
        // Parse again with a path tracker: the fast parser does not report which field failed.
        let mut deserializer = serde_json::Deserializer::from_str(params.as_str());
        let found = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err();
        let path = found.map(|error| error.path().to_string()).filter(|path| path != ".");
        let place = path.map(|path| format!("{path}: ")).unwrap_or_default();
        let why = error.to_string();
        // serde_json appends line and column, which the path makes redundant.
        let why = why.split_once(" at line ").map_or(why.as_str(), |(why, _)| why);
        Refusal::invalid(format!("{method}: {place}{why}"))
    })
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = ProtocolResponseMeta)]
pub(super) struct Meta {
    /// The number of the last event before the command: on a WebSocket, the last event sent there; over HTTP, the
    /// thread's last.
    #[schema(minimum = 0)]
    pub(super) applied_through_seq: u64,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SuccessType {
    Success,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ErrorType {
    Error,
}

/// The answer to a command that succeeded.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProtocolSuccess)]
pub(super) struct Success {
    #[serde(rename = "type")]
    #[schema(inline)]
    kind: SuccessType,
    #[schema(minimum = 0)]
    id: u64,
    #[schema(value_type = Object)]
    result: RawJson,
    #[schema(nullable = false)]
    meta: Option<Meta>,
}

/// The answer to a command that failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProtocolError)]
pub(super) struct Failure {
    #[serde(rename = "type")]
    #[schema(inline)]
    kind: ErrorType,
    /// The command's id; `null` if it has none.
    #[schema(value_type = Option<u64>, required, minimum = 0)]
    id: Value,
    #[schema(inline)]
    error: ErrorCode,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    meta: Option<Meta>,
}

/// The answer to a command.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Reply {
    /// The command succeeded.
    Success(Success),
    /// The command failed.
    Failure(Failure),
}

impl Reply {
    pub(super) fn new(id: u64, answer: Answer, applied_through_seq: u64) -> Self {
        let meta = Some(Meta { applied_through_seq });
        match answer {
            Ok(result) => Self::Success(Success { kind: SuccessType::Success, id, result, meta }),
            Err(refusal) => Self::failure(id.into(), refusal, meta),
        }
    }

    pub(super) fn malformed(Malformed { id, message }: Malformed) -> Self {
        Self::refused(id, Refusal::invalid(message))
    }

    /// The answer to a command that the server did not execute.
    pub(super) fn refused(id: Value, refusal: Refusal) -> Self {
        Self::failure(id, refusal, None)
    }

    fn failure(id: Value, Refusal { error, message }: Refusal, meta: Option<Meta>) -> Self {
        // A command that the server does not know was not executed, so it has no position among the events.
        let meta = meta.filter(|_| error != ErrorCode::UnknownCommand);
        Self::Failure(Failure { kind: ErrorType::Error, id, error, message, meta })
    }

    /// Removes the position from failures: over HTTP, only successes carry it.
    pub(super) fn without_position(self) -> Self {
        match self {
            Self::Failure(failure) => Self::Failure(Failure { meta: None, ..failure }),
            success => success,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(given: Value) -> Result<Command, Malformed> {
        Command::parse(&serde_json::from_value(given).unwrap())
    }

    #[test]
    fn a_command_has_an_id_and_a_method() {
        let command = parse(json!({"id": 0, "method": "run.start", "params": {"a": 1}, "more": 2})).unwrap();
        assert_eq!((command.id, command.method.as_str(), command.params.as_str()), (0, "run.start", r#"{"a":1}"#));
        assert!(parse(json!({"id": 1, "method": "x", "params": null})).unwrap().params.as_str() == "{}");
        for (given, id) in [
            (json!({"id": "x", "method": "run.start"}), json!("x")),
            (json!({"id": -1, "method": "run.start"}), json!(-1)),
            (json!({"id": 1.5, "method": "run.start"}), json!(1.5)),
            (json!({"id": 1, "method": 2}), json!(1)),
            (json!({"method": "run.start"}), Value::Null),
            (json!({"id": 1, "method": "run.start", "params": []}), json!(1)),
        ] {
            assert_eq!(parse(given.clone()).unwrap_err().id, id, "{given}");
        }
    }

    #[test]
    fn replies_have_their_members_in_order() {
        let text = |reply: Reply| serde_json::to_string(&reply).unwrap();
        assert_eq!(
            text(Reply::new(1, answer(&json!({"run_id": "r"})), 0)),
            r#"{"type":"success","id":1,"result":{"run_id":"r"},"meta":{"applied_through_seq":0}}"#
        );
        let refusal = || Refusal::new(ErrorCode::NoSuchInterrupt, "Unknown");
        assert_eq!(
            text(Reply::new(2, Err(refusal()), 7)),
            r#"{"type":"error","id":2,"error":"no_such_interrupt","message":"Unknown","meta":{"applied_through_seq":7}}"#
        );
        assert_eq!(
            text(Reply::new(2, Err(refusal()), 7).without_position()),
            r#"{"type":"error","id":2,"error":"no_such_interrupt","message":"Unknown"}"#
        );
    }
}
