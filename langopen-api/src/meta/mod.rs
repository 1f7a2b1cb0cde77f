//! The server itself: health, versions, documentation. Open to everybody.

mod docs;
mod info;
mod ok;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::server::App;

pub(crate) use docs::{Document, documentation};
pub(crate) use ok::health;

/// Operations that are part of the document.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(info::get_info)).routes(routes!(docs::get_docs))
}
