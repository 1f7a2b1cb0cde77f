//! The failures that clients see.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use langopen_core::auth::Refusal;
use langopen_core::{Error, ErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) type ApiResult<T, E = ApiError> = Result<T, E>;

/// The `Retry-After` for a request that must wait until a run ends.
const RUNS_END_SOON: Duration = Duration::from_secs(5);

/// Headers that describe the server's own answer. An authorizer cannot set them.
const OURS: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];

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

/// A failure of a request, which becomes an answer.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: Body,
    /// The headers of a refusal, or `Retry-After`. Most failures have none.
    headers: Option<Box<HeaderMap>>,
}

#[derive(Debug)]
enum Body {
    /// `{"detail": …}`, the usual form.
    Detail(String),
    /// `{"error": …}`, for a few operations of the store.
    Error(String),
    /// Plain text, for the store's namespace labels and for internal failures.
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

    /// 429 with `Retry-After`, in whole seconds.
    pub(crate) fn too_many(detail: impl Into<String>, after: Duration) -> Self {
        Self::after(StatusCode::TOO_MANY_REQUESTS, detail, after)
    }

    /// 503 with `Retry-After`, in whole seconds, for a resource that may soon be available.
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

    /// The answer that an authorizer has defined.
    fn refused(refusal: &Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status).ok().filter(|status| status.as_u16() >= 400);
        let Some(status) = status else {
            tracing::error!(status = refusal.status, "an authorizer refuses with a status that is not 400 or higher");
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

    /// Turns 422 into 400, for protocols that require it.
    pub(crate) fn malformed(self) -> Self {
        match self.status {
            StatusCode::UNPROCESSABLE_ENTITY => Self { status: StatusCode::BAD_REQUEST, ..self },
            _ => self,
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// The message, for example for use in another answer.
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
                tracing::warn!(error.operation = error.operation(), error = %error, "a part of the platform is unavailable");
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => {
                tracing::error!(error.operation = error.operation(), error = %error, "a request failed with an internal error");
                return Self::internal();
            }
        };
        Self::new(status, error.message())
    }
}

impl From<serde_json::Error> for ApiError {
    /// A failure with JSON that the server has written or checked itself.
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(error = %error, "a document of the server cannot be read or written as JSON");
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

/// Replaces the failure of one kind with an answer that clients know.
pub(crate) trait OnKind<T> {
    fn on(self, kind: ErrorKind, failure: impl FnOnce() -> ApiError) -> ApiResult<T>;
}

impl<T> OnKind<T> for Result<T, Error> {
    fn on(self, kind: ErrorKind, failure: impl FnOnce() -> ApiError) -> ApiResult<T> {
        self.map_err(|error| if error.kind() == kind { failure() } else { error.into() })
    }
}
