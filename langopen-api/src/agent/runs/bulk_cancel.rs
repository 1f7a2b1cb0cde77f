use axum::extract::State;
use http::StatusCode;
use langopen_core::auth::{Action, Resource};
use langopen_core::model::{CancelAction, CancelRequest};
use langopen_core::{ErrorKind, RunId, Scope, ThreadId, queue};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::cancel::{action, wish};
use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult, ErrorResponse};
use crate::http::access::Caller;
use crate::http::extract::{Query, SmallBody, parse_id};

/// The runs to cancel: all with a status, or a list of runs on one thread.
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

impl From<InFlight> for queue::InFlight {
    fn from(which: InFlight) -> Self {
        match which {
            InFlight::Pending => Self::Pending,
            InFlight::Running => Self::Running,
            InFlight::All => Self::All,
        }
    }
}

// This struct only documents the query; the handler reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
struct BulkCancelQuery {
    #[param(inline)]
    action: Option<CancelAction>,
}

/// Cancel Runs
///
/// Cancels several runs.
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
    SmallBody(body): SmallBody<RunsCancel>,
) -> ApiResult<StatusCode> {
    let value = || json!({"thread_id": body.thread_id, "metadata": {}, "action": action(&query).as_str()});
    let scope = caller.may(Resource::Threads, Action::Update, value).await?.scope;
    let request = wish(&query, "/runs/cancel");
    let found = match (body.status, body.thread_id, body.run_ids) {
        (Some(status), None, None) => app.runs.cancel_in_flight(&scope, status.into(), request).await? > 0,
        (None, Some(thread_id), Some(run_ids)) => {
            let thread_id: ThreadId = parse_id(&thread_id, "thread")?;
            let run_ids = run_ids.iter().map(|id| parse_id(id, "run")).collect::<Result<Vec<RunId>, _>>()?;
            of_thread(&app, &scope, thread_id, run_ids, request).await?
        }
        (Some(_), ..) => {
            return Err(ApiError::invalid(
                "When providing a 'status', 'thread_id' and 'run_ids' must be omitted. The 'status' parameter cancels all \
                 runs with the given status, regardless of thread or run ID.",
            ));
        }
        (None, ..) => return Err(ApiError::invalid("Either 'status', or 'thread_id' and 'run_ids' must be given")),
    };
    if found { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found("No runs found to cancel.")) }
}

/// Cancels runs of a thread. Returns whether any of them was in flight.
async fn of_thread(
    app: &App,
    scope: &Scope,
    thread_id: ThreadId,
    run_ids: Vec<RunId>,
    request: CancelRequest,
) -> ApiResult<bool> {
    let mut found = false;
    for run_id in run_ids {
        match app.runs.cancel(scope, thread_id, run_id, request.clone()).await {
            Ok(_) => found = true,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}
