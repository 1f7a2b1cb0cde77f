//! Request bodies.

use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tower_http::timeout::{TimeoutBody, TimeoutError};

use super::budget::{BodyBudget, BodySlot, HeldBytes};
use super::field::Object;
use super::json::parse;
use crate::http::access::kept_body;
use crate::http::error::{ApiError, ApiResult};
use crate::http::pages::check_content_type;
use crate::server::App;
use crate::settings::Settings;

/// A JSON body that is an object. The content type does not matter.
pub(crate) struct Body<T>(pub(crate) T);

/// A JSON body that holds only conditions, ids and names: a search, a filter or a subscription. The server decodes it
/// completely, which takes many times its size, and callers with read access may send it. So it has a limit of its own,
/// [`Settings::max_search_body_bytes`].
pub(crate) struct SmallBody<T>(pub(crate) T);

/// A JSON body that is an array.
pub(crate) struct ListBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        parse(&read(request, app, BodyLimits::of(&app.settings)).await?).map(|Object(body)| Self(body))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for SmallBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        parse(&read(request, app, BodyLimits::of_searches(&app.settings)).await?).map(|Object(body)| Self(body))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for ListBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> ApiResult<Self> {
        parse(&read(request, app, BodyLimits::of(&app.settings)).await?).map(Self)
    }
}

async fn read(request: Request, app: &App, limits: BodyLimits) -> ApiResult<Bytes> {
    let (parts, body) = request.into_parts();
    if app.settings.refuse_foreign_pages {
        check_content_type(&parts.headers)?;
    }
    if let Some(bytes) = kept_body(&parts.extensions) {
        // The login has already read the body and counted it.
        return if bytes.len() > limits.bytes { Err(limits.exceeded()) } else { Ok(bytes) };
    }
    let (bytes, held) = read_body(&parts.headers, body, limits, &app.bodies).await?;
    BodySlot::hold(&parts.extensions, held);
    Ok(bytes)
}

/// The limits for reading a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) bytes: usize,
    pub(crate) silence: Duration,
}

impl BodyLimits {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { bytes: settings.max_body_bytes, silence: settings.body_timeout }
    }

    fn of_searches(settings: &Settings) -> Self {
        Self { bytes: settings.max_search_body_bytes.min(settings.max_body_bytes), silence: settings.body_timeout }
    }

    fn exceeded(self) -> ApiError {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("Request body exceeds {} bytes", self.bytes))
    }
}

/// Reads a body up to the limits. Returns its bytes, and their share of the budget.
pub(crate) async fn read_body(
    headers: &HeaderMap,
    body: HttpBody,
    limits: BodyLimits,
    budget: &BodyBudget,
) -> ApiResult<(Bytes, HeldBytes)> {
    let too_large = || limits.exceeded();
    let announced = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|announced: usize| announced > limits.bytes) {
        return Err(too_large());
    }
    // The timeout frees the connection and the memory of a client that stops sending.
    let mut pieces = HttpBody::new(TimeoutBody::new(limits.silence, body)).into_data_stream();
    let (mut held, mut whole) = (budget.hold(), Pieces::None);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| broken(&error, too_large))?;
        let length = whole.len() + piece.len();
        if length > limits.bytes {
            return Err(too_large());
        }
        held.grow_to(length)?;
        whole = whole.and(piece);
    }
    Ok((whole.into_bytes(), held))
}

/// The part of a body that has arrived. A body that arrives in one piece is not copied.
enum Pieces {
    None,
    One(Bytes),
    Several(BytesMut),
}

impl Pieces {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(piece) => piece.len(),
            Self::Several(pieces) => pieces.len(),
        }
    }

    fn and(self, piece: Bytes) -> Self {
        match self {
            Self::None => Self::One(piece),
            Self::One(first) => {
                let mut pieces = BytesMut::with_capacity(2 * (first.len() + piece.len()));
                pieces.extend_from_slice(&first);
                pieces.extend_from_slice(&piece);
                Self::Several(pieces)
            }
            Self::Several(mut pieces) => {
                pieces.extend_from_slice(&piece);
                Self::Several(pieces)
            }
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::None => Bytes::new(),
            Self::One(piece) => piece,
            Self::Several(pieces) => pieces.freeze(),
        }
    }
}

/// The answer to a request whose body could not be read completely.
fn broken(error: &axum::Error, too_large: impl Fn() -> ApiError) -> ApiError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(each) = cause {
        if each.is::<TimeoutError>() {
            return ApiError::new(StatusCode::REQUEST_TIMEOUT, "The request body did not arrive in time");
        }
        // An outer layer has its own limit. Its error type is not accessible here, so the code compares the text.
        if each.to_string().contains("length limit exceeded") {
            return too_large();
        }
        cause = each.source();
    }
    ApiError::bad_request("The request body ended too early")
}
