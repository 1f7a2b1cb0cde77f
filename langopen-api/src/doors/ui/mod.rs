//! Generative user interfaces: components of the application that clients' pages show. The SDK's
//! `LoadExternalComponent` requests them.
//!
//! Pages load scripts and styles without credentials. So the files' URLs hold the hash of their content, which only
//! authenticated callers get.

mod component;
mod file;

use axum::routing::{get, post};
use langopen_core::ErrorKind;
use langopen_core::user_interface::Bundle;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult};

/// The OpenAPI document leaves these paths out, like the Agent Server's.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .route("/ui/{name}", post(component::show_component))
        .route("/ui/{name}/{file}", get(file::get_file))
}

async fn bundle(app: &App, name: &str) -> ApiResult<Arc<Bundle>> {
    let interfaces = app.interfaces.as_ref().ok_or_else(|| ApiError::not_found("Not Found"))?;
    interfaces.bundle(name).await.map_err(|error| match error.kind() {
        // The same status as for a graph that does not load.
        ErrorKind::Graph => ApiError::new(http::StatusCode::FAILED_DEPENDENCY, error.message()),
        _ => error.into(),
    })
}
