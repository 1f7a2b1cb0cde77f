//! Operations about the server itself: health, versions, metrics and documentation. They need no authentication.

mod docs;
mod info;
mod metrics;
mod ok;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::App;

pub(crate) use docs::{Document, documentation};
pub(crate) use ok::health;

/// The route of `/metrics`, which the server also answers at the root.
pub(crate) fn metrics() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metrics::get_metrics))
}

/// The routes that are part of the document.
pub(crate) fn routes() -> OpenApiRouter<App> {
    metrics().routes(routes!(info::get_info)).routes(routes!(docs::get_docs))
}
