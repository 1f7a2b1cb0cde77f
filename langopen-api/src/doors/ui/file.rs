use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header;

use super::bundle;
use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult};

/// Returns a file of a bundle: `{hash}.js` or `{hash}.css`. The hash is the permission to read it.
pub(super) async fn get_file(
    State(app): State<App>,
    Path((name, file)): Path<(String, String)>,
) -> ApiResult<Response> {
    let missing = || ApiError::not_found("Not Found");
    // Unauthenticated callers must not learn whether a bundle is missing or failed to build.
    let bundle =
        bundle(&app, &name).await.map_err(|error| if error.status().is_client_error() { missing() } else { error })?;
    let (kind, content) = match file.strip_prefix(bundle.hash.as_str()) {
        Some(".js") => ("text/javascript; charset=utf-8", Some(bundle.script.clone())),
        Some(".css") => ("text/css; charset=utf-8", bundle.style.clone()),
        _ => return Err(missing()),
    };
    let content = content.ok_or_else(missing)?;
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=31536000, immutable")];
    Ok((headers, content).into_response())
}
