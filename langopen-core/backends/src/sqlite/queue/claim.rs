//! Claiming runs, and extending leases.

use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::queue::{Claim, ClaimRequest, Claims, Heartbeat, Lease, Losses};
use langopen_core::tenant::Tenant;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use crate::sqlite::columns::{self, Context, get, text, time};

const OPERATION: &str = "queue.claim";

/// Claims runs in one round trip of four statements:
///
/// - Clears `delayed` on runs whose start time has come. Makes the first such run of a thread ready if no run of the
///   thread is ready or running; in that case all pending runs of the thread were delayed.
/// - Starts runs with expired leases, then ready runs of one tenant.
/// - Returns the tenants that still have ready runs, with their limits.
/// - Returns when the next delayed run is due.
///
/// Each round trip takes effect by itself. If the caller never receives a claim, the claim ends with its lease.
///
/// If the caller passes no tenant, the statement chooses the only tenant with ready runs, provided that it has no
/// limit. So an installation with one deployment needs only one round trip.
const START: &str = "UPDATE runs SET delayed = 0, ready =
        NOT EXISTS (SELECT 1 FROM runs o WHERE o.thread_id = runs.thread_id AND o.status = 'running')
        AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.thread_id = runs.thread_id AND o.ready = 1)
        AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.thread_id = runs.thread_id AND o.status = 'pending'
            AND (o.available_at, o.run_id) < (runs.available_at, runs.run_id))
     WHERE delayed = 1 AND available_at <= ?;
     UPDATE runs SET status = 'running', ready = 0, attempt = attempt + 1, lease_owner = ?, lease_expires_at = ?, updated_at = ?
     WHERE rowid IN (SELECT rowid FROM (
        SELECT rowid, 0 AS place FROM (SELECT rowid FROM runs WHERE status = 'running' AND lease_expires_at <= ?
            AND (? IS NULL OR tenant IN (SELECT value FROM json_each(?))) ORDER BY lease_expires_at LIMIT ?)
        UNION ALL
        SELECT rowid, 1 FROM (SELECT rowid FROM runs WHERE status = 'pending' AND ready = 1 AND tenant = coalesce(?, (SELECT low FROM
                (SELECT (SELECT min(tenant) FROM runs WHERE status = 'pending' AND ready = 1) AS low,
                    (SELECT max(tenant) FROM runs WHERE status = 'pending' AND ready = 1) AS high)
                WHERE low = high AND (? IS NULL OR low IN (SELECT value FROM json_each(?)))
                    AND NOT EXISTS (SELECT 1 FROM deployments WHERE tenant = low AND max_running_runs IS NOT NULL)))
            ORDER BY available_at, run_id LIMIT ?)
        ORDER BY place LIMIT ?))
     RETURNING *, NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.thread_id = runs.thread_id) AS fresh_thread;
     WITH RECURSIVE ready(tenant) AS (
        SELECT min(tenant) FROM runs WHERE status = 'pending' AND ready = 1
        UNION ALL
        SELECT (SELECT min(tenant) FROM runs WHERE status = 'pending' AND ready = 1 AND tenant > ready.tenant)
        FROM ready WHERE ready.tenant IS NOT NULL)
     SELECT ready.tenant AS tenant, d.max_running_runs AS max_running_runs,
        (SELECT min(available_at) FROM runs WHERE status = 'pending' AND ready = 1 AND tenant = ready.tenant) AS oldest,
        (SELECT count(*) FROM runs WHERE status = 'running' AND tenant = ready.tenant) AS running
     FROM ready LEFT JOIN deployments d ON d.tenant = ready.tenant
     WHERE ready.tenant IS NOT NULL AND (? IS NULL OR ready.tenant IN (SELECT value FROM json_each(?)));
     SELECT available_at FROM runs WHERE delayed = 1 AND (? IS NULL OR tenant IN (SELECT value FROM json_each(?)))
     ORDER BY available_at LIMIT 1";

/// The number of columns of a row that describes a tenant's turn. A row of a run has more.
const TURN_COLUMNS: usize = 4;

/// The number of columns of the row with the time of the next delayed run.
const NEXT_DUE_COLUMNS: usize = 1;

/// A tenant that has ready runs.
struct Turn {
    tenant: Tenant,
    /// The start time of its first ready run.
    oldest: Timestamp,
    running: u64,
    limit: Option<u64>,
}

impl Turn {
    fn room(&self) -> u64 {
        self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.running))
    }
}

/// The result of one round trip.
struct Walk {
    started: Vec<Claim>,
    /// The requested tenants that still have ready runs.
    turns: Vec<Turn>,
    /// When the next delayed run of the requested tenants is due.
    next_due: Option<Timestamp>,
}

