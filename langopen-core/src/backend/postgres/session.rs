//! Connections for statements and transactions, and another try where two transactions were in each other's way.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Transaction};

use super::Postgres;
use super::columns::{Context, cause};
use super::connection;
use crate::error::{Error, Result};

/// A connection for one statement, or for a few that may as well happen one by one.
pub(super) enum Session {
    Connection(PoolConnection<sqlx::Postgres>),
    /// With a pooler, even one statement needs the same connection from its preparation to its end.
    Transaction(Transaction<'static, sqlx::Postgres>),
}

impl Session {
    /// Makes what was done last. Reading needs no call of it.
    pub(super) async fn done(self, operation: &'static str) -> Result<()> {
        match self {
            Self::Connection(_) => Ok(()),
            Self::Transaction(transaction) => transaction.commit().await.context(operation),
        }
    }
}

impl Deref for Session {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Connection(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Connection(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

/// Does an operation in a transaction: all of it if it succeeds, nothing if it fails; and does it again while it ends because of others that are under way.
/// A macro, for futures of closures that borrow cannot be known to be `Send`.
macro_rules! transaction {
    ($self:ident, $operation:expr, |$db:ident| $work:block) => {
        $self.retrying(|| async {
            let mut transaction = $self.begin($operation).await?;
            let $db: &mut sqlx::PgConnection = &mut transaction;
            let done = async { $work }.await;
            $crate::backend::postgres::session::end($operation, transaction, done).await
        })
    };
}
pub(super) use transaction;

/// Ends a transaction: for good if the work was done, else as if it had never begun.
pub(super) async fn end<T>(
    operation: &'static str,
    transaction: Transaction<'static, sqlx::Postgres>,
    done: Result<T>,
) -> Result<T> {
    match done {
        Ok(done) => transaction.commit().await.context(operation).map(|()| done),
        Err(error) => {
            // Now, and not when the connection is used next: others may wait for its locks. If this fails, the connection is gone, and they are free.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

impl Postgres {
    /// A connection for a statement.
    pub(super) async fn session(&self, operation: &'static str) -> Result<Session> {
        match self.shared.pooler {
            true => self.begin(operation).await.map(Session::Transaction),
            false => self.shared.pool.acquire().await.map(Session::Connection).context(operation),
        }
    }

    /// A transaction; dropping it rolls it back.
    pub(super) async fn begin(&self, operation: &'static str) -> Result<Transaction<'static, sqlx::Postgres>> {
        let begin = connection::begin(self.shared.pooler);
        match self.shared.pool.begin_with(begin).await {
            // Nothing has happened yet: the connection broke while nobody used it, e.g. because the server was started anew.
            Err(error) if connection::is_broken(&error) => {
                connection::raise_doubt();
                self.shared.pool.begin_with(begin).await.context(operation)
            }
            begun => begun.context(operation),
        }
    }

    /// Does an operation, and does it again while it ends because of others that are under way: it has left nothing behind then.
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

/// A transaction that the server ended for the sake of another: a deadlock, or a failure to put them in an order.
fn is_collision(error: &Error) -> bool {
    let code = cause(error).and_then(sqlx::Error::as_database_error).and_then(|error| error.code());
    matches!(code.as_deref(), Some("40P01" | "40001"))
}
