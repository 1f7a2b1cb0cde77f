//! The headers of a request that reach the graph.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;

use langopen_core::telemetry::TraceContext;

use crate::agent::App;
use crate::http::observe::{RequestId, trace_context};

/// The request's id, its trace context, and the headers that graphs see in `configurable`.
pub(crate) struct Forwarded {
    /// `x-request-id`, or the id that the server has generated.
    pub(crate) request_id: Option<String>,
    /// The trace context of the client's span.
    pub(crate) trace: Option<TraceContext>,
    /// The headers: names in lower case, with their values.
    pub(crate) headers: Vec<(String, String)>,
}

impl FromRequestParts<App> for Forwarded {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let copied = parts.headers.iter().filter(|(name, _)| app.settings.configurable_headers.copies(name.as_str()));
        Ok(Self {
            request_id: parts.extensions.get::<RequestId>().map(|id| id.0.clone()),
            trace: trace_context(&parts.headers),
            headers: copied.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        })
    }
}
