//! Creating runs.

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::JsonMap;
use langopen_core::model::{
    CancelAction, CancelRequest, CronFiring, MultitaskStrategy, NewRun, Run, RunOrigin, ThreadTtl,
};
use langopen_core::queue::{CancelSignal, Enqueued};
use langopen_core::tenant::Scope;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, SqliteConnection};

use crate::rules::{deployment, documents, run};
use crate::sqlite::columns::{self, Context, get, text, time};
use crate::sqlite::writer::{run_together, together};
use crate::sqlite::{crons, readiness, thread_rows};

const OPERATION: &str = "queue.enqueue";

/// The result of creating a run, and the signals to send.
pub(super) struct Added {
    pub(super) enqueued: Enqueued,
    pub(super) signal: Option<CancelSignal>,
    pub(super) ready: bool,
}

/// The state of the thread and its deployment before the first write.
struct Before {
    /// The thread's metadata and config; `None` if the thread must be created.
    thread: Option<(JsonMap, JsonMap)>,
    pending: bool,
    /// The running run, with its requested cancel.
    running: Option<(RunId, Option<CancelAction>)>,
    /// Whether another run of the thread is ready.
    ready: bool,
    fresh_thread: bool,
    max_runs_in_flight: Option<u32>,
}

/// The columns of a new run's row that [`Run`](langopen_core::model::Run) does not hold, and its encoded metadata.
struct RunWrite {
    metadata: String,
    ready: bool,
    delayed: bool,
}

/// The columns that a new run writes to its thread's row.
struct ThreadWrite {
    is_new: bool,
    ttl: Option<ThreadTtl>,
    metadata: String,
    config: String,
}

async fn look(db: &mut SqliteConnection, scope: &Scope, new: &NewRun) -> Result<Before> {
    let row = sqlx::query(
        "SELECT t.tenant, t.metadata, t.config, r.run_id AS running, r.cancel_action,
            EXISTS (SELECT 1 FROM runs WHERE run_id = ?2) AS run_is_there,
            EXISTS (SELECT 1 FROM runs WHERE thread_id = ?1 AND status = 'pending') AS pending,
            EXISTS (SELECT 1 FROM runs WHERE thread_id = ?1 AND ready = 1) AS ready,
            NOT EXISTS (SELECT 1 FROM checkpoints WHERE thread_id = ?1) AS fresh_thread, d.max_runs_in_flight
         FROM (SELECT 1) LEFT JOIN threads t ON t.thread_id = ?1 LEFT JOIN deployments d ON d.tenant = ?3
            LEFT JOIN runs r ON r.thread_id = ?1 AND r.status = 'running'",
    )
    .bind(new.thread_id.0)
    .bind(new.run_id.0)
    .bind(scope.tenant.as_str())
    .fetch_one(db)
    .await
    .context(OPERATION)?;
    if get(&row, "run_is_there")? {
        return Err(Error::new(ErrorKind::AlreadyExists, OPERATION, format!("run {} exists already", new.run_id)));
    }
    let thread = thread_of(&row, scope, new)?;
    let running: Option<_> = get(&row, "running")?;
    let cancel: Option<&str> = get(&row, "cancel_action")?;
    Ok(Before {
        thread,
        pending: get(&row, "pending")?,
        running: running.map(|run_id| (RunId(run_id), cancel.and_then(CancelAction::parse))),
        ready: get(&row, "ready")?,
        fresh_thread: get(&row, "fresh_thread")?,
        max_runs_in_flight: get(&row, "max_runs_in_flight")?,
    })
}

fn thread_of(row: &SqliteRow, scope: &Scope, new: &NewRun) -> Result<Option<(JsonMap, JsonMap)>> {
    let id = new.thread_id;
    if get::<Option<&str>>(row, "tenant")?.is_none() {
        return if new.thread.create { Ok(None) } else { Err(thread_rows::not_found(OPERATION, id)) };
    }
    let metadata = columns::json(row, "metadata")?;
    if documents::in_scope(scope, &columns::tenant(row)?, &metadata) {
        Ok(Some((metadata, columns::json(row, "config")?)))
    } else if new.thread.create {
        Err(Error::new(ErrorKind::AlreadyExists, OPERATION, format!("thread {id} exists already")))
    } else {
        Err(thread_rows::not_found(OPERATION, id))
    }
}

