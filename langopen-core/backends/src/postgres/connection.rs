//! Opening the database.

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

/// Who migrates holds this advisory lock: "langopen" in ASCII.
const MIGRATION_LOCK: i64 = 0x6c61_6e67_6f70_656e;

/// What a process does not do in time is rolled back, so that one that stands still holds no lock for long.
const IDLE_IN_TRANSACTION: &str = "10s";

/// A connection that was idle for longer is tried before it is used.
const TRIED_AFTER: Duration = Duration::from_secs(5);

/// The oldest server that is supported: 12.
const OLDEST: i32 = 120_000;

static MIGRATIONS: Migrator = {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    // All of them run in one transaction, whose own lock ends with it: a pooler could give the session with sqlx's lock to somebody else.
    migrations.locking = false;
    migrations
};

/// When a connection was last seen to break. Those that were idle then may be broken too, so they are tried before they are used.
static DOUBT: Mutex<Option<Instant>> = Mutex::new(None);

pub(super) fn raise_doubt() {
    *DOUBT.lock() = Some(Instant::now());
}

fn is_doubtful(idle_for: Duration) -> bool {
    idle_for > TRIED_AFTER || DOUBT.lock().is_some_and(|raised| raised.elapsed() <= idle_for)
}

/// Whether the connection is gone, or the server is going.
pub(super) fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
        }
        _ => false,
    }
}

/// Connects, and brings the schema up to date; tells too whether a pooler stands between.
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

/// The server, and whether a pooler stands before it.
pub(super) fn connect_options(url: &str, pooler: Option<bool>) -> Result<(PgConnectOptions, bool)> {
    let invalid = |message: String| Error::invalid(OPERATION, message);
    let mut url = Url::parse(url).map_err(|_| {
        invalid("the database's URL is none; write postgres://user:password@host:5432/database".to_owned())
    })?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(invalid(format!(
            "{}: is no Postgres URL; write postgres://user:password@host:5432/database",
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
        .map_err(|error| invalid("the database's URL is not understood".to_owned()).with_source(error))?;
    // Asking for each statement whether it is logged would cost time, and more: the answer stays behind on the thread, and where each layer of
    // `tracing_subscriber` has a filter of its own, the next span there is taken for switched off.
    let options = options.disable_statement_logging();
    let options = match pooler {
        // A pooler takes no parameters that would belong to a session.
        true => options.statement_cache_capacity(0).extra_float_digits(None),
        // Plans here are small: compiling them costs more than they do.
        false => options
            .application_name("langopen")
            .options([("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION), ("jit", "off")]),
    };
    Ok((options, pooler))
}

/// Begins a transaction, to the end of its beginning, whoever goes away meanwhile.
///
/// A request that is given up drops what it awaits. Where that is the beginning of a transaction, sqlx gives the connection back without knowing that one was
/// begun; the next statement on it would be a part of it, answered as done and never committed.
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

/// The migrator prepares statements and leaves them there, where the next user of a pooler's connection would prepare others of the same names.
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
            let message = "the database's schema is not one that LangOpen made; use another database";
            Error::invalid(OPERATION, message).with_source(error)
        }
    }
}

/// What a person can do about a database that cannot be opened.
fn explain(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
    let unavailable = |advice: &str| Error::unavailable(OPERATION, format!("the database cannot be used: {advice}"));
    let explained = match code.as_deref() {
        Some("28000" | "28P01") => unavailable("the server refuses the user or the password in the URL"),
        Some("3D000") => unavailable("there is no database of the name in the URL; create it first"),
        Some("42501") => {
            unavailable("the user may not create tables there; give it the right to, or make it the database's owner")
        }
        Some("53300") => unavailable("the server has no connection left; raise its max_connections, or use a pooler"),
        Some("53100") => unavailable("the server's disk is full; free some space"),
        Some("08P01") => unavailable(
            "it does not take the parameters of a session; if a pooler such as PgBouncer stands before it, add ?pooler=true to the URL",
        ),
        Some("25006") => unavailable("the server only reads; name the primary"),
        Some(_) => unavailable("the server refused a statement"),
        None => unavailable("the server of the URL cannot be reached"),
    };
    explained.with_source(error)
}
