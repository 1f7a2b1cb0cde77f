use axum::extract::State;
use langopen_core::RunStatus;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{Page, RunQuery};
use serde_json::json;
use utoipa::IntoParams;

use crate::agent::App;
use crate::agent::ThreadPath;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::agent::wire::{Listing, RunBody, RunField};
use crate::http::access::Caller;
use crate::http::extract::Query;
use crate::http::extract::field::{LIMIT, MAX_LIMIT, check_select};

// This struct only documents the query; the handler reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
struct ListQuery {
    /// The maximum number of runs.
    #[param(minimum = 0, default = 10)]
    limit: Option<u32>,
    /// The number of runs to skip.
    #[param(minimum = 0, default = 0)]
    offset: Option<u32>,
    /// The runs must have exactly this status.
    #[param(inline)]
    status: Option<RunStatus>,
    /// The fields to return; all if absent.
    #[param(inline)]
    select: Option<Vec<RunField>>,
}

/// List Runs
///
/// Returns the runs of a thread, newest first.
#[utoipa::path(
    get, path = "/threads/{thread_id}/runs", tag = "Thread Runs", operation_id = "list_runs",
    params(
        ("thread_id" = Uuid, Path, description = "The thread"),
        ListQuery,
    ),
    responses(
        (status = 200, description = "The runs", body = Vec<RunBody>),
        (status = 404, description = "No such thread", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn list_runs(
    State(app): State<App>,
    caller: Caller,
    ThreadPath(thread_id): ThreadPath,
    query: Query,
) -> ApiResult<Listing> {
    let limit = query.number("limit", LIMIT, 1, MAX_LIMIT)?;
    let offset = query.number("offset", 0, 0, u32::MAX)?;
    let select = query.list("select");
    check_select(&select, &RunBody::FIELDS)?;
    let scope = caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await?.scope;
    let status = query.last("status").map(RunStatus::parse);
    let page = match status {
        // An unknown status matches no run.
        Some(None) => Page { items: Vec::new(), more: false },
        status => {
            let query = RunQuery::default().with_status(status.flatten()).with_limit(limit).with_offset(offset);
            app.storage.list_runs(&scope, thread_id, &query).await?
        }
    };
    // Only an empty page may mean that the thread does not exist.
    if page.items.is_empty() && app.storage.thread(&scope, thread_id).await?.is_none() {
        return Err(ApiError::not_found(format!("Thread with ID {thread_id} not found")));
    }
    Listing::new(page, offset, &select, RunBody::from)
}
