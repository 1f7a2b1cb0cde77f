//! Cancelling runs.

use std::collections::{BTreeSet, HashMap};

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::event_log::LogKey;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::model::{CancelAction, CancelRequest};
use langopen_core::queue::{CancelSignal, InFlight};
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::{Scope, Tenant};
use sqlx::QueryBuilder;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::postgres::Postgres;
use crate::postgres::columns::{self, Context, get};
use crate::postgres::readiness::{self, Unbegun};
use crate::postgres::session::{Db, transaction};
use crate::postgres::{conditions, thread_rows};
use crate::rules::documents::passes;
use crate::rules::run::merged_cancel;

/// The result of cancelling runs, and the signals to send.
#[derive(Default)]
pub(in crate::postgres) struct Stopped {
    pub(in crate::postgres) ended: Vec<LogKey>,
    pub(in crate::postgres) signals: Vec<CancelSignal>,
    pub(in crate::postgres) promoted: bool,
}

/// Combines the request with the one that the run's row already holds.
pub(super) fn merged(row: &PgRow, request: &CancelRequest) -> Result<CancelRequest> {
    let earlier: Option<&str> = get(row, "cancel_action")?;
    Ok(merged_cancel(earlier.and_then(CancelAction::parse), request.clone()))
}

/// Stores a cancel request for a running run. Its worker reads it with the next heartbeat.
pub(super) async fn ask(operation: &'static str, db: &mut Db, run_id: RunId, request: &CancelRequest) -> Result<()> {
    let ask = sqlx::query("UPDATE runs SET cancel_action = $1, cancel_reason = $2 WHERE run_id = $3");
    let ask = ask.bind(request.action.as_str()).bind(&request.reason).bind(run_id.0);
    ask.execute(db).await.context(operation)?;
    Ok(())
}

/// Cancels those of the runs that are in flight, in their order, in one transaction.
pub(in crate::postgres) async fn stop(
    operation: &'static str,
    db: &mut Db,
    tenant: &Tenant,
    runs: &[(ThreadId, RunId)],
    request: &CancelRequest,
    now: Timestamp,
) -> Result<Stopped> {
    stop_those(operation, db, tenant, runs, InFlight::All, request, now).await
}

async fn stop_those(
    operation: &'static str,
    db: &mut Db,
    tenant: &Tenant,
    runs: &[(ThreadId, RunId)],
    which: InFlight,
    request: &CancelRequest,
    now: Timestamp,
) -> Result<Stopped> {
    let threads: Vec<_> = runs.iter().map(|(thread_id, _)| *thread_id).collect::<BTreeSet<_>>().into_iter().collect();
    thread_rows::lock(operation, db, &threads).await?;
    let rows = sqlx::query(
        "SELECT run_id, thread_id, status, temporary, webhook IS NOT NULL AS tells, cancel_action FROM runs
         WHERE run_id = ANY ($1) AND tenant = $2 AND status IN ('pending', 'running') ORDER BY run_id FOR NO KEY UPDATE",
    );
    let rows = rows.bind(runs.iter().map(|(_, run_id)| run_id.0).collect::<Vec<_>>()).bind(tenant.as_str());
    let rows = rows.fetch_all(&mut *db).await.context(operation)?;
    let mut rows = rows.iter().map(|row| Ok((get::<Uuid>(row, "run_id")?, row))).collect::<Result<HashMap<_, _>>>()?;
    let rows: Vec<_> = runs.iter().filter_map(|(_, run_id)| rows.remove(&run_id.0)).collect();
    stop_locked(operation, db, &rows, which, request, now).await
}

/// Cancels runs. The caller has locked their rows and the rows of their threads.
async fn stop_locked(
    operation: &'static str,
    db: &mut Db,
    rows: &[&PgRow],
    which: InFlight,
    request: &CancelRequest,
    now: Timestamp,
) -> Result<Stopped> {
    let (mut unbegun, mut temporary, mut signals) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let (thread_id, run_id) = (ThreadId(get(row, "thread_id")?), RunId(get(row, "run_id")?));
        let status = columns::named(&**row, "status", RunStatus::parse)?;
        if !which.statuses().contains(&status) {
            continue;
        }
        let request = merged(row, request)?;
        if status == RunStatus::Running {
            ask(operation, db, run_id, &request).await?;
            signals.push(CancelSignal { run_id, request });
        } else {
            if get(row, "temporary")? {
                temporary.push(thread_id);
            }
            unbegun.push(Unbegun { thread_id, run_id, tells: get(row, "tells")?, request });
        }
    }
    if unbegun.is_empty() {
        return Ok(Stopped { ended: Vec::new(), signals, promoted: false });
    }
    readiness::end_unbegun(operation, db, &unbegun, now).await?;
    thread_rows::remove(operation, db, &temporary).await?;
    let threads: BTreeSet<_> = unbegun.iter().map(|run| run.thread_id).collect();
    let threads: Vec<_> = threads.into_iter().filter(|id| !temporary.contains(id)).collect();
    let promoted = readiness::settle(operation, db, &threads, now).await?;
    let ended = unbegun.iter().map(|run| LogKey { thread_id: run.thread_id, run_id: run.run_id }).collect();
    Ok(Stopped { ended, signals, promoted })
}

impl Postgres {
    /// Cancels the runs in flight that the scope shows.
    pub(super) async fn cancel_runs(&self, scope: &Scope, which: InFlight, request: &CancelRequest) -> Result<Stopped> {
        const OPERATION: &str = "queue.cancel_in_flight";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            let mut runs = Vec::new();
            for status in which.statuses() {
                let mut sql = QueryBuilder::new(
                    "SELECT r.thread_id, r.run_id, t.metadata FROM runs r JOIN threads t USING (thread_id) WHERE r.status = ",
                );
                // The status is part of the text, so that Postgres can use the partial index on it.
                sql.push(format_args!("'{}' AND r.tenant = ", status.as_str())).push_bind(scope.tenant.as_str());
                let decided = conditions::push_filter(&mut sql, "t.metadata_search", scope.filter.as_ref())?;
                sql.push(" ORDER BY r.available_at, r.run_id");
                for row in sql.build().persistent(false).fetch_all(&mut *db).await.context(OPERATION)? {
                    if decided || passes(scope, &columns::json(&row, "metadata")?) {
                        runs.push((ThreadId(get(&row, "thread_id")?), RunId(get(&row, "run_id")?)));
                    }
                }
            }
            let stopped = stop_those(OPERATION, db, &scope.tenant, &runs, which, request, now).await?;
            Ok(stopped)
        })
        .await
    }

    pub(super) async fn cancel_run(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        run_id: RunId,
        request: &CancelRequest,
    ) -> Result<Stopped> {
        const OPERATION: &str = "queue.cancel";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            thread_rows::lock(OPERATION, db, &[thread_id]).await?;
            let there = readiness::visible_run(OPERATION, db, scope, thread_id, run_id).await?;
            let missing =
                || Error::not_found(OPERATION, format!("there is no run {run_id} in flight on thread {thread_id}"));
            let row = there.ok_or_else(missing)?;
            if columns::named(&row, "status", RunStatus::parse)?.is_terminal() {
                return Err(missing());
            }
            let stopped = stop_locked(OPERATION, db, &[&row], InFlight::All, request, now).await?;
            Ok(stopped)
        })
        .await
    }
}
