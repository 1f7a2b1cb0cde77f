use axum::extract::State;
use http::StatusCode;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{RunQuery, SortOrder, ThreadQuery, ThreadSort, ThreadStatus};
use langopen_core::{ErrorKind, RunId, RunStatus, Scope, ThreadId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::cancel::{action, cancel, wish};
use crate::access::Caller;
use crate::error::{ApiError, ApiResult, ErrorResponse};
use crate::extract::field::MAX_LIMIT;
use crate::extract::{Body, Query, parse_id};
use crate::server::App;
use crate::wire::CancelActionName;

/// Which runs to cancel: those of a status, or those of a list on one thread.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct RunsCancel {
    #[serde(default)]
    #[schema(inline)]
    status: Option<InFlight>,
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    thread_id: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<Uuid>>)]
    run_ids: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum InFlight {
    Pending,
    Running,
    All,
}

impl InFlight {
    fn statuses(self) -> &'static [RunStatus] {
        match self {
            Self::Pending => &[RunStatus::Pending],
            Self::Running => &[RunStatus::Running],
            // Pending runs first, lest the end of a running one lets the next of its thread begin.
            Self::All => &[RunStatus::Pending, RunStatus::Running],
        }
    }
}

// It documents the query; see the handler.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
struct BulkCancelQuery {
    #[param(inline)]
    action: Option<CancelActionName>,
}

/// Cancel Runs
///
/// Ends several runs.
#[utoipa::path(
    post, path = "/runs/cancel", tag = "Thread Runs", operation_id = "cancel_runs",
    params(BulkCancelQuery),
    request_body = RunsCancel,
    responses(
        (status = 204, description = "The runs will end"),
        (status = 404, description = "No such run in flight", body = ErrorResponse),
        (status = 422, description = "Invalid request", body = ErrorResponse),
    )
)]
pub(super) async fn cancel_runs(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    Body(body): Body<RunsCancel>,
) -> ApiResult<StatusCode> {
    let value = || json!({"thread_id": body.thread_id, "metadata": {}, "action": action(&query).as_str()});
    let scope = caller.may(Resource::Threads, Action::Update, value).await?.scope;
    let runs = match (body.status, body.thread_id, body.run_ids) {
        (Some(status), None, None) => of_status(&app, &scope, status).await?,
        (None, Some(thread_id), Some(run_ids)) => {
            let thread_id: ThreadId = parse_id(&thread_id, "thread")?;
            let ids = run_ids.iter().map(|id| Ok((thread_id, parse_id(id, "run")?)));
            ids.collect::<ApiResult<Vec<_>>>()?
        }
        (Some(_), ..) => {
            return Err(ApiError::invalid(
                "When providing a 'status', 'thread_id' and 'run_ids' must be omitted. The 'status' parameter cancels all \
                 runs with the given status, regardless of thread or run ID.",
            ));
        }
        (None, ..) => return Err(ApiError::invalid("Either 'status', or 'thread_id' and 'run_ids' must be given")),
    };
    let mut found = false;
    for (thread_id, run_id) in runs {
        match cancel(&app, &scope, thread_id, run_id, wish(&query, "/runs/cancel")).await {
            Ok(()) => found = true,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    if found { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found("No runs found to cancel.")) }
}

/// The runs in flight: those of busy threads.
async fn of_status(app: &App, scope: &Scope, status: InFlight) -> ApiResult<Vec<(ThreadId, RunId)>> {
    let mut threads = ThreadQuery {
        status: Some(ThreadStatus::Busy),
        limit: MAX_LIMIT,
        sort_by: ThreadSort::ThreadId,
        sort_order: SortOrder::Asc,
        ..ThreadQuery::default()
    };
    let mut found = Vec::new();
    loop {
        let page = app.storage.search_threads(scope, &threads).await?;
        for thread in page.items {
            for status in status.statuses() {
                let mut runs = RunQuery { status: Some(*status), limit: MAX_LIMIT, offset: 0 };
                loop {
                    let page = app.storage.list_runs(scope, thread.thread_id, &runs).await?;
                    found.extend(page.items.iter().map(|run| (run.thread_id, run.run_id)));
                    if !page.more {
                        break;
                    }
                    runs.offset += MAX_LIMIT;
                }
            }
        }
        if !page.more {
            return Ok(found);
        }
        threads.offset += MAX_LIMIT;
    }
}
