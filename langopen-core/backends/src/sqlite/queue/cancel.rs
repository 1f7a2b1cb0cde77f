//! Cancelling runs.

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::event_log::LogKey;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::model::{CancelAction, CancelRequest};
use langopen_core::queue::{CancelSignal, Cancelled, InFlight};
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::{Scope, Tenant};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, SqliteConnection};

use crate::rules::documents::passes;
use crate::rules::run::merged_cancel;
use crate::sqlite::columns::{self, Context, get};
use crate::sqlite::{conditions, readiness};

/// The result of cancelling a run, and the signal to send.
pub(super) struct Done {
    pub(super) cancelled: Cancelled,
    pub(super) signal: Option<CancelSignal>,
    pub(super) promoted: Option<RunId>,
}

/// The result of cancelling several runs, and the signals to send.
#[derive(Default)]
pub(in crate::sqlite) struct Stopped {
    pub(in crate::sqlite) ended: Vec<LogKey>,
    pub(in crate::sqlite) signals: Vec<CancelSignal>,
    pub(in crate::sqlite) promoted: bool,
}

/// Cancels the runs in flight with the `thread_id` and `run_id` of these rows, in their order.
pub(in crate::sqlite) async fn stop(
    operation: &'static str,
    db: &mut SqliteConnection,
    tenant: &Tenant,
    rows: &[SqliteRow],
    request: &CancelRequest,
    now: Timestamp,
) -> Result<Stopped> {
    let mut stopped = Stopped::default();
    for row in rows {
        let (thread_id, run_id) = (ThreadId(get(row, "thread_id")?), RunId(get(row, "run_id")?));
        let scope = Scope::tenant(tenant.clone());
        match cancel(operation, db, scope, thread_id, run_id, request.clone(), now).await {
            Ok(done) => {
                stopped.promoted |= done.promoted.is_some();
                match done.cancelled {
                    Cancelled::Ended => stopped.ended.push(LogKey { thread_id, run_id }),
                    Cancelled::Requested => stopped.signals.extend(done.signal),
                }
            }
            // An earlier cancel of this loop removed the temporary run's thread, and this run with it.
            Err(error) if error.kind() == ErrorKind::NotFound => stopped.ended.push(LogKey { thread_id, run_id }),
            Err(error) => return Err(error),
        }
    }
    Ok(stopped)
}

/// Cancels the runs in flight that the scope shows.
pub(super) async fn cancel_in_flight(
    db: &mut SqliteConnection,
    scope: Scope,
    which: InFlight,
    request: CancelRequest,
    now: Timestamp,
) -> Result<Stopped> {
    const OPERATION: &str = "queue.cancel_in_flight";
    let mut rows = Vec::new();
    for status in which.statuses() {
        let mut sql = QueryBuilder::new(
            "SELECT r.thread_id, r.run_id, t.metadata FROM runs r JOIN threads t USING (thread_id) WHERE r.status = ",
        );
        // The status is part of the text, so that SQLite can use the partial index on it.
        sql.push(format_args!("'{}' AND r.tenant = ", status.as_str())).push_bind(scope.tenant.as_str());
        let decided = conditions::push_filter(&mut sql, "t.metadata", scope.filter.as_ref());
        sql.push(" ORDER BY r.available_at, r.run_id");
        let found = sql.build().persistent(false).fetch_all(&mut *db).await.context(OPERATION)?;
        for row in found {
            if decided || passes(&scope, &columns::json(&row, "metadata")?) {
                rows.push(row);
            }
        }
    }
    stop(OPERATION, db, &scope.tenant, &rows, &request, now).await
}

pub(super) async fn cancel(
    operation: &'static str,
    db: &mut SqliteConnection,
    scope: Scope,
    thread_id: ThreadId,
    run_id: RunId,
    request: CancelRequest,
    now: Timestamp,
) -> Result<Done> {
    let there = readiness::visible_run(operation, db, &scope, thread_id, run_id).await?;
    let missing = || Error::not_found(operation, format!("there is no run {run_id} in flight on thread {thread_id}"));
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
        ask.execute(db).await.context(operation)?;
        let signal = Some(CancelSignal { run_id, request });
        return Ok(Done { cancelled: Cancelled::Requested, signal, promoted: None });
    }
    let temporary = get(&row, "temporary")?;
    readiness::cancel_pending(operation, db, thread_id, run_id, &request, now).await?;
    let promoted = readiness::settle(operation, db, thread_id, temporary, now).await?;
    Ok(Done { cancelled: Cancelled::Ended, signal: None, promoted })
}
