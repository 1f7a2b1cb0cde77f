//! JSON-RPC 2.0, which MCP and A2A use.

use langopen_core::RawJson;
use rmcp::model::{ErrorCode, ErrorData};
use serde::Serialize;

use crate::agent::error::ApiError;

/// The result of a method.
pub(crate) type Answer = Result<RawJson, ErrorData>;

/// An error for invalid parameters.
pub(crate) fn invalid(message: impl Into<String>) -> ErrorData {
    ErrorData::new(ErrorCode::INVALID_PARAMS, message.into(), None)
}

/// The error for a failed operation behind a method.
pub(crate) fn failed(error: impl Into<ApiError>) -> ErrorData {
    let error = error.into();
    let code = match error.status() {
        status if status.is_server_error() => ErrorCode::INTERNAL_ERROR,
        _ => ErrorCode::INVALID_PARAMS,
    };
    ErrorData::new(code, error.message().to_owned(), None)
}

/// Serializes a result.
pub(crate) fn answer(result: &impl Serialize) -> Answer {
    RawJson::of(result).map_err(failed)
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
