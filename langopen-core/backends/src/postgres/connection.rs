//! Opens the database.

use std::str::FromStr;
use std::time::Duration;

use langopen_core::error::{Error, Result};
use parking_lot::Mutex;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Postgres, Transaction};
use tokio::time::Instant;
use url::Url;

use super::PostgresOptions;

const OPERATION: &str = "postgres.open";

/// The advisory lock that a process holds while it migrates: "langopen" in ASCII.
const MIGRATION_LOCK: i64 = 0x6c61_6e67_6f70_656e;

/// The server rolls back a transaction that is idle for this long, so a stalled process does not hold its locks.
const IDLE_IN_TRANSACTION: &str = "10s";

/// The pool tests a connection before use if it was idle for longer than this.
const TRIED_AFTER: Duration = Duration::from_secs(5);

/// The oldest supported server version: 12.
const OLDEST: i32 = 120_000;

static MIGRATIONS: Migrator = {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    // All migrations run in one transaction with its own lock. sqlx's lock belongs to a session, and a pooler could
    // give that session to another client.
    migrations.locking = false;
    migrations
};

/// When a connection was last seen to break. Connections that were idle at that time may be broken too, so the pool
/// tests them before use.
static DOUBT: Mutex<Option<Instant>> = Mutex::new(None);

pub(super) fn raise_doubt() {
    *DOUBT.lock() = Some(Instant::now());
}

fn is_doubtful(idle_for: Duration) -> bool {
    idle_for > TRIED_AFTER || DOUBT.lock().is_some_and(|raised| raised.elapsed() <= idle_for)
}

/// Whether the connection is lost, or the server is shutting down.
pub(super) fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
        }
        _ => false,
    }
}

/// Connects and brings the schema up to date. Also returns whether a pooler is in use.
pub(super) async fn open(url: &str, options: &PostgresOptions) -> Result<(PgPool, bool)> {
    let (connect, pooler) = connect_options(url, options.pooler)?;
    let pool = PgPoolOptions::new()
        .max_connections(options.connections.max(1))
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire(false)
        .before_acquire(|connection, held| {
            Box::pin(async move {
                match is_doubtful(held.idle_for) {
                    true => Ok(connection.ping().await.is_ok()),
                    false => Ok(true),
                }
            })
        })
        .connect_with(connect)
        .await
        .map_err(explain)?;
    migrate(&pool, pooler).await?;
    Ok((pool, pooler))
}

/// The connection options from the URL, and whether a pooler is in use.
pub(super) fn connect_options(url: &str, pooler: Option<bool>) -> Result<(PgConnectOptions, bool)> {
    let invalid = |message: String| Error::invalid(OPERATION, message);
    let mut url = Url::parse(url).map_err(|_| {
        invalid("the database's URL is invalid; write postgres://user:password@host:5432/database".to_owned())
    })?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(invalid(format!(
            "{}: is not a Postgres URL; write postgres://user:password@host:5432/database",
            url.scheme()
        )));
    }
    let ours = |key: &str| key == "pooler";
    let in_url = url.query_pairs().filter(|(key, _)| ours(key)).last().map(|(_, value)| value == "true");
    let others: Vec<_> = url
        .query_pairs()
        .filter(|(key, _)| !ours(key))
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    let pooler = pooler.or(in_url).unwrap_or(false);
    let options = PgConnectOptions::from_str(url.as_str())
        .map_err(|error| invalid("the database's URL is invalid".to_owned()).with_source(error))?;
    // sqlx would ask `tracing` for each statement whether it is logged. That costs time, and it leaves the answer on
    // the thread. If each `tracing_subscriber` layer has its own filter, the next span on that thread is then treated
    // as disabled.
    let options = options.disable_statement_logging();
    let options = match pooler {
        // A pooler rejects startup parameters that apply to a session.
        true => options.statement_cache_capacity(0).extra_float_digits(None),
        // These plans are small, so JIT compilation costs more than it saves.
        false => options
            .application_name("langopen")
            .options([("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION), ("jit", "off")]),
    };
    Ok((options, pooler))
}

/// Begins a transaction in its own task, so that a dropped caller cannot interrupt the BEGIN.
///
/// A cancelled request drops the future that it awaits. If that future is a BEGIN, sqlx returns the connection to the
/// pool without knowing about the transaction. The next statement on the connection would then join that transaction:
/// it would report success but never be committed.
pub(super) async fn begin(pool: &PgPool, pooler: bool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let statement = match pooler {
        true => "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '10s'",
        false => "BEGIN",
    };
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    begun.await.map_err(|_| sqlx::Error::WorkerCrashed)?
}

async fn migrate(pool: &PgPool, pooler: bool) -> Result<()> {
    let mut transaction = begin(pool, pooler).await.map_err(explain)?;
    must_be_supported(&mut transaction).await?;
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).persistent(false);
    lock.execute(&mut *transaction).await.map_err(explain)?;
    forget_statements(&mut transaction, pooler).await?;
    MIGRATIONS.run_direct(None, &mut *transaction, false).await.map_err(explain_migration)?;
    forget_statements(&mut transaction, pooler).await?;
    transaction.commit().await.map_err(explain)
}

/// The migrator leaves prepared statements on the connection. With a pooler, the next client of the connection may
/// prepare other statements with the same names.
async fn forget_statements(connection: &mut PgConnection, pooler: bool) -> Result<()> {
    if pooler {
        sqlx::raw_sql("DEALLOCATE ALL").execute(connection).await.map_err(explain)?;
    }
    Ok(())
}

async fn must_be_supported(connection: &mut PgConnection) -> Result<()> {
    let version =
        sqlx::query_scalar::<Postgres, i32>("SELECT current_setting('server_version_num')::INTEGER").persistent(false);
    match version.fetch_one(connection).await.map_err(explain)? {
        OLDEST.. => Ok(()),
        version => {
            Err(Error::invalid(OPERATION, format!("the server is Postgres {}; use 12 or newer", version / 10_000)))
        }
    }
}

fn explain_migration(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) => explain(error),
        MigrateError::ExecuteMigration(error, _) => explain(error),
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
            let message = format!(
                "the database was migrated by a newer version of LangOpen (its schema has migration {version}, which this one does not know); \
                 use that version, or another database"
            );
            Error::invalid(OPERATION, message)
        }
        error => {
            let message = "LangOpen did not create the database's schema; use another database";
            Error::invalid(OPERATION, message).with_source(error)
        }
    }
}

/// Explains to an operator why the database cannot be opened.
fn explain(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
    let unavailable = |advice: &str| Error::unavailable(OPERATION, format!("the database cannot be used: {advice}"));
    let explained = match code.as_deref() {
        Some("28000" | "28P01") => unavailable("the server refuses the user or the password in the URL"),
        Some("3D000") => unavailable("the database in the URL does not exist; create it first"),
        Some("42501") => {
            unavailable("the user may not create tables there; grant it that right, or make it the database's owner")
        }
        Some("53300") => unavailable("the server has no free connection; raise its max_connections, or use a pooler"),
        Some("53100") => unavailable("the server's disk is full; free some space"),
        Some("08P01") => unavailable(
            "the server rejects session parameters; if it is behind a pooler such as PgBouncer, add ?pooler=true to the URL",
        ),
        Some("25006") => unavailable("the server is read-only; use the URL of the primary"),
        Some(_) => unavailable("the server refused a statement"),
        None => unavailable("the server in the URL cannot be reached"),
    };
    explained.with_source(error)
}
