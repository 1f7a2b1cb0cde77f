//! Claiming runs, and keeping them.

use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use crate::backend::sqlite::columns::{self, Context, get, text, time};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::queue::{Claim, Claims, Heartbeat, Lease};

const OPERATION: &str = "queue.claim";

/// Claims runs whose lease has expired, then the ready ones that are due; and tells when the earliest run that is left ready becomes due. Each part
/// takes effect by itself: a claim that nobody hears of ends with its lease.
///
/// Of the first `max` ready runs, those are left that find another run of their thread before them, which happens to runs that waited for their time.
const START: &str = "UPDATE runs SET status = 'running', ready = 0, attempt = attempt + 1, lease_owner = ?, lease_expires_at = ?, updated_at = ?
     WHERE rowid IN (SELECT rowid FROM (
        SELECT rowid, 0 AS place FROM (SELECT rowid FROM runs WHERE status = 'running' AND lease_expires_at <= ?
            ORDER BY lease_expires_at LIMIT ?)
        UNION ALL
        SELECT r.rowid, 1 FROM (SELECT rowid, run_id, thread_id, available_at FROM runs
                WHERE status = 'pending' AND ready = 1 AND available_at <= ? ORDER BY available_at, run_id LIMIT ?) r
            WHERE NOT EXISTS (SELECT 1 FROM runs o WHERE o.thread_id = r.thread_id AND o.status = 'running')
                AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.thread_id = r.thread_id AND o.status = 'pending' AND o.ready = 1
                    AND (o.available_at, o.run_id) < (r.available_at, r.run_id))
        ORDER BY place LIMIT ?))
     RETURNING *, NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.thread_id = runs.thread_id) AS fresh_thread;
     SELECT available_at AS next_due FROM runs WHERE status = 'pending' AND ready = 1 ORDER BY available_at, run_id LIMIT 1";

pub(super) async fn claim(
    db: &mut SqliteConnection,
    worker: String,
    max: usize,
    lease: Duration,
    now: Timestamp,
) -> Result<Claims> {
    let mut claims = Claims::default();
    while claims.runs.len() < max {
        let wanted = i64::try_from(max - claims.runs.len()).unwrap_or(i64::MAX);
        let due = now.as_micros();
        let rows = sqlx::query(START).bind(&worker).bind(now.plus(lease).as_micros()).bind(due).bind(due).bind(wanted);
        let rows = rows.bind(due).bind(wanted).bind(wanted).fetch_all(&mut *db).await.context(OPERATION)?;
        let mut next_due = None;
        for row in &rows {
            match row.len() {
                1 => next_due = Some(time(row, "next_due")?),
                _ => claims.runs.push(started(row)?),
            }
        }
        match next_due {
            // What is due and was left is blocked, or there are more than were wanted.
            Some(at) if at <= now => {
                if claims.runs.len() < max {
                    block(db, wanted, now).await?;
                }
            }
            next_due => {
                claims.next_due = next_due.filter(|_| claims.runs.len() < max);
                break;
            }
        }
    }
    claims.runs.sort_by_key(|claim| (claim.run.created_at, claim.run.run_id));
    Ok(claims)
}

/// The claim of a run, from its row.
fn started(row: &SqliteRow) -> Result<Claim> {
    let fresh_thread = get(row, "fresh_thread")?;
    Ok(Claim { tenant: columns::tenant(row)?, run: columns::run(row)?, fresh_thread, cancel: columns::cancel(row)? })
}

/// Takes the due runs of busy threads out of the way, however many became due together: of those threads that the first `window` ready runs name.
async fn block(db: &mut SqliteConnection, window: i64, now: Timestamp) -> Result<()> {
    let block = sqlx::query(
        "UPDATE runs SET ready = 0 WHERE status = 'pending' AND ready = 1 AND available_at <= ? AND thread_id IN
            (SELECT w.thread_id FROM (SELECT thread_id FROM runs WHERE status = 'pending' AND ready = 1 AND available_at <= ?
                ORDER BY available_at, run_id LIMIT ?) w
             WHERE EXISTS (SELECT 1 FROM runs o WHERE o.thread_id = w.thread_id AND o.status = 'running'))",
    );
    let due = now.as_micros();
    block.bind(due).bind(due).bind(window).execute(db).await.context(OPERATION)?;
    Ok(())
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
