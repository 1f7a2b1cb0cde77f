//! Runs: operations that create, await, stream, read and cancel them.

mod bulk_cancel;
mod cancel;
mod create;
mod delete;
mod ending;
mod get;
mod join;
mod join_stream;
mod list;
mod on_disconnect;
mod outcome;
mod stateless;
mod stream;
mod submit;
mod wait;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::App;

pub(crate) use outcome::{Outcome, flatten};
pub(crate) use submit::{Attach, named_assistant, permit_run, submit};
pub(crate) use wait::{come_to, ended};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create_run, list::list_runs))
        .routes(routes!(stream::stream_run))
        .routes(routes!(wait::wait_run))
        .routes(routes!(get::get_run, delete::delete_run))
        .routes(routes!(join::join_run))
        .routes(routes!(join_stream::join_run_stream))
        .routes(routes!(cancel::cancel_run))
        .routes(routes!(bulk_cancel::cancel_runs))
        .merge(stateless::routes())
}
