//! The task that executes all writes.
//!
//! If a transaction fails, the task also closes its connection. SQLite may have rolled the transaction back itself, as
//! it does when the disk is full. sqlx would then count it as open forever, and refuse every later transaction. The
//! next write opens a new connection.

use ::metrics::{counter, histogram};
use futures::future::BoxFuture;
use langopen_core::error::{Error, ErrorKind, Result};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Sqlite, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::columns::Context;
use crate::metrics;

/// The maximum number of jobs in one transaction.
const BATCH: usize = 256;

/// The maximum number of jobs in the queue. Beyond it, callers wait to enqueue theirs.
const WAITING: usize = 1024;

const OPERATION: &str = "sqlite.write";

enum Message {
    Job(Box<dyn Job>),
    Stop(oneshot::Sender<()>),
}

/// A write, and the caller that waits for it.
trait Job: Send {
    /// Executes the write. An error means that the whole transaction failed.
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Result<()>>;

    /// Whether the job may run without a surrounding transaction.
    fn is_whole(&self) -> bool;

    /// Sends the result to the caller, after the transaction has ended.
    fn answer(self: Box<Self>, committed: &Result<()>);
}

struct Waiting<T, J> {
    operation: &'static str,
    whole: bool,
    job: Option<J>,
    result: Option<Result<T>>,
    caller: oneshot::Sender<Result<T>>,
}

impl<T, J> Job for Waiting<T, J>
where
    T: Send + 'static,
    J: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
{
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Result<()>> {
        Box::pin(async move {
            let Some(job) = self.job.take() else { return Ok(()) };
            match job(connection).await {
                Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
                result => {
                    self.result = Some(result);
                    Ok(())
                }
            }
        })
    }

    fn is_whole(&self) -> bool {
        self.whole
    }

    fn answer(self: Box<Self>, committed: &Result<()>) {
        let lost = |error: &Error| Error::unavailable(self.operation, format!("the write was not committed: {error}"));
        let result = match (committed, self.result) {
            // A job fails with its own error before its first write, so the error is valid even if the transaction
            // fails.
            (_, Some(Err(error))) => Err(error),
            (Ok(()), Some(result)) => result,
            (Err(error), _) => Err(lost(error)),
            (Ok(()), None) => Err(Error::internal(self.operation, "the write was not executed")),
        };
        // An error means that the caller was dropped. Its write stays committed.
        let _ = self.caller.send(result);
    }
}

/// The handle of the writer task. The task ends and closes its connection when the handle is dropped.
pub(super) struct Writer {
    messages: mpsc::Sender<Message>,
}

impl Writer {
    /// Starts the task with this connection. After a failure, the task opens a new one with `options`.
    pub(super) fn start(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let (messages, received) = mpsc::channel(WAITING);
        tokio::spawn(work(Held { connection: Some(connection), options }, received));
        Self { messages }
    }

    /// Executes a job. A `whole` job writes with [`together`] or with one statement, so it needs no transaction of the
    /// writer.
    pub(super) async fn write<T, J>(&self, operation: &'static str, whole: bool, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let closed = || Error::unavailable(operation, "the database was closed");
        let (caller, answered) = oneshot::channel();
        let job = Waiting { operation, whole, job: Some(job), result: None, caller };
        self.messages.send(Message::Job(Box::new(job))).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Waits until all earlier jobs are done and the connection is closed.
    pub(super) async fn stop(&self) {
        let (caller, stopped) = oneshot::channel();
        if self.messages.send(Message::Stop(caller)).await.is_ok() {
            // An error means that the task has already ended.
            let _ = stopped.await;
        }
    }
}

/// The writing connection.
struct Held {
    /// `None` after a transaction failed on the connection.
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
}

impl Held {
    async fn run(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            gone => gone.insert(self.options.connect().await.context(OPERATION)?),
        };
        let done = run_batch(connection, jobs).await;
        if done.is_err() {
            self.close().await;
        }
        done
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(error = %error, "The database did not close cleanly");
        }
    }
}