pub(super) async fn claim(
    db: &mut SqliteConnection,
    request: ClaimRequest,
    now: Timestamp,
    steady: Timestamp,
) -> Result<Claims> {
    let mut claims = Claims::default();
    if request.max == 0 {
        return Ok(claims);
    }
    let mut walk = start(db, &request, None, request.max, (now, steady)).await?;
    claims.runs.append(&mut walk.started);
    while claims.runs.len() < request.max {
        let left = request.max - claims.runs.len();
        let Some((tenant, wanted)) = next_turn(&walk.turns, left) else {
            claims.next_due = walk.next_due;
            break;
        };
        walk = start(db, &request, Some(&tenant), wanted, (now, steady)).await?;
        claims.runs.append(&mut walk.started);
    }
    claims.runs.sort_by_key(|claim| (claim.run.created_at, claim.run.run_id));
    Ok(claims)
}

/// The tenant that is next, and how many of its runs may start before the turn of another tenant.
fn next_turn(turns: &[Turn], left: usize) -> Option<(Tenant, usize)> {
    let mut turns: Vec<_> = turns.iter().filter(|turn| turn.room() > 0).collect();
    turns.sort_by_key(|turn| (turn.running, turn.oldest));
    let first = *turns.first()?;
    let until = turns.get(1).map_or(u64::MAX, |second| (second.running - first.running).max(1));
    let wanted = usize::try_from(until.min(first.room())).unwrap_or(usize::MAX);
    Some((first.tenant.clone(), wanted.min(left)))
}

/// Executes [`START`] once.
async fn start(
    db: &mut SqliteConnection,
    request: &ClaimRequest,
    tenant: Option<&Tenant>,
    wanted: usize,
    (now, steady): (Timestamp, Timestamp),
) -> Result<Walk> {
    let asked = request.tenants.as_ref().map(|tenants| tenants.iter().map(Tenant::as_str).collect::<Vec<_>>());
    let asked = asked.as_ref().map(text).transpose()?;
    let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
    let due = now.as_micros();
    let expires_at = steady.plus(request.lease).as_micros();
    let rows = sqlx::query(START).bind(due).bind(&request.worker).bind(expires_at).bind(due);
    let rows = rows.bind(steady.as_micros()).bind(&asked).bind(&asked).bind(wanted);
    let rows = rows.bind(tenant.map(Tenant::as_str)).bind(&asked).bind(&asked).bind(wanted).bind(wanted);
    let rows = rows.bind(&asked).bind(&asked).bind(&asked).bind(&asked).fetch_all(db).await.context(OPERATION)?;
    let mut walk = Walk { started: Vec::new(), turns: Vec::new(), next_due: None };
    for row in &rows {
        match row.len() {
            NEXT_DUE_COLUMNS => walk.next_due = Some(time(row, "available_at")?),
            TURN_COLUMNS => walk.turns.push(turn(row)?),
            _ => walk.started.push(started(row)?),
        }
    }
    Ok(walk)
}

fn turn(row: &SqliteRow) -> Result<Turn> {
    let running: i64 = get(row, "running")?;
    let limit: Option<u32> = get(row, "max_running_runs")?;
    Ok(Turn {
        tenant: columns::tenant(row)?,
        oldest: time(row, "oldest")?,
        running: running.unsigned_abs(),
        limit: limit.map(u64::from),
    })
}

/// The claim from the row of a run.
fn started(row: &SqliteRow) -> Result<Claim> {
    Ok(Claim {
        tenant: columns::tenant(row)?,
        run: columns::run(row)?,
        fresh_thread: get(row, "fresh_thread")?,
        cancel: columns::cancel(row)?,
        losses: Losses { excused: get(row, "excused")?, suspected: get(row, "suspected")? },
    })
}

pub(super) async fn heartbeat(
    db: &mut SqliteConnection,
    leases: Vec<Lease>,
    expires_at: Timestamp,
) -> Result<Vec<Heartbeat>> {
    let asked: Vec<_> = leases.iter().map(|lease| (lease.run_id.0.simple().to_string(), lease.attempt)).collect();
    let rows = sqlx::query(
        "UPDATE runs SET lease_expires_at = ?1 WHERE status = 'running' AND (run_id, attempt) IN
            (SELECT unhex(json_extract(value, '$[0]')), json_extract(value, '$[1]') FROM json_each(?2))
         RETURNING run_id, attempt, cancel_action, cancel_reason",
    );
    let rows = rows.bind(expires_at.as_micros()).bind(text(&asked)?).fetch_all(db).await.context("queue.heartbeat")?;
    let mut answers = vec![Heartbeat::Lost; leases.len()];
    for row in &rows {
        let (run_id, attempt): (Uuid, u32) = (get(row, "run_id")?, get(row, "attempt")?);
        let cancel = columns::cancel(row)?;
        for (lease, answer) in leases.iter().zip(&mut answers) {
            if lease.run_id.0 == run_id && lease.attempt == attempt {
                *answer = Heartbeat::Held(cancel.clone());
            }
        }
    }
    Ok(answers)
}
