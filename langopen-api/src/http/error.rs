//! The failures of requests, without a form on the wire. Each API gives them its own form.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use langopen_core::auth::Refusal;
use langopen_core::{Error, ErrorKind};

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// The `Retry-After` for a request that must wait until a run ends.
const RUNS_END_SOON: Duration = Duration::from_secs(5);

/// Headers that describe the server's own answer. An authorizer cannot set them.
const OURS: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];

/// The state of an API's router. The shared extractors report their failures as the API's own error.
pub(crate) trait ApiState: Send + Sync + 'static {
    type Error: Envelope;
}

/// The error of an API. It has the form in which the API's clients expect failures.
pub(crate) trait Envelope: From<Failure> + IntoResponse + Send + 'static {}

impl<E: From<Failure> + IntoResponse + Send + 'static> Envelope for E {}

/// A failed request.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
    /// Whether the server itself failed. The message then says nothing about the cause.
    internal: bool,
    /// The headers of a refusal, or `Retry-After`. Most failures have none.
    headers: Option<Box<HeaderMap>>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), internal: false, headers: None }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// 429 with `Retry-After`, in whole seconds.
    pub(crate) fn too_many(message: impl Into<String>, after: Duration) -> Self {
        Self::after(StatusCode::TOO_MANY_REQUESTS, message, after)
    }

    /// A failure with `Retry-After`, in whole seconds.
    pub(crate) fn after(status: StatusCode, message: impl Into<String>, after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))]);
        Self { headers: Some(Box::new(headers)), ..Self::new(status, message) }
    }

    pub(crate) fn internal() -> Self {
        Self { internal: true, ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error") }
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
        Self { status, message: refusal.detail.clone(), internal: false, headers }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn is_internal(&self) -> bool {
        self.internal
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Turns 422 into 400, for protocols that require it.
    pub(crate) fn malformed(self) -> Self {
        match self.status {
            StatusCode::UNPROCESSABLE_ENTITY => Self { status: StatusCode::BAD_REQUEST, ..self },
            _ => self,
        }
    }

    /// The answer. `body` gives the message its form.
    pub(crate) fn respond(self, body: impl FnOnce(String) -> Response) -> Response {
        let mut response = body(self.message);
        *response.status_mut() = self.status;
        if let Some(headers) = self.headers {
            response.headers_mut().extend(*headers);
        }
        response
    }
}

impl From<Error> for Failure {
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

impl From<serde_json::Error> for Failure {
    /// A failure with JSON that the server has written or checked itself.
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(error = %error, "a document of the server cannot be read or written as JSON");
        Self::internal()
    }
}
