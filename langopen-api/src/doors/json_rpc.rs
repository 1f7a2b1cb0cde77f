//! JSON-RPC 2.0, as the doors for agents of other makers speak it.

use langopen_core::RawJson;
use rmcp::model::{ErrorCode, ErrorData};
use serde::Serialize;

use crate::http::error::ApiError;

/// What a method answers.
pub(crate) type Answer = Result<RawJson, ErrorData>;

/// A failure of the caller's parameters.
pub(crate) fn invalid(message: impl Into<String>) -> ErrorData {
    ErrorData::new(ErrorCode::INVALID_PARAMS, message.into(), None)
}

/// A failure of an operation behind the method.
pub(crate) fn failed(error: &ApiError) -> ErrorData {
    let code = match error.status() {
        status if status.is_server_error() => ErrorCode::INTERNAL_ERROR,
        _ => ErrorCode::INVALID_PARAMS,
    };
    ErrorData::new(code, error.message().to_owned(), None)
}

/// A document of ours as an answer.
pub(crate) fn answer(result: &impl Serialize) -> Answer {
    RawJson::of(result).map_err(|error| failed(&ApiError::from(error)))
}

/// The message that answers a request.
#[derive(Serialize)]
pub(crate) struct Reply {
    jsonrpc: &'static str,
    id: RawJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorData>,
}

impl Reply {
    pub(crate) fn new(id: RawJson, answer: Answer) -> Self {
        let (result, error) = match answer {
            Ok(result) => (Some(result), None),
            Err(error) => (None, Some(error)),
        };
        Self { jsonrpc: "2.0", id, result, error }
    }
}
