//! Request bodies.

use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::extract::{FromRef, FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tower_http::timeout::{TimeoutBody, TimeoutError};

use super::budget::{BodyBudget, BodySlot, HeldBytes};
use super::buffered::buffered_body;
use super::content_type::check_content_type;
use super::field::Object;
use super::json::parse;
use crate::http::error::{ApiState, Failure, Result};

/// A JSON body that is an object. The content type does not matter.
pub(crate) struct Body<T>(pub(crate) T);

/// A JSON body that holds only conditions, ids and names: a search, a filter or a subscription. The server decodes it
/// completely, which takes many times its size, and callers with read access may send it. So it has a limit of its own,
/// [`BodyRules::small`].
pub(crate) struct SmallBody<T>(pub(crate) T);

/// A JSON body that is an array.
pub(crate) struct ListBody<T>(pub(crate) T);

/// How an API reads the bodies of its requests.
#[derive(Debug, Clone)]
pub(crate) struct BodyRules {
    pub(crate) limits: BodyLimits,
    /// The limits of a [`SmallBody`].
    pub(crate) small: BodyLimits,
    pub(crate) budget: BodyBudget,
    /// Whether pages of other origins must send `application/json`.
    pub(crate) json_from_pages: bool,
}

impl<T, S> FromRequest<S> for Body<T>
where
    T: DeserializeOwned,
    S: ApiState,
    BodyRules: FromRef<S>,
{
    type Rejection = S::Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, S::Error> {
        let rules = BodyRules::from_ref(state);
        let Object(body) = parse(&read(request, &rules, rules.limits).await?)?;
        Ok(Self(body))
    }
}

impl<T, S> FromRequest<S> for SmallBody<T>
where
    T: DeserializeOwned,
    S: ApiState,
    BodyRules: FromRef<S>,
{
    type Rejection = S::Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, S::Error> {
        let rules = BodyRules::from_ref(state);
        let Object(body) = parse(&read(request, &rules, rules.small).await?)?;
        Ok(Self(body))
    }
}

impl<T, S> FromRequest<S> for ListBody<T>
where
    T: DeserializeOwned,
    S: ApiState,
    BodyRules: FromRef<S>,
{
    type Rejection = S::Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, S::Error> {
        let rules = BodyRules::from_ref(state);
        Ok(Self(parse(&read(request, &rules, rules.limits).await?)?))
    }
}

async fn read(request: Request, rules: &BodyRules, limits: BodyLimits) -> Result<Bytes> {
    let (parts, body) = request.into_parts();
    if rules.json_from_pages {
        check_content_type(&parts.headers)?;
    }
    if let Some(bytes) = buffered_body(&parts.extensions) {
        // The login has already read the body and counted it.
        return if bytes.len() > limits.bytes { Err(limits.exceeded()) } else { Ok(bytes) };
    }
    let (bytes, held) = read_body(&parts.headers, body, limits, &rules.budget).await?;
    BodySlot::hold(&parts.extensions, held);
    Ok(bytes)
}

/// The limits for reading a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) bytes: usize,
    /// How long the client may send nothing.
    pub(crate) silence: Duration,
}

impl Default for BodyLimits {
    /// 300 MiB, and 30 seconds of silence.
    fn default() -> Self {
        Self { bytes: 300 * 1024 * 1024, silence: Duration::from_secs(30) }
    }
}

impl BodyLimits {
    fn exceeded(self) -> Failure {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, format!("Request body exceeds {} bytes", self.bytes))
    }
}

/// Reads a body up to the limits. Returns its bytes, and their share of the budget.
pub(crate) async fn read_body(
    headers: &HeaderMap,
    body: HttpBody,
    limits: BodyLimits,
    budget: &BodyBudget,
) -> Result<(Bytes, HeldBytes)> {
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
fn broken(error: &axum::Error, too_large: impl Fn() -> Failure) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(each) = cause {
        if each.is::<TimeoutError>() {
            return Failure::new(StatusCode::REQUEST_TIMEOUT, "The request body did not arrive in time");
        }
        // An outer layer has its own limit. Its error type is not accessible here, so the code compares the text.
        if each.to_string().contains("length limit exceeded") {
            return too_large();
        }
        cause = each.source();
    }
    Failure::bad_request("The request body ended too early")
}
