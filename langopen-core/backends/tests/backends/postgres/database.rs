//! Databases for single tests.

use std::str::FromStr;

use langopen_backends::postgres::{Postgres, PostgresOptions};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// A database that only one test uses.
pub(crate) struct Database {
    name: String,
    url: String,
}

/// The URL of the server.
async fn server() -> String {
    langopen_test_services::postgres_url().await
}

async fn admin() -> PgConnection {
    PgConnectOptions::from_str(&server().await).expect("a URL").connect().await.expect("connect to the server")
}

async fn run(sql: String) {
    let mut admin = admin().await;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.expect("a statement on the server");
    admin.close().await.expect("close");
}

impl Database {
    /// Creates a database without a schema.
    pub(crate) async fn empty() -> Self {
        Self::like("template0").await
    }

    /// Creates a database with the current schema.
    pub(crate) async fn new() -> Self {
        static TEMPLATE: OnceCell<Database> = OnceCell::const_new();
        let template = TEMPLATE.get_or_init(|| async {
            let template = Self::empty().await;
            template.open(PostgresOptions::default()).await.close().await;
            template
        });
        let template = template.await;
        Self::like(&template.name).await
    }

    async fn like(template: &str) -> Self {
        let name = format!("langopen_test_{}", Uuid::now_v7().simple());
        run(format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        let mut url = url::Url::parse(&server().await).expect("a URL");
        url.set_path(&name);
        Self { name, url: url.into() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn open(&self, options: PostgresOptions) -> Postgres {
        Postgres::open(&self.url, options).await.expect("open the database")
    }

    /// Connects directly, as an operator would.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("connect")
    }

    pub(crate) async fn remove(self) {
        run(format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }

    /// Removes all rows.
    pub(crate) async fn clear(&self) {
        let mut db = self.connect().await;
        let clear = "DELETE FROM threads; DELETE FROM assistants; DELETE FROM store_items; DELETE FROM webhook_deliveries; DELETE FROM deployments; DELETE FROM api_keys";
        sqlx::raw_sql(clear).execute(&mut db).await.expect("clear");
        db.close().await.expect("close");
    }

    /// Every blob must belong to a checkpoint, every waiting thread must have a run in front, and every thread's status
    /// must be right.
    pub(crate) async fn assert_in_order(&self) {
        let mut db = self.connect().await;
        for (what, sql) in [
            (
                "blobs without a checkpoint",
                "SELECT count(*) FROM checkpoint_blobs b WHERE NOT EXISTS (SELECT 1 FROM checkpoints c, unnest(c.channels, c.versions) AS v (channel, version)
                    WHERE c.thread_id = b.thread_id AND c.checkpoint_ns = b.checkpoint_ns AND v.channel = b.channel AND v.version = b.version)",
            ),
            (
                "threads without a run in front",
                "SELECT count(*) FROM threads t WHERE
                    NOT EXISTS (SELECT 1 FROM runs r WHERE r.thread_id = t.thread_id AND (r.ready OR r.status = 'running'))
                    AND NOT (SELECT r.delayed FROM runs r WHERE r.thread_id = t.thread_id AND r.status = 'pending'
                        ORDER BY r.available_at, r.run_id LIMIT 1)",
            ),
            (
                "threads whose status is wrong",
                "SELECT count(*) FROM threads t WHERE (status = 'busy') <> EXISTS
                    (SELECT 1 FROM runs r WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running'))",
            ),
        ] {
            let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut db).await.expect("count");
            assert_eq!(count, 0, "{what}");
        }
        db.close().await.expect("close");
    }
}
