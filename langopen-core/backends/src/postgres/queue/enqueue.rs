//! Creating runs.

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::ids::RunId;
use langopen_core::json::JsonMap;
use langopen_core::model::{CancelRequest, MultitaskStrategy, NewRun, Run, RunOrigin};
use langopen_core::queue::{CancelSignal, Enqueued};
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::{Scope, Tenant};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::cancel;
use crate::postgres::Postgres;
use crate::postgres::columns::{self, Context, get, is_taken, text};
use crate::postgres::conditions::searchable;
use crate::postgres::readiness::{self, Unbegun};
use crate::postgres::session::{self, Db, transaction};
use crate::postgres::{crons, thread_rows};
use crate::rules::{deployment, documents, run};

const OPERATION: &str = "queue.enqueue";

const ENQUEUE: &str =
    "SELECT outcome, available_at, wakes, fresh_thread, tenant, metadata, config, in_flight, most FROM langopen_enqueue(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)";

/// The result of creating a run, and the signals to send.
pub(super) struct Added {
    pub(super) enqueued: Enqueued,
    pub(super) signal: Option<CancelSignal>,
    pub(super) wakes: bool,
}

/// A thread as an earlier statement read it: its stored texts, and their decoded form.
struct Seen {
    metadata_text: String,
    config_text: String,
    metadata: JsonMap,
    config: JsonMap,
}

impl Seen {
    /// The thread of a row, if it exists and the scope shows it.
    fn of(row: &PgRow, scope: &Scope, new: &NewRun) -> Result<Option<Self>> {
        let id = new.thread_id;
        if get::<Option<&str>>(row, "tenant")?.is_none() {
            return if new.thread.create { Ok(None) } else { Err(thread_rows::not_found(OPERATION, id)) };
        }
        let metadata = columns::json(row, "metadata")?;
        if !documents::in_scope(scope, &columns::tenant(row)?, &metadata) {
            return Err(match new.thread.create {
                true => Error::new(ErrorKind::AlreadyExists, OPERATION, format!("thread {id} exists already")),
                false => thread_rows::not_found(OPERATION, id),
            });
        }
        Ok(Some(Self {
            metadata_text: get(row, "metadata")?,
            config_text: get(row, "config")?,
            metadata,
            config: columns::json(row, "config")?,
        }))
    }
}

/// The result of an attempt to create a run.
enum Attempt {
    Added {
        run: Box<Run>,
        fresh_thread: bool,
        wakes: bool,
    },
    /// The thread differs from what the caller read before.
    Changed(PgRow),
    /// The run must first cancel other runs in flight.
    Supersedes,
}

async fn attempt(
    db: &mut Db,
    scope: &Scope,
    new: &NewRun,
    seen: Option<&Seen>,
    settled: bool,
    now: Timestamp,
) -> Result<Attempt> {
    let (mut metadata, mut config) = seen.map(|seen| (seen.metadata.clone(), seen.config.clone())).unwrap_or_default();
    let mut run = run::row(new, &metadata, now);
    documents::merge(&mut metadata, new.thread.metadata.clone());
    documents::merge_config(&mut config, new.thread.config.clone());
    let origin = (run.origin != RunOrigin::default()).then(|| text(&run.origin)).transpose()?;
    let ttl = new.thread.ttl;
    let row = sqlx::query(ENQUEUE)
        .bind(now.as_micros())
        .bind(run.run_id.0)
        .bind(scope.tenant.as_str())
        .bind(run.thread_id.0)
        .bind(run.assistant_id.0)
        .bind(&run.graph_id)
        .bind(new.available_at.as_micros())
        .bind(run.multitask_strategy.as_str())
        .bind(run.resumable)
        .bind(run.temporary)
        .bind(run.webhook.as_deref())
        .bind(text(&run.metadata)?)
        .bind(run.kwargs.as_str())
        .bind(origin)
        .bind(text(&metadata)?)
        .bind(searchable(&metadata)?)
        .bind(text(&config)?)
        .bind(ttl.map(|ttl| ttl.strategy.as_str()))
        .bind(ttl.map(|ttl| ttl.minutes))
        .bind(seen.map(|seen| seen.metadata_text.as_str()))
        .bind(seen.map(|seen| seen.config_text.as_str()))
        .bind(settled);
    let row = match row.fetch_one(db).await.context(OPERATION) {
        Err(error) if is_taken(&error) => return Err(taken(new.run_id)),
        row => row?,
    };
    match get(&row, "outcome")? {
        "added" => {
            run.created_at = columns::time(&row, "available_at")?;
            Ok(Attempt::Added {
                run: Box::new(run),
                fresh_thread: get(&row, "fresh_thread")?,
                wakes: get(&row, "wakes")?,
            })
        }
        "changed" => Ok(Attempt::Changed(row)),
        // The run already exists. An earlier request created it, and it now conflicts with itself.
        "taken" => Err(taken(new.run_id)),
        "in flight" => Err(Error::conflict(OPERATION, format!("a run is in flight on thread {}", new.thread_id))),
        "full" => {
            let most = u32::try_from(columns::count(&row, "most")?).unwrap_or(u32::MAX);
            deployment::check_room(OPERATION, columns::count(&row, "in_flight")?, most)?;
            Err(Error::internal(OPERATION, "the database refused a run although the deployment is below its limit"))
        }
        _ => Ok(Attempt::Supersedes),
    }
}

