//! The Model Context Protocol at `/mcp`: every assistant is a tool. The transport is Streamable HTTP without sessions:
//! requests do not depend on each other, and answers are JSON.

mod call;
mod endpoint;
mod origin;
mod tools;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(endpoint::post_mcp, endpoint::get_mcp, endpoint::delete_mcp))
}
