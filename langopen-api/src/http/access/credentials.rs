//! Builds the credentials that an authenticator sees from a request.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams};
use http::request::Parts;
use langopen_core::auth::Credentials;

use crate::http::extract::buffered_body;
use crate::http::reached::Reached;

/// The part of a request that an authenticator sees.
pub(crate) async fn of(parts: &mut Parts) -> Credentials {
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
        body: buffered_body(&parts.extensions),
        peer: parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip()),
        tenant: parts.extensions.get::<Reached>().map(|reached| reached.tenant.clone()),
    }
}