fn taken(id: RunId) -> Error {
    Error::new(ErrorKind::AlreadyExists, OPERATION, format!("run {id} exists already"))
}

/// Reads the thread. The row has the columns of [`Attempt::Changed`].
async fn look(db: &mut Db, new: &NewRun, lock: &str) -> Result<Option<PgRow>> {
    let sql = format!("SELECT tenant, metadata, config FROM threads WHERE thread_id = $1 {lock}");
    sqlx::query(AssertSqlSafe(sql)).bind(new.thread_id.0).fetch_optional(db).await.context(OPERATION)
}

impl Postgres {
    pub(super) async fn add_run(&self, scope: &Scope, new: &NewRun) -> Result<Added> {
        let mut seen = None;
        // A new thread needs no read. If the thread changes between the read and the attempt, the attempt returns the
        // new row.
        if !new.thread.create {
            let row = look(&mut *self.session(OPERATION).await?, new, "").await?;
            let row = row.ok_or_else(|| thread_rows::not_found(OPERATION, new.thread_id))?;
            seen = Seen::of(&row, scope, new)?;
        }
        for _ in 0..5 {
            if new.firing.is_some() {
                break;
            }
            let attempted = self.retrying(|| async {
                let mut db = self.session(OPERATION).await?;
                let attempted = attempt(&mut db, scope, new, seen.as_ref(), false, self.now()).await;
                session::end(OPERATION, db, attempted).await
            });
            match attempted.await? {
                Attempt::Added { run, fresh_thread, wakes } => {
                    let enqueued = Enqueued { run: *run, fresh_thread, ended: Vec::new() };
                    return Ok(Added { enqueued, signal: None, wakes });
                }
                Attempt::Changed(row) => seen = Seen::of(&row, scope, new)?,
                Attempt::Supersedes => break,
            }
        }
        for _ in 0..5 {
            if let Some(added) = self.add_run_step_by_step(scope, new).await? {
                return Ok(added);
            }
        }
        Err(Error::unavailable(
            OPERATION,
            format!("thread {} is created and deleted concurrently; try again", new.thread_id),
        ))
    }

    /// Creates a run in a transaction that first locks the thread. Returns `None` if the thread did not exist at first,
    /// and another transaction created it meanwhile.
    async fn add_run_step_by_step(&self, scope: &Scope, new: &NewRun) -> Result<Option<Added>> {
        transaction!(self, OPERATION, |db| {
            let seen = match look(db, new, "FOR NO KEY UPDATE").await? {
                Some(row) => Seen::of(&row, scope, new)?,
                None if new.thread.create => None,
                None => return Err(thread_rows::not_found(OPERATION, new.thread_id)),
            };
            let there = sqlx::query("SELECT 1 FROM runs WHERE run_id = $1").bind(new.run_id.0);
            if there.fetch_optional(&mut *db).await.context(OPERATION)?.is_some() {
                return Err(taken(new.run_id));
            }
            let now = self.now();
            if let Some(firing) = new.firing {
                crons::check_firing(OPERATION, db, scope, firing, now).await?;
            }
            let Superseded { ended, signal } = match run::superseded_by(new) {
                Some(request) => supersede(db, &scope.tenant, new, &request, now).await?,
                None => Superseded::default(),
            };
            let settled = new.multitask_strategy != MultitaskStrategy::Reject;
            let attempted = attempt(db, scope, new, seen.as_ref(), settled, now).await?;
            let Attempt::Added { run, fresh_thread, wakes } = attempted else { return Ok(None) };
            if let Some(firing) = new.firing {
                crons::advance(OPERATION, db, firing).await?;
            }
            Ok(Some(Added { enqueued: Enqueued { run: *run, fresh_thread, ended }, signal, wakes }))
        })
        .await
    }
}

/// The effect of a new run on the runs in flight on its thread.
#[derive(Default)]
struct Superseded {
    ended: Vec<RunId>,
    signal: Option<CancelSignal>,
}

async fn supersede(
    db: &mut Db,
    tenant: &Tenant,
    new: &NewRun,
    request: &CancelRequest,
    now: Timestamp,
) -> Result<Superseded> {
    let rows = sqlx::query(
        "SELECT run_id, thread_id, status, temporary, webhook IS NOT NULL AS tells, cancel_action FROM runs
         WHERE thread_id = $1 AND tenant = $2 AND status IN ('pending', 'running') ORDER BY available_at, run_id FOR NO KEY UPDATE",
    );
    let rows = rows.bind(new.thread_id.0).bind(tenant.as_str()).fetch_all(&mut *db).await.context(OPERATION)?;
    let (mut unbegun, mut signal) = (Vec::new(), None);
    for row in &rows {
        let run_id = RunId(get::<Uuid>(row, "run_id")?);
        match columns::named(row, "status", RunStatus::parse)? {
            RunStatus::Running => {
                let request = cancel::merged(row, request)?;
                cancel::ask(OPERATION, db, run_id, &request).await?;
                signal = Some(CancelSignal { run_id, request });
            }
            _ => unbegun.push(Unbegun {
                thread_id: new.thread_id,
                run_id,
                tells: get(row, "tells")?,
                request: cancel::merged(row, request)?,
            }),
        }
    }
    readiness::end_unbegun(OPERATION, db, &unbegun, now).await?;
    Ok(Superseded { ended: unbegun.iter().map(|run| run.run_id).collect(), signal })
}
