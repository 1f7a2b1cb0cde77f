//! Platforms whose servers are reached over TLS or through a pooler.

use langopen_test_services::{Authority, PgBouncer, TlsRedis, postgres_url};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::platform::{Client, Platform};
use crate::program::until;

/// Executes a run on a platform with one process of each kind. `check` inspects the platform meanwhile.
async fn works(platform: &Platform, check: impl AsyncFnOnce(&Client)) {
    let (runner, address) = platform.runner(&[]).await;
    let worker = platform.worker(&[&address], &[]).await;
    let (server, client) = platform.api(&[&address]).await;
    check(&client).await;
    let counted = client.post("/runs/wait", json!({"assistant_id": "counter", "input": {"log": []}})).await.unwrap();
    assert_eq!(counted["log"], json!(["counted"]));
    drop((server, worker, runner));
}

/// `SSL_CERT_FILE` names a private CA for Redis, and the URL names one for Postgres. A Redis with an unknown CA counts
/// as unreachable, and the log says why.
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

/// Without a Redis and behind a pooler: connections that listen bypass the pooler.
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
        // The connections of the API server and of the worker.
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
