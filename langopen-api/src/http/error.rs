//! Failures as clients see them.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use langopen_core::auth::Refusal;
use langopen_core::{Error, ErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) type ApiResult<T, E = ApiError> = Result<T, E>;

/// When it is worth asking again for a place that a run must leave first.
const RUNS_END_SOON: Duration = Duration::from_secs(5);

/// Headers that describe our answers themselves.
const OURS: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];

/// The envelope of every failure.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorResponse {
    /// What went wrong, for people.
    pub(crate) detail: String,
}

/// The envelope of one of the store's exceptions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyErrorResponse)]
pub(crate) struct ErrorKey {
    /// What went wrong, for people.
    pub(crate) error: String,
}

/// A failure on its way to the client.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: Body,
    /// Those of a refusal, or when to try again; almost never any.
    headers: Option<Box<HeaderMap>>,
}

#[derive(Debug)]
enum Body {
    /// `{"detail": …}`, the rule.
    Detail(String),
    /// `{"error": …}`, one of the store's exceptions.
    Error(String),
    /// Plain text: the store's namespace labels, and what went wrong inside.
    Text(String),
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, body: Body::Detail(detail.into()), headers: None }
    }

    pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, body: Body::Text(text.into()), headers: None }
    }

    pub(crate) fn error_key(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, body: Body::Error(error.into()), headers: None }
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

    /// 429; the client may try again after a while, in whole seconds.
    pub(crate) fn too_many(detail: impl Into<String>, after: Duration) -> Self {
        Self::after(StatusCode::TOO_MANY_REQUESTS, detail, after)
    }

    /// 503 for what may be there after a while, in whole seconds.
    pub(crate) fn try_later(detail: impl Into<String>, after: Duration) -> Self {
        Self::after(StatusCode::SERVICE_UNAVAILABLE, detail, after)
    }

    fn after(status: StatusCode, detail: impl Into<String>, after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))]);
        Self { headers: Some(Box::new(headers)), ..Self::new(status, detail) }
    }

    pub(crate) fn internal() -> Self {
        Self::text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
    }

    /// The answer that an authorizer worded itself.
    fn refused(refusal: &Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status).ok().filter(|status| status.as_u16() >= 400);
        let Some(status) = status else {
            tracing::error!(status = refusal.status, "an authorizer refuses with a status that is no refusal");
            return Self::internal();
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &refusal.headers {
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(value)) if !OURS.contains(&name) => {
                    headers.append(name, value);
                }
                _ => tracing::warn!(header = name, "a header of an authorizer's refusal cannot be sent"),
            }
        }
        let headers = (!headers.is_empty()).then(|| Box::new(headers));
        Self { status, body: Body::Detail(refusal.detail.clone()), headers }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// 400 in place of 422, where the protocol has it so.
    pub(crate) fn malformed(self) -> Self {
        match self.status {
            StatusCode::UNPROCESSABLE_ENTITY => Self { status: StatusCode::BAD_REQUEST, ..self },
            _ => self,
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// The message, e.g. to put it into another answer.
    pub(crate) fn message(&self) -> &str {
        match &self.body {
            Body::Detail(text) | Body::Error(text) | Body::Text(text) => text,
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        if let Some(refusal) = Refusal::of(&error) {
            return Self::refused(refusal);
        }
        let status = match error.kind() {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::AlreadyExists | ErrorKind::Conflict | ErrorKind::LeaseLost => StatusCode::CONFLICT,
            ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Graph => StatusCode::BAD_REQUEST,
            ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::LimitReached => return Self::too_many(error.message(), RUNS_END_SOON),
            ErrorKind::Unavailable => {
                tracing::warn!(error.operation = error.operation(), error = %error, "a part of the platform does not answer");
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => {
                tracing::error!(error.operation = error.operation(), error = %error, "a request failed inside");
                return Self::internal();
            }
        };
        Self::new(status, error.message())
    }
}

impl From<serde_json::Error> for ApiError {
    /// Of JSON that we wrote or checked ourselves.
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(error = %error, "a document of ours is damaged");
        Self::internal()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Body::Detail(detail) => (self.status, Json(ErrorResponse { detail })).into_response(),
            Body::Error(error) => (self.status, Json(ErrorKey { error })).into_response(),
            Body::Text(text) => {
                (self.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
            }
        };
        if let Some(headers) = self.headers {
            response.headers_mut().extend(*headers);
        }
        response
    }
}

/// Gives a kind of failure the message that clients know.
pub(crate) trait OnKind<T> {
    fn on(self, kind: ErrorKind, failure: impl FnOnce() -> ApiError) -> ApiResult<T>;
}

impl<T> OnKind<T> for Result<T, Error> {
    fn on(self, kind: ErrorKind, failure: impl FnOnce() -> ApiError) -> ApiResult<T> {
        self.map_err(|error| if error.kind() == kind { failure() } else { error.into() })
    }
}
