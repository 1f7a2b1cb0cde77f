//! Builds the credentials that an authenticator sees from a request.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::Extensions;
use http::request::Parts;
use langopen_core::auth::Credentials;

use crate::gateway::Reached;
use crate::http::extract::{BodyBudget, BodyLimits, HeldBytes, read_body};
use crate::server::App;

/// A request's body, which was read before its handler because the authenticator needs it.
#[derive(Clone)]
pub(super) struct KeptBody {
    bytes: Bytes,
    /// The bytes count against the budget until the request is dropped.
    _held: Arc<HeldBytes>,
}

/// The body of a request, if the server has read it for the login.
pub(crate) fn kept_body(extensions: &Extensions) -> Option<Bytes> {
    extensions.get::<KeptBody>().map(|body| body.bytes.clone())
}

/// The part of a request that an authenticator sees.
pub(super) async fn of(parts: &mut Parts) -> Credentials {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Credentials {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        path_params: params.map(|params| params.iter().map(owned).collect()).unwrap_or_default(),
        headers: parts.headers.iter().map(text).collect(),
        body: kept_body(&parts.extensions),
        peer: parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip()),
        tenant: parts.extensions.get::<Reached>().map(|reached| reached.tenant.clone()),
    }
}

/// Reads each body completely, and stores it for the authenticator and the handler.
pub(crate) async fn keep_body(State(app): State<App>, request: Request, next: Next) -> Response {
    match kept(request, BodyLimits::of(&app.settings), &app.bodies).await {
        Ok(request) => next.run(request).await,
        Err(response) => response,
    }
}

pub(super) async fn kept(request: Request, limits: BodyLimits, budget: &BodyBudget) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let (body, held) = read_body(&headers, body, limits, budget).await.map_err(IntoResponse::into_response)?;
    let mut request = Request::from_parts(parts, Body::from(body.clone()));
    request.extensions_mut().insert(KeptBody { bytes: body, _held: Arc::new(held) });
    Ok(request)
}
