//! Servers that are not reached the plain way: over TLS, and through a pooler.

use langopen_test_services::{Authority, PgBouncer, TlsRedis, postgres_url};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::platform::{Client, Platform};
use crate::program::until;

/// A platform of one process of each kind executes a run; `check` looks at it meanwhile.
async fn works(platform: &Platform, check: impl AsyncFnOnce(&Client)) {
    let (runner, address) = platform.runner(&[]).await;
    let worker = platform.worker(&[&address], &[]).await;
    let (server, client) = platform.api(&[&address]).await;
    check(&client).await;
    let counted = client.post("/runs/wait", json!({"assistant_id": "counter", "input": {"log": []}})).await.unwrap();
    assert_eq!(counted["log"], json!(["counted"]));
    drop((server, worker, runner));
}

/// A private CA is named by `SSL_CERT_FILE` for Redis, and in the URL for Postgres. A Redis whose CA nobody named counts as away, and it is told why.
#[tokio::test]
async fn servers_have_certificates_of_a_private_ca() {
    let (authority, platform) = (Authority::new(), Platform::new().await);
    let redis = TlsRedis::start(&authority).await;
    let Some(postgres) = PgBouncer::over_tls(&postgres_url().await, &authority).await else { return };
    let database = postgres.url(platform.name());
    let told = vec![("SSL_CERT_FILE", authority.ca().display().to_string())];
    let platform = platform.through(database.clone(), redis.url(), told);
    works(&platform, async |client| {
        let services = &client.get("/readyz").await.unwrap()["services"];
        assert_eq!((&services["redis"], &services["database"]), (&json!("healthy"), &json!("healthy")), "{services}");
    })
    .await;
    let platform = platform.through(database, redis.url(), Vec::new());
    let worker = platform.worker(&["127.0.0.1:1"], &[]).await;
    until(async || worker.log().contains("UnknownIssuer").then_some(())).await;
    drop(worker);
    platform.remove().await;
}

/// Without a Redis, behind a pooler: who listens goes past it.
#[tokio::test]
async fn a_platform_listens_past_its_pooler() {
    let platform = Platform::new().await;
    let Some(pgbouncer) = PgBouncer::before(&postgres_url().await).await else { return };
    let (direct, database) = (platform.database(), pgbouncer.url(platform.name()));
    let platform = platform.through(database, String::new(), vec![("LANGOPEN_DATABASE_DIRECT_URL", direct.clone())]);
    works(&platform, async |_| {
        let mut looking = PgConnection::connect(&direct).await.unwrap();
        let listening =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        // The API server and the worker.
        until(async || {
            let count: i64 = sqlx::query_scalar(listening).fetch_one(&mut looking).await.unwrap();
            (count == 2).then_some(())
        })
        .await;
        looking.close().await.unwrap();
    })
    .await;
    platform.remove().await;
}
