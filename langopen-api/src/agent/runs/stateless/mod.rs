//! Operations that create runs on threads of their own.

mod batch;
mod create;
mod stream;
mod wait;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create_stateless_run))
        .routes(routes!(stream::stream_stateless_run))
        .routes(routes!(wait::wait_stateless_run))
        .routes(routes!(batch::batch_runs))
}
