//! The server itself: health, versions, documentation. Open to everybody.

mod docs;
mod info;
mod metrics;
mod ok;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::server::App;

pub(crate) use docs::{Document, documentation};
pub(crate) use ok::health;

/// `/metrics`, which lies at the root too.
pub(crate) fn metrics() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metrics::get_metrics))
}

/// Operations that are part of the document.
pub(crate) fn routes() -> OpenApiRouter<App> {
    metrics().routes(routes!(info::get_info)).routes(routes!(docs::get_docs))
}
