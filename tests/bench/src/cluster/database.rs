//! Creates and drops databases for the comparison.

use parking_lot::Mutex;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::error::{Error, Result};

/// New databases on the server that a URL names.
pub(super) struct Databases {
    base: url::Url,
    made: Mutex<Vec<String>>,
}

impl Databases {
    pub(super) fn at(url: String) -> Self {
        let base = url.parse().unwrap_or_else(|error| panic!("{url} is not a URL: {error}"));
        Self { base, made: Mutex::default() }
    }

    /// Creates an empty database and returns its URL.
    pub(super) async fn make(&self, name: &str) -> Result<String> {
        let name = format!("langopen_bench_{name}_{}", std::process::id());
        self.run(&format!("CREATE DATABASE {name}")).await?;
        let mut url = self.base.clone();
        url.set_path(&name);
        self.made.lock().push(name);
        Ok(url.into())
    }

    /// Drops the created databases.
    pub(super) async fn drop_all(&self) {
        let made = std::mem::take(&mut *self.made.lock());
        for name in made {
            if let Err(error) = self.run(&format!("DROP DATABASE {name} WITH (FORCE)")).await {
                eprintln!("{error}");
            }
        }
    }

    async fn run(&self, sql: &str) -> Result<()> {
        let mut connection = PgConnection::connect(self.base.as_str()).await.map_err(Error::Database)?;
        // The SQL holds only names that this program chose.
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.map_err(Error::Database)?;
        connection.close().await.map_err(Error::Database)
    }
}
