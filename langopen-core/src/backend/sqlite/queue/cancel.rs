//! Cancelling runs.

use sqlx::SqliteConnection;

use crate::backend::rules::run::merged_cancel;
use crate::backend::sqlite::columns::{self, Context, get};
use crate::backend::sqlite::readiness;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::ids::{RunId, ThreadId};
use crate::model::{CancelAction, CancelRequest};
use crate::queue::{CancelSignal, Cancelled};
use crate::run_state::RunStatus;
use crate::tenant::Scope;

/// What a cancel did, and whom to tell.
pub(super) struct Done {
    pub(super) cancelled: Cancelled,
    pub(super) signal: Option<CancelSignal>,
    pub(super) promoted: Option<RunId>,
}

pub(super) async fn cancel(
    db: &mut SqliteConnection,
    scope: Scope,
    thread_id: ThreadId,
    run_id: RunId,
    request: CancelRequest,
    now: Timestamp,
) -> Result<Done> {
    const OPERATION: &str = "queue.cancel";
    let there = readiness::visible_run(OPERATION, db, &scope, thread_id, run_id).await?;
    let missing = || Error::not_found(OPERATION, format!("there is no run {run_id} in flight on thread {thread_id}"));
    let row = there.ok_or_else(missing)?;
    let status = columns::named(&row, "status", RunStatus::parse)?;
    if status.is_terminal() {
        return Err(missing());
    }
    let earlier: Option<&str> = get(&row, "cancel_action")?;
    let request = merged_cancel(earlier.and_then(CancelAction::parse), request);
    if status == RunStatus::Running {
        let ask = sqlx::query("UPDATE runs SET cancel_action = ?, cancel_reason = ? WHERE run_id = ?");
        let ask = ask.bind(request.action.as_str()).bind(&request.reason).bind(run_id.0);
        ask.execute(db).await.context(OPERATION)?;
        let signal = Some(CancelSignal { run_id, request });
        return Ok(Done { cancelled: Cancelled::Requested, signal, promoted: None });
    }
    let temporary = get(&row, "temporary")?;
    readiness::cancel_pending(OPERATION, db, thread_id, run_id, &request, now).await?;
    let promoted = readiness::settle(OPERATION, db, thread_id, temporary, now).await?;
    Ok(Done { cancelled: Cancelled::Ended, signal: None, promoted })
}
