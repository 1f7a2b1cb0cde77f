//! A log record for each request, for whoever asked to see headers in the log.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use crate::settings::LoggingHeaders;

/// Logs each request with the headers that are to be shown; leaves the router as it is when there are none.
pub(crate) fn layer(router: Router, headers: &LoggingHeaders) -> Router {
    match headers.includes.is_empty() {
        true => router,
        false => router.layer(from_fn_with_state(Arc::new(headers.clone()), log)),
    }
}

async fn log(State(shown): State<Arc<LoggingHeaders>>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let headers: serde_json::Map<_, _> = request
        .headers()
        .iter()
        .filter(|(name, _)| shown.shows(name.as_str()))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let response = next.run(request).await;
    tracing::info!(
        http.method = %method,
        http.path = path,
        http.status = response.status().as_u16(),
        http.headers = %serde_json::Value::Object(headers),
        "a request was answered"
    );
    response
}
