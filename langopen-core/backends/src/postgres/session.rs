//! Connections for statements and transactions, and retries after transactions conflict.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use langopen_core::error::{Error, Result};
use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Either, Execute, Executor, SqlStr, Transaction};

use super::Postgres;
use super::columns::{Context, cause};
use super::connection;

/// A connection that executes statements. Behind a pooler, it prepares no statement that outlives its transaction. The
/// next transaction may use another server process, which does not know the statement.
pub(super) struct Db {
    held: Held,
    prepares: bool,
}

enum Held {
    Connection(PoolConnection<sqlx::Postgres>),
    Transaction(Transaction<'static, sqlx::Postgres>),
}

impl Db {
    fn connection(&mut self) -> &mut PgConnection {
        match &mut self.held {
            Held::Connection(connection) => connection,
            Held::Transaction(transaction) => transaction,
        }
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("prepares", &self.prepares).finish_non_exhaustive()
    }
}

/// A query that keeps its prepared statement only if `prepares` is set.
struct Unprepared<E> {
    query: E,
    prepares: bool,
}

impl<'q, E: Execute<'q, sqlx::Postgres>> Execute<'q, sqlx::Postgres> for Unprepared<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.prepares && self.query.persistent()
    }
}

impl<'c> Executor<'c> for &'c mut Db {
    type Database = sqlx::Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Self::Database>,
    {
        let query = Unprepared { query, prepares: self.prepares };
        self.connection().fetch_many(query)
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Self::Database>,
    {
        let query = Unprepared { query, prepares: self.prepares };
        self.connection().fetch_optional(query)
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.connection().prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<sqlx::Describe<sqlx::Postgres>>>
    where
        'c: 'e,
    {
        self.connection().describe(sql)
    }
}

/// A connection for single statements, or for a transaction. Dropping it rolls the transaction back.
#[derive(Debug)]
pub(super) struct Session(Db);

impl Session {
    /// Commits the transaction, if there is one. A session that only reads need not call it.
    pub(super) async fn done(self, operation: &'static str) -> Result<()> {
        self.commit().await.context(operation)
    }

    pub(super) async fn commit(self) -> sqlx::Result<()> {
        match self.0.held {
            Held::Connection(_) => Ok(()),
            Held::Transaction(transaction) => transaction.commit().await,
        }
    }

    async fn rollback(self) -> sqlx::Result<()> {
        match self.0.held {
            Held::Connection(_) => Ok(()),
            Held::Transaction(transaction) => transaction.rollback().await,
        }
    }
}

impl Deref for Session {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.0
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Db {
        &mut self.0
    }
}

/// Runs an operation in a transaction: commits it if the operation succeeds, rolls it back if it fails. Retries it if
/// it conflicts with another transaction. This is a macro, because the compiler cannot prove that the futures of
/// borrowing closures are `Send`.
macro_rules! transaction {
    ($self:ident, $operation:expr, |$db:ident| $work:block) => {
        $self.retrying(|| async {
            let mut transaction = $self.begin($operation).await?;
            let $db: &mut $crate::postgres::session::Db = &mut transaction;
            let done = async { $work }.await;
            $crate::postgres::session::end($operation, transaction, done).await
        })
    };
}
pub(super) use transaction;

/// Ends a transaction: commits it if the work succeeded, else rolls it back.
pub(super) async fn end<T>(operation: &'static str, transaction: Session, done: Result<T>) -> Result<T> {
    match done {
        Ok(done) => transaction.commit().await.context(operation).map(|()| done),
        Err(error) => {
            // Rolls back now instead of at the next use of the connection, because others may wait for its locks. If
            // the rollback fails, the connection is lost, and the server frees the locks.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

impl Postgres {
    /// Opens a session for single statements.
    pub(super) async fn session(&self, operation: &'static str) -> Result<Session> {
        match self.shared.pooler {
            // Behind a pooler, even one statement needs a transaction, so that it is prepared and executed on the same
            // server connection.
            true => self.begin(operation).await,
            false => {
                let connection = self.shared.pool.acquire().await.context(operation)?;
                Ok(Session(Db { held: Held::Connection(connection), prepares: true }))
            }
        }
    }

    /// Opens a session with a transaction.
    pub(super) async fn begin(&self, operation: &'static str) -> Result<Session> {
        let begin = || connection::begin(&self.shared.pool, self.shared.pooler);
        let transaction = match begin().await {
            // The idle connection broke, e.g. because the server was restarted. Nothing was executed yet, so a retry is
            // safe.
            Err(error) if connection::is_broken(&error) => {
                connection::raise_doubt();
                begin().await.context(operation)
            }
            begun => begun.context(operation),
        };
        Ok(Session(Db { held: Held::Transaction(transaction?), prepares: !self.shared.pooler }))
    }

    /// Retries an operation while it fails because of a conflict with another transaction. The server has rolled back
    /// each failed attempt.
    pub(super) async fn retrying<T, F>(&self, attempt: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(2))
            .with_max_delay(Duration::from_millis(200))
            .with_max_times(8)
            .with_jitter();
        attempt.retry(pauses).when(is_collision).await
    }
}

/// Whether the server aborted the transaction because of another one: a deadlock or a serialization failure.
fn is_collision(error: &Error) -> bool {
    let code = cause(error).and_then(sqlx::Error::as_database_error).and_then(|error| error.code());
    matches!(code.as_deref(), Some("40P01" | "40001"))
}