/// Refuses a run if the deployment is at its limit. Pending runs of the thread `ends` do not count.
async fn check_room(db: &mut SqliteConnection, scope: &Scope, ends: Option<ThreadId>, limit: u32) -> Result<()> {
    let count = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM runs WHERE status = 'running' AND tenant = ?1)
            + (SELECT count(*) FROM runs WHERE status = 'pending' AND tenant = ?1 AND (?2 IS NULL OR thread_id <> ?2))",
    );
    let count = count.bind(scope.tenant.as_str()).bind(ends.map(|id| id.0));
    let in_flight: i64 = count.fetch_one(db).await.context(OPERATION)?;
    deployment::check_room(OPERATION, in_flight.unsigned_abs(), limit)
}

pub(super) async fn enqueue(db: &mut SqliteConnection, scope: Scope, mut new: NewRun, now: Timestamp) -> Result<Added> {
    new.available_at = new.available_at.max(now);
    let before = look(db, &scope, &new).await?;
    let id = new.thread_id;
    if new.multitask_strategy == MultitaskStrategy::Reject && (before.pending || before.running.is_some()) {
        return Err(Error::conflict(OPERATION, format!("a run is in flight on thread {id}")));
    }
    if let Some(firing) = new.firing {
        crons::check_firing(OPERATION, db, &scope, firing, now).await?;
    }
    let superseded = run::superseded_by(&new);
    if let Some(limit) = before.max_runs_in_flight {
        check_room(db, &scope, superseded.is_some().then_some(id), limit).await?;
    }
    let delayed = new.available_at > now;
    if !delayed && (before.pending || before.running.is_some()) {
        new.available_at = run::behind(last_in_line(db, id, superseded.is_some()).await?, new.available_at, new.run_id);
    }
    let is_new = before.thread.is_none();
    let (mut metadata, mut config) = before.thread.unwrap_or_default();
    let row = run::row(&new, &metadata, now);
    documents::merge(&mut metadata, new.thread.metadata);
    documents::merge_config(&mut config, new.thread.config);
    let ttl = new.thread.ttl.filter(|_| is_new);
    let thread = ThreadWrite { is_new, ttl, metadata: text(&metadata)?, config: text(&config)? };

    let (mut ended, mut signal) = (Vec::new(), None);
    let supersedes = superseded.filter(|_| before.pending || before.running.is_some());
    let alone = before.running.is_none() && (!before.pending || supersedes.is_some());
    let write = RunWrite { metadata: text(&row.metadata)?, ready: alone && !delayed, delayed };
    let mut ready = write.ready || delayed;
    match supersedes {
        None if alone || before.ready || before.running.is_some() => {
            insert(db, &scope, &row, thread, write, new.firing).await?;
        }
        None => {
            let mut part = db.begin().await.context(OPERATION)?;
            insert(&mut part, &scope, &row, thread, write, new.firing).await?;
            // Delayed runs of the thread may be due now, with an earlier start time than the new run.
            ready |= readiness::promote(OPERATION, &mut part, id, now).await?.is_some();
            part.commit().await.context(OPERATION)?;
        }
        Some(request) => {
            // Several statements need a transaction, or a savepoint in the open one.
            let mut part = db.begin().await.context(OPERATION)?;
            if before.pending {
                ended = end_pending(&mut part, id, &request, now).await?;
            }
            if let Some((run_id, earlier)) = before.running {
                signal = Some(ask_to_cancel(&mut part, run_id, run::merged_cancel(earlier, request)).await?);
            }
            insert(&mut part, &scope, &row, thread, write, new.firing).await?;
            part.commit().await.context(OPERATION)?;
        }
    }
    let enqueued = Enqueued { run: row, fresh_thread: before.fresh_thread, ended };
    Ok(Added { enqueued, signal, ready })
}

/// The last of a thread's runs in line: its pending runs that are not delayed, and its running run. The running run
/// counts because its worker may release it. Pending runs do not count if `pending_end` is set.
async fn last_in_line(
    db: &mut SqliteConnection,
    id: ThreadId,
    pending_end: bool,
) -> Result<Option<(Timestamp, RunId)>> {
    let row = sqlx::query(
        "SELECT available_at, run_id FROM (
            SELECT * FROM (SELECT available_at, run_id FROM runs WHERE thread_id = ?1 AND status = 'pending' AND delayed = 0 AND NOT ?2
                ORDER BY available_at DESC, run_id DESC LIMIT 1)
            UNION ALL
            SELECT available_at, run_id FROM runs WHERE thread_id = ?1 AND status = 'running')
         ORDER BY available_at DESC, run_id DESC LIMIT 1",
    );
    let row = row.bind(id.0).bind(pending_end).fetch_optional(db).await.context(OPERATION)?;
    row.map(|row| Ok((time(&row, "available_at")?, RunId(get(&row, "run_id")?)))).transpose()
}

