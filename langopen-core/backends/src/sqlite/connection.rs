//! Opens the file.

use std::path::Path;
use std::time::Duration;

use langopen_core::error::{Error, Result};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

const OPERATION: &str = "sqlite.open";

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // A power failure may lose the last commits but never corrupts the file. The death of the process loses
        // nothing.
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("journal_size_limit", "67108864")
        .optimize_on_close(false, None)
}

/// The options of the writing connection, also when it is opened again. They require that the file exists.
pub(super) fn writer_options(path: &Path) -> SqliteConnectOptions {
    options(path).pragma("cache_size", "-4096")
}

/// Opens the writing connection and brings the schema up to date. Unless `beside` is set, it also makes running runs
/// pending again and releases claimed deliveries.
pub(super) async fn open_writer(path: &Path, beside: bool) -> Result<SqliteConnection> {
    super::vectors::register();
    let mut connection =
        writer_options(path).create_if_missing(true).connect().await.map_err(|error| explain(path, error))?;
    MIGRATIONS.run(&mut connection).await.map_err(|error| explain_migration(path, error))?;
    if beside {
        return Ok(connection);
    }
    // Only one process owns the file, so the process that ran these runs is gone. The other runs of their threads wait
    // as before.
    let hand_back = "UPDATE runs SET status = 'pending', ready = 1, lease_owner = NULL, lease_expires_at = NULL WHERE status = 'running'";
    let handed_back = sqlx::query(hand_back).execute(&mut connection).await.map_err(|error| explain(path, error))?;
    let deliveries = sqlx::query("UPDATE webhook_deliveries SET claimed = 0, due_at = created_at WHERE claimed = 1");
    deliveries.execute(&mut connection).await.map_err(|error| explain(path, error))?;
    if handed_back.rows_affected() > 0 {
        tracing::info!(runs.handed_back = handed_back.rows_affected(), "Runs of a dead process are pending again");
    }
    Ok(connection)
}

/// Opens the pool of reading connections and connects the first of them.
pub(super) async fn open_readers(path: &Path, count: u32) -> Result<SqlitePool> {
    let options = options(path).read_only(true).pragma("cache_size", "-1024");
    SqlitePoolOptions::new()
        .max_connections(count.max(1))
        .acquire_timeout(Duration::from_secs(30))
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move {
                // The transaction of the previous user may still need a rollback. If SQLite has already ended it, sqlx
                // counts it as open forever, so the pool must drop the connection.
                if connection.is_in_transaction() {
                    connection.ping().await?;
                }
                Ok(!connection.is_in_transaction())
            })
        })
        .connect_with(options)
        .await
        .map_err(|error| explain(path, error))
}

fn explain_migration(path: &Path, error: MigrateError) -> Error {
    let path = path.display();
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            explain(Path::new(&path.to_string()), error)
        }
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
            let message = format!(
                "{path} was written by a newer version of LangOpen (its schema has migration {version}, which this one does not know); \
                 use that version, or another file"
            );
            Error::invalid(OPERATION, message)
        }
        error => {
            let message = format!("LangOpen did not create the schema of {path}; use another file");
            Error::invalid(OPERATION, message).with_source(error)
        }
    }
}

/// Translates the result codes of SQLite that an operator can act on. The low byte of the extended code identifies
/// them.
fn explain(path: &Path, error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok());
    let path = path.display();
    let unavailable = |advice: &str| Error::unavailable(OPERATION, format!("{path} cannot be used: {advice}"));
    let explained = match code.map(|code| code & 0xff) {
        Some(26) => {
            Error::invalid(OPERATION, format!("{path} is not an SQLite database; move it away, or name another file"))
        }
        Some(11) => {
            Error::invalid(OPERATION, format!("{path} is damaged; restore it from a backup, or name another file"))
        }
        Some(8) => unavailable("it, or its folder, is read-only; give this user the right to write both"),
        Some(14) => unavailable("its folder must exist, and this user must be able to write there"),
        Some(13) => unavailable("the disk is full; free some space"),
        Some(5 | 6) => unavailable("another process has locked it; stop that process first"),
        _ => unavailable("SQLite failed"),
    };
    explained.with_source(error)
}
