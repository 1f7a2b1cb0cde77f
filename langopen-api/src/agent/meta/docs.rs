use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::{Value, json as value};
use std::sync::Arc;
use utoipa_swagger_ui::{Config, serve};

use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult};
use crate::agent::wire::json;
use crate::http::reached::Reached;

/// The text of the OpenAPI document.
#[derive(Clone)]
pub(crate) struct Document(pub(crate) Bytes);

/// API Documentation
///
/// Returns a page that shows this document.
#[utoipa::path(
    get, path = "/docs", tag = "Meta", operation_id = "get_docs",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
pub(super) async fn get_docs() -> ApiResult<Response> {
    let response = file("index.html")?;
    Ok(response)
}

/// The routes of `/openapi.json` and of the files that the page at `/docs` loads.
pub(crate) fn documentation() -> Router<App> {
    let document = |Extension(Document(text)): Extension<Document>, reached: Option<Extension<Reached>>| async move {
        match reached.filter(|reached| !reached.prefix.is_empty()) {
            Some(reached) => below(&text, &reached.prefix).map(json),
            None => Ok(json(text)),
        }
    };
    let asset = |Path(path): Path<String>| async move { file(&path) };
    Router::new().route("/openapi.json", get(document)).route("/docs/{*path}", get(asset))
}

/// The document of an API below a prefix: the prefix is put before the URL of its server.
fn below(text: &[u8], prefix: &str) -> ApiResult<Bytes> {
    let mut document: Value = serde_json::from_slice(text)?;
    let own = document["servers"][0]["url"].as_str().unwrap_or_default();
    document["servers"] = value!([{"url": format!("{prefix}{own}")}]);
    Ok(serde_json::to_vec(&document)?.into())
}

fn file(path: &str) -> ApiResult<Response> {
    // The page's files are below `docs/`, and the document is beside it, under any mount prefix.
    let config = Arc::new(Config::new(["openapi.json"]));
    let found = serve(path, config).map_err(|error| {
        tracing::error!(error = %error, "a file of the documentation page cannot be served");
        ApiError::internal()
    })?;
    let found = found.ok_or_else(|| ApiError::not_found("Not Found"))?;
    let mut bytes = found.bytes.into_owned();
    if path == "index.html" {
        bytes = String::from_utf8_lossy(&bytes)
            .replace("href=\"./", "href=\"docs/")
            .replace("href=\"index.css", "href=\"docs/index.css")
            .replace("src=\"./", "src=\"docs/")
            .into_bytes();
    }
    let mut response = bytes.into_response();
    let kind = HeaderValue::try_from(found.content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("text/html")));
    Ok(response)
}
