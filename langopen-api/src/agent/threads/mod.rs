//! Threads: each holds the state of a conversation and its runs.

mod copy;
mod count;
mod create;
mod delete;
mod extract;
mod get;
mod listen;
mod prune;
mod search;
mod storage;
mod stream;
mod ttl;
mod update;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create_thread))
        .routes(routes!(search::search_threads))
        .routes(routes!(count::count_threads))
        .routes(routes!(prune::prune_threads))
        .routes(routes!(get::get_thread, update::update_thread, delete::delete_thread))
        .routes(routes!(copy::copy_thread))
        .routes(routes!(storage::get_storage))
        .routes(routes!(stream::join_thread_stream))
}