async fn work(mut held: Held, mut received: mpsc::Receiver<Message>) {
    let mut messages = Vec::with_capacity(BATCH);
    let mut stopped = None;
    let (duration, size) = (histogram!(metrics::WRITE_BATCH_DURATION), histogram!(metrics::WRITE_BATCH_SIZE));
    while stopped.is_none() && received.recv_many(&mut messages, BATCH).await > 0 {
        let mut jobs = Vec::with_capacity(messages.len());
        for message in messages.drain(..) {
            match message {
                Message::Job(job) => jobs.push(job),
                Message::Stop(caller) => stopped = Some(caller),
            }
        }
        let start = Instant::now();
        let committed = held.run(&mut jobs).await;
        duration.record(start.elapsed());
        size.record(jobs.len() as f64);
        if let Err(error) = &committed {
            counter!(metrics::WRITE_FAILURES).increment(1);
            tracing::error!(error = %error, jobs = jobs.len(), "A transaction was rolled back");
        }
        jobs.into_iter().for_each(|job| job.answer(&committed));
    }
    held.close().await;
    if let Some(caller) = stopped {
        let _ = caller.send(());
    }
}

async fn run_batch(connection: &mut SqliteConnection, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    // Each statement is a round trip to SQLite's thread, and round trips dominate the cost of a single write.
    if let [job] = jobs
        && job.is_whole()
    {
        return job.run(connection).await;
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.context(OPERATION)?;
    for job in jobs {
        // Dropping the transaction rolls it back.
        job.run(&mut transaction).await?;
    }
    transaction.commit().await.context(OPERATION)
}

/// Joins statements so that they take effect together in one round trip: inside the open transaction, or else in their
/// own. All parameters are `?`, in the order of the text.
pub(super) fn together(db: &SqliteConnection, statements: &str) -> AssertSqlSafe<String> {
    // The statements are constants of the callers and contain no external input.
    AssertSqlSafe(match db.is_in_transaction() {
        true => statements.to_owned(),
        false => format!("BEGIN IMMEDIATE; {statements}; COMMIT"),
    })
}

/// Runs a query with a text from [`together`].
pub(super) async fn run_together(
    operation: &'static str,
    db: &mut SqliteConnection,
    query: Query<'_, Sqlite, SqliteArguments>,
) -> Result<Vec<SqliteRow>> {
    let rows = query.fetch_all(&mut *db).await;
    if rows.is_err() && !db.is_in_transaction() {
        // If the query failed before its BEGIN, this ROLLBACK fails too. In both cases no transaction stays open.
        let _ = sqlx::query("ROLLBACK").execute(db).await;
    }
    rows.context(operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn statements_that_belong_together_take_effect_together() {
        let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let count = async |db: &mut SqliteConnection| {
            let rows = sqlx::query_scalar("SELECT count(*) FROM t").fetch_one(db).await;
            rows.map(|count: i64| count).unwrap()
        };
        sqlx::query("CREATE TABLE t (a INTEGER UNIQUE)").execute(&mut db).await.unwrap();
        for (second, kept) in [(1, 0), (2, 2)] {
            let text = together(&db, "INSERT INTO t VALUES (?); INSERT INTO t VALUES (?)");
            let done = run_together("test", &mut db, sqlx::query(text).bind(1).bind(second)).await;
            assert_eq!((done.is_ok(), count(&mut db).await), (kept > 0, kept), "{second}");
        }
        // Inside an open transaction, the statements are part of it.
        let mut part = db.begin().await.unwrap();
        let text = together(&part, "DELETE FROM t WHERE a = ?; DELETE FROM t WHERE a = ?");
        run_together("test", &mut part, sqlx::query(text).bind(1).bind(2)).await.unwrap();
        assert_eq!(count(&mut part).await, 0);
        part.rollback().await.unwrap();
        assert_eq!(count(&mut db).await, 2);
    }
}
