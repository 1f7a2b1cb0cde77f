//! Opening a database: its schema, a pooler, and the error messages.

use langopen_backends::postgres::{Postgres, PostgresOptions};
use langopen_core::ErrorKind;
use langopen_core::storage::*;

use super::Database;

/// If many processes start at once on an empty database, one creates the schema, and all of them open it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_together_migrate_once() {
    let database = Database::empty().await;
    let opening = (0..4).map(|_| {
        let url = database.url().to_owned();
        tokio::spawn(async move { Postgres::open(&url, PostgresOptions::default().with_connections(2)).await })
    });
    for opened in futures::future::join_all(opening).await {
        let db = opened.expect("an opening task").expect("open the database");
        assert_eq!(db.list_deployments().await.expect("read"), []);
        db.close().await;
    }
    database.remove().await;
}

/// A database that a newer version has migrated is refused, and the error says so.
#[tokio::test]
async fn a_newer_schema_is_refused() {
    let database = Database::new().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', TRUE, '\\x00', 0)";
    sqlx::query(newer).execute(&mut database.connect().await).await.expect("a newer migration");
    let error = Postgres::open(database.url(), PostgresOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("newer version"), "{error}");
    database.remove().await;
}

/// If the database cannot be opened, the error explains why, without the password.
#[tokio::test]
async fn a_database_that_cannot_be_opened_is_explained() {
    let database = Database::empty().await;
    let mut url = url::Url::parse(database.url()).unwrap();
    let refused = async |url: &str| {
        let error = Postgres::open(url, PostgresOptions::default()).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        error
    };
    url.set_path("nowhere");
    let error = refused(url.as_str()).await;
    assert!(error.message().contains("create it first"), "{error}");
    url.set_username("nobody").unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let error = refused(url.as_str()).await;
    assert_eq!((error.kind(), error.message().contains("refuses the user")), (ErrorKind::Unavailable, true), "{error}");
    for (url, kind) in [
        ("postgres://u:hunter2@127.0.0.1:1/d", ErrorKind::Unavailable),
        ("mysql://u:hunter2@127.0.0.1/d", ErrorKind::Invalid),
        ("hunter2", ErrorKind::Invalid),
    ] {
        assert_eq!(refused(url).await.kind(), kind, "{url}");
    }
    database.remove().await;
}
