//! The failures of this API on the wire.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use langopen_core::{Error, ErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::error::Failure;

pub(crate) type ApiResult<T, E = ApiError> = Result<T, E>;

/// The body of a failure.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorResponse {
    /// What failed, for people.
    pub(crate) detail: String,
}

/// The body of a failure for a few operations of the store.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyErrorResponse)]
pub(crate) struct ErrorKey {
    /// What failed, for people.
    pub(crate) error: String,
}

/// A failure, and the form in which clients of this API expect it.
#[derive(Debug)]
pub(crate) struct ApiError {
    failure: Failure,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    /// `{"detail": …}`, the usual form.
    Detail,
    /// `{"error": …}`, for a few operations of the store.
    Error,
    /// Plain text, for the store's namespace labels and for internal failures.
    Text,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Failure::new(status, detail).into()
    }

    pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self { failure: Failure::new(status, text), form: Form::Text }
    }

    pub(crate) fn error_key(status: StatusCode, error: impl Into<String>) -> Self {
        Self { failure: Failure::new(status, error), form: Form::Error }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 503 with `Retry-After`, in whole seconds, for a resource that may soon be available.
    pub(crate) fn try_later(detail: impl Into<String>, after: Duration) -> Self {
        Failure::after(StatusCode::SERVICE_UNAVAILABLE, detail, after).into()
    }

    pub(crate) fn internal() -> Self {
        Failure::internal().into()
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.failure.status()
    }

    /// Turns 422 into 400, for protocols that require it.
    pub(crate) fn malformed(self) -> Self {
        Self { failure: self.failure.malformed(), ..self }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.status() == StatusCode::NOT_FOUND
    }

    /// The message, for example for use in another answer.
    pub(crate) fn message(&self) -> &str {
        self.failure.message()
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let form = if failure.is_internal() { Form::Text } else { Form::Detail };
        Self { failure, form }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> Self {
        Failure::from(error).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let form = self.form;
        self.failure.respond(|text| match form {
            Form::Detail => Json(ErrorResponse { detail: text }).into_response(),
            Form::Error => Json(ErrorKey { error: text }).into_response(),
            Form::Text => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        })
    }
}

/// Replaces the failure of one kind with an answer that clients know.
pub(crate) trait OnKind<T> {
    fn on(self, kind: ErrorKind, failure: impl FnOnce() -> ApiError) -> ApiResult<T>;
}

impl<T> OnKind<T> for Result<T, Error> {
    fn on(self, kind: ErrorKind, failure: impl FnOnce() -> ApiError) -> ApiResult<T> {
        self.map_err(|error| if error.kind() == kind { failure() } else { error.into() })
    }
}