async fn end_pending(
    db: &mut SqliteConnection,
    id: ThreadId,
    request: &CancelRequest,
    now: Timestamp,
) -> Result<Vec<RunId>> {
    let rows = sqlx::query(
        "SELECT run_id, cancel_action FROM runs WHERE thread_id = ? AND status = 'pending' ORDER BY available_at, run_id",
    );
    let rows = rows.bind(id.0).fetch_all(&mut *db).await.context(OPERATION)?;
    let mut ended = Vec::with_capacity(rows.len());
    for row in &rows {
        let (run_id, earlier) = (RunId(get(row, "run_id")?), get::<Option<&str>>(row, "cancel_action")?);
        let request = run::merged_cancel(earlier.and_then(CancelAction::parse), request.clone());
        readiness::cancel_pending(OPERATION, db, id, run_id, &request, now).await?;
        ended.push(run_id);
    }
    Ok(ended)
}

async fn ask_to_cancel(db: &mut SqliteConnection, run_id: RunId, request: CancelRequest) -> Result<CancelSignal> {
    let ask = sqlx::query("UPDATE runs SET cancel_action = ?, cancel_reason = ? WHERE run_id = ?");
    let ask = ask.bind(request.action.as_str()).bind(&request.reason).bind(run_id.0);
    ask.execute(db).await.context(OPERATION)?;
    Ok(CancelSignal { run_id, request })
}

/// Writes the rows of the thread and the run in one round trip. If a cron fired the run, also sets the cron's next
/// firing.
async fn insert(
    db: &mut SqliteConnection,
    scope: &Scope,
    run: &Run,
    thread: ThreadWrite,
    write: RunWrite,
    firing: Option<CronFiring>,
) -> Result<()> {
    const INSERT_RUN: &str =
        "INSERT INTO runs (run_id, tenant, thread_id, assistant_id, graph_id, status, ready, delayed, available_at, attempt,
            multitask_strategy, resumable, temporary, webhook, created_at, updated_at, metadata, kwargs, origin)
         VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let ThreadWrite { is_new, ttl, metadata: thread_metadata, config: thread_config } = thread;
    let thread = match is_new {
        true => {
            "INSERT INTO threads (metadata, config, updated_at, thread_id, tenant, status, created_at, state_updated_at,
                ttl_strategy, ttl_minutes)
             VALUES (?, ?, ?, ?, ?, 'busy', ?, ?, ?, ?)"
        }
        false => "UPDATE threads SET status = 'busy', metadata = ?, config = ?, updated_at = ? WHERE thread_id = ?",
    };
    let now = run.updated_at.as_micros();
    let origin = (run.origin != RunOrigin::default()).then(|| text(&run.origin)).transpose()?;
    let statements = match firing {
        None => format!("{thread}; {INSERT_RUN}"),
        Some(_) => format!("{thread}; {INSERT_RUN}; {}", crons::ADVANCE),
    };
    let query = sqlx::query(together(db, &statements));
    let mut query = query.bind(thread_metadata).bind(thread_config).bind(now).bind(run.thread_id.0);
    if is_new {
        query = query.bind(scope.tenant.as_str()).bind(now).bind(now);
        query = query.bind(ttl.map(|ttl| ttl.strategy.as_str())).bind(ttl.map(|ttl| ttl.minutes));
    }
    let mut query = query
        .bind(run.run_id.0)
        .bind(scope.tenant.as_str())
        .bind(run.thread_id.0)
        .bind(run.assistant_id.0)
        .bind(&run.graph_id)
        .bind(write.ready)
        .bind(write.delayed)
        .bind(run.created_at.as_micros())
        .bind(run.multitask_strategy.as_str())
        .bind(run.resumable)
        .bind(run.temporary)
        .bind(run.webhook.as_deref())
        .bind(run.created_at.as_micros())
        .bind(now)
        .bind(write.metadata)
        .bind(run.kwargs.as_str())
        .bind(origin);
    if let Some(firing) = firing {
        query = query.bind(firing.next.map(Timestamp::as_micros)).bind(firing.cron_id.0);
    }
    run_together(OPERATION, db, query).await.map(drop)
}
