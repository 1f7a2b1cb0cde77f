//! Bodies that the server reads before their handler, because a login needs them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::Extensions;

use super::body::{BodyLimits, BodyRules, read_body};
use super::budget::{BodyBudget, HeldBytes};
use crate::http::error::{Envelope, Result};

/// A request's body, which was read before its handler because the authenticator needs it.
#[derive(Clone)]
struct BufferedBody {
    bytes: Bytes,
    /// The bytes count against the budget until the request is dropped.
    _held: Arc<HeldBytes>,
}

/// The body of a request, if the server has read it for the login.
pub(crate) fn buffered_body(extensions: &Extensions) -> Option<Bytes> {
    extensions.get::<BufferedBody>().map(|body| body.bytes.clone())
}

/// Reads each body completely, and stores it for the authenticator and the handler. `E` is the API's error.
pub(crate) async fn buffer_body<E: Envelope>(State(rules): State<BodyRules>, request: Request, next: Next) -> Response {
    match buffer(request, rules.limits, &rules.budget).await {
        Ok(request) => next.run(request).await,
        Err(failure) => E::from(failure).into_response(),
    }
}

/// The request with its whole body.
pub(crate) async fn buffer(request: Request, limits: BodyLimits, budget: &BodyBudget) -> Result<Request> {
    let (parts, body) = request.into_parts();
    let (bytes, held) = read_body(&parts.headers, body, limits, budget).await?;
    let mut request = Request::from_parts(parts, Body::from(bytes.clone()));
    request.extensions_mut().insert(BufferedBody { bytes, _held: Arc::new(held) });
    Ok(request)
}
