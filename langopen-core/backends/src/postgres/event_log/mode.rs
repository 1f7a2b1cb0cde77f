//! Whether Redis carries the log, or the database does. All processes agree on it by one row.

use std::time::Duration;

use langopen_core::error::Result;
use sqlx::postgres::PgRow;

use super::super::columns::{Context, get};
use super::rows::signed;
use super::store::PostgresStore;
use crate::postgres::session::Db;

/// Whoever moves the log to Redis holds this lock alone, whoever appends to it here holds it with others. See `event_log_append`.
const LOCK: i64 = 7_813_570_389_617_172;

/// How long the log stays here at least, longer than readers wait for what was said before, and at most when Redis fails again and again, in seconds.
const STAYS: f64 = 3.0;
const STAYS_AT_MOST: f64 = 60.0;

/// Where the log is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mode {
    /// Counts the moves.
    pub(crate) generation: u64,
    pub(crate) on_redis: bool,
    /// What is appended since the last move has its place after this millisecond.
    pub(crate) floor: u64,
    /// How long ago it moved.
    pub(crate) moved: Duration,
    /// Whether it has been here long enough to move to Redis.
    pub(crate) may_move: bool,
    /// Whether the database holds anything of the log.
    pub(crate) used: bool,
}

fn mode(row: &PgRow) -> Result<Mode> {
    let number = |column| get::<i64>(row, column).map(|number| u64::try_from(number).unwrap_or(0));
    Ok(Mode {
        generation: number("generation")?,
        on_redis: get(row, "on_redis")?,
        floor: number("floor_millis")?,
        moved: Duration::try_from_secs_f64(get(row, "moved_for")?).unwrap_or_default(),
        may_move: get(row, "may_move")?,
        used: get(row, "used")?,
    })
}

async fn read(operation: &'static str, connection: &mut Db) -> Result<Mode> {
    let sql = sqlx::query(
        "SELECT generation, on_redis, floor_millis, extract(epoch FROM clock_timestamp() - moved_at)::DOUBLE PRECISION AS moved_for,
            NOT on_redis AND moved_at + make_interval(secs => stays_seconds) <= clock_timestamp() AS may_move,
            EXISTS (SELECT 1 FROM log_threads) AS used
         FROM event_log_mode",
    );
    mode(&sql.fetch_one(connection).await.context(operation)?)
}

impl PostgresStore {
    /// Where the log is now.
    pub(crate) async fn mode(&self) -> Result<Mode> {
        const OPERATION: &str = "event_log.mode";
        let mut session = self.db().session(OPERATION).await?;
        read(OPERATION, &mut session).await
    }

    /// Moves the log here, unless it has moved since that generation; tells where it is. If it moved to Redis only lately, it stays longer.
    pub(crate) async fn move_here(&self, generation: u64, floor: u64) -> Result<Mode> {
        const OPERATION: &str = "event_log.move";
        let mut transaction = self.db().begin(OPERATION).await?;
        let sql = sqlx::query(
            "UPDATE event_log_mode SET generation = generation + 1, on_redis = FALSE, floor_millis = greatest(floor_millis, $2),
                moved_at = clock_timestamp(), stays_seconds =
                CASE WHEN moved_at > clock_timestamp() - INTERVAL '1 minute' THEN least(greatest(stays_seconds * 2, $3), $4) ELSE $3 END
             WHERE generation = $1 AND on_redis",
        );
        let sql = sql.bind(signed(generation)).bind(signed(floor)).bind(STAYS).bind(STAYS_AT_MOST);
        sql.execute(&mut *transaction).await.context(OPERATION)?;
        let mode = read(OPERATION, &mut transaction).await?;
        transaction.commit().await.context(OPERATION)?;
        Ok(mode)
    }

    /// Moves the log to Redis, unless it has moved since that generation or has not been here long enough; tells where it is.
    pub(crate) async fn move_to_redis(&self, generation: u64, floor: u64) -> Result<Mode> {
        const OPERATION: &str = "event_log.move";
        let mut transaction = self.db().begin(OPERATION).await?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
        lock.execute(&mut *transaction).await.context(OPERATION)?;
        // Nobody appends here now, so the last place of all is known.
        let sql = sqlx::query(
            "UPDATE event_log_mode SET generation = generation + 1, on_redis = TRUE, moved_at = clock_timestamp(),
                floor_millis = greatest(floor_millis, $2, (SELECT max(millis) FROM log_threads))
             WHERE generation = $1 AND NOT on_redis AND moved_at + make_interval(secs => stays_seconds) <= clock_timestamp()",
        );
        let sql = sql.bind(signed(generation)).bind(signed(floor));
        sql.execute(&mut *transaction).await.context(OPERATION)?;
        let mode = read(OPERATION, &mut transaction).await?;
        transaction.commit().await.context(OPERATION)?;
        Ok(mode)
    }
}
