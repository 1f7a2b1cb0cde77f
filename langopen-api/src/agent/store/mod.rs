//! The long-term store.

mod delete;
mod get;
mod guard;
mod item;
mod namespace;
mod namespaces;
mod put;
mod search;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(put::put_item, get::get_item, delete::delete_item))
        .routes(routes!(search::search_items))
        .routes(routes!(namespaces::list_namespaces))
}
