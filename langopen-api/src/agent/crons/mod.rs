//! Crons: runs on a schedule.

mod body;
mod check;
mod count;
mod create;
mod delete;
mod get;
mod search;
mod update;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create_thread_cron))
        .routes(routes!(create::create_cron))
        .routes(routes!(search::search_crons))
        .routes(routes!(count::count_crons))
        .routes(routes!(get::get_cron, update::update_cron, delete::delete_cron))
}
