//! Tests of `langopen keys` and `langopen deployments` while a server uses the same data.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output};

use langopen_backends::sqlite::{Sqlite, SqliteOptions};
use langopen_core::auth::{Credentials, KeyRing, Role};
use langopen_core::storage::Deployments;
use langopen_core::{Result, SystemClock, Tenant};
use serde_json::Value;
use std::sync::Arc;

fn langopen(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_langopen"));
    command.args(arguments).arg("--data").arg(folder).env_remove("LANGOPEN_DATABASE_URL");
    command.output().unwrap()
}

#[track_caller]
fn output_of(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Opens the data as a running server does.
async fn owner(folder: &Path) -> Sqlite {
    Sqlite::open(&folder.join("langopen.db"), SqliteOptions::default()).await.unwrap()
}

/// The role that the key grants, on a server without any cached answer.
async fn role(db: &Sqlite, key: &str) -> Result<Role> {
    let ring = KeyRing::new(Vec::new()).with_stored(Arc::new(db.clone()), Arc::new(SystemClock));
    let headers = vec![("x-api-key".to_owned(), key.to_owned())];
    Ok(ring.find(&Credentials { headers, ..Credentials::default() }).await?.unwrap().role)
}

#[tokio::test]
async fn keys_are_made_shown_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let db = owner(folder.path()).await;
    let langopen = |arguments: &[&str]| langopen(folder.path(), arguments);
    let made = output_of(&langopen(&["keys", "create", "--name", "ci", "--role", "developer", "--json"]));
    let made: Value = serde_json::from_str(&made).unwrap();
    let (id, key) = (made["key_id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert_eq!(made["scope"], "default/default/default");
    assert_eq!(role(&db, key).await.unwrap(), Role::Developer);
    let created = output_of(&langopen(&["keys", "create", "--name", "all", "--role", "admin", "--scope", "acme/*"]));
    let second = created.split_whitespace().find(|word| word.starts_with("lok_")).unwrap();
    assert_eq!(role(&db, second).await.unwrap(), Role::Admin);

    let listed = output_of(&langopen(&["keys", "list"]));
    assert!(listed.contains(id) && listed.contains("acme/*") && listed.contains(&key[..10]), "{listed}");
    assert!(!listed.contains(key) && !listed.contains(second), "secrets are shown once");
    assert!(!output_of(&langopen(&["keys", "list", "--scope", "acme/*"])).contains(id));
    output_of(&langopen(&["keys", "revoke", id]));
    assert!(role(&db, key).await.is_err());
    let listed: Value = serde_json::from_str(&output_of(&langopen(&["keys", "list", "--json"]))).unwrap();
    assert!(listed[0]["revoked_at"].is_string() && listed[1]["revoked_at"].is_null(), "{listed}");

    for (arguments, says) in [
        (&["keys", "revoke", "00000000-0000-4000-8000-000000000000"][..], "there is no API key"),
        (&["keys", "create", "--name", "x", "--role", "king"], "viewer, developer, operator or admin"),
        (&["keys", "create", "--name", "x", "--role", "viewer", "--scope", "acme"], "organization/project/*"),
        (&["keys", "create", "--name", "x", "--role", "viewer", "--scope", "a/b/c"], "there is no deployment a/b/c"),
        (&["keys", "create", "--name", "", "--role", "viewer"], "1 to 100 characters"),
    ] {
        let error = refused(&langopen(arguments));
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn deployments_are_set_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let db = owner(folder.path()).await;
    let langopen = |arguments: &[&str]| langopen(folder.path(), arguments);
    output_of(&langopen(&["deployments", "set", "prod", "--host", "Prod.example", "--max-running-runs", "5"]));
    output_of(&langopen(&[
        "deployments",
        "set",
        "prod",
        "--max-runs-in-flight",
        "0",
        "--max-requests-per-second",
        "9",
    ]));
    output_of(&langopen(&["deployments", "set", "prod", "--max-running-runs", "none"]));
    let row = db.deployment(&Tenant::parse("default/default/prod").unwrap()).await.unwrap().unwrap();
    assert_eq!(row.hosts, ["prod.example"], "what is not named stays");
    let limits = row.limits;
    assert_eq!((limits.max_running_runs, limits.max_runs_in_flight), (None, Some(0)));
    assert_eq!(limits.max_requests_per_second, Some(9));
    output_of(&langopen(&["keys", "create", "--name", "x", "--role", "viewer", "--scope", "default/default/prod"]));
    let listed: Value = serde_json::from_str(&output_of(&langopen(&["deployments", "list", "--json"]))).unwrap();
    assert_eq!(listed[0]["deployment"], "default/default/prod");
    for (arguments, says) in [
        (&["deployments", "set", "test", "--host", "prod.example"][..], "another deployment has the host prod.example"),
        (&["deployments", "set", "test", "--host", "a:80"], "without a port"),
        (&["deployments", "set", "A"], "a-z"),
        (&["deployments", "set", "test", "--max-running-runs", "-1"], "unexpected argument"),
        (&["deployments", "set", "test", "--max-requests-per-second", "0"], "at least 1"),
        (&["deployments", "delete", "test"], "there is no deployment default/default/test"),
    ] {
        let error = refused(&langopen(arguments));
        assert!(error.contains(says), "{error}");
    }
    output_of(&langopen(&["deployments", "delete", "prod"]));
    assert!(db.list_deployments().await.unwrap().is_empty());
}

#[test]
fn a_folder_without_data_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(&langopen(folder.path(), &["keys", "list"]));
    assert!(error.contains("there is no database") && error.contains("--data"), "{error}");
}
