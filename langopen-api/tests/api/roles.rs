//! The permissions of each role over every operation, as the README documents them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::to_bytes;
use langopen_core::auth::{ApiKey, ApiKeyAuth, ApiKeyRecord, Role};
use serde_json::json;

use crate::coverage::OPEN;
use crate::harness::{NOWHERE, Server, quick, server_with};

const README: &str = include_str!("../../README.md");

/// The least role of each operation in the README's table, by method and path.
fn documented() -> HashMap<String, Role> {
    let mut documented = HashMap::new();
    for role in Role::ALL {
        let start = format!("| {role} | ");
        let row = README.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no row of {role}"));
        for operation in row.split('`').skip(1).step_by(2).filter(|each| each.contains(" /")) {
            assert!(documented.insert(operation.to_owned(), role).is_none(), "{operation} is listed twice");
        }
    }
    documented
}

/// A server with a key of each role, all for the same deployment.
async fn server_of_all() -> (Server, Vec<(Role, String)>) {
    let keys: Vec<_> = Role::ALL.into_iter().map(|role| (role, ApiKey::generate().unwrap())).collect();
    let record = |(role, key): &(Role, ApiKey)| ApiKeyRecord {
        name: role.to_string(),
        hash: key.hash(),
        identity: None,
        tenant: None,
        role: Some(*role),
        permissions: Vec::new(),
    };
    let auth = Arc::new(ApiKeyAuth::new(keys.iter().map(record).collect()));
    let server = server_with(|server| server.with_settings(quick()).with_auth(auth)).await;
    (server, keys.into_iter().map(|(role, key)| (role, key.expose().to_owned())).collect())
}

#[tokio::test]
async fn every_operation_needs_the_role_that_is_documented() {
    let (server, keys) = server_of_all().await;
    let mut documented = documented();
    let document = server.get("/openapi.json").await.ok();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if OPEN.contains(&path.as_str()) {
            continue;
        }
        let filled = path.split('/').map(|part| if part.starts_with('{') { NOWHERE } else { part });
        let filled = filled.collect::<Vec<_>>().join("/");
        for method in methods.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let operation = format!("{method} {path}");
            let least = documented.remove(&operation).unwrap_or_else(|| panic!("the README has no {operation}"));
            for (role, key) in &keys {
                // A stream may never end, so the test reads only the bodies of refusals.
                let answer = server.open(&method, &filled, &[("x-api-key", key)], "{}").await;
                let status = answer.status().as_u16();
                assert_eq!(status == 403, *role < least, "{operation} as {role}: {status}");
                if status == 403 {
                    let text = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
                    let detail = format!("This needs the role {least} or more; the API key has the role {role}");
                    assert_eq!(text, json!({"detail": detail}).to_string(), "{operation}");
                }
            }
        }
    }
    assert!(documented.is_empty(), "the README lists unknown operations: {documented:?}");
}

#[tokio::test]
async fn a_viewer_cannot_end_a_run_by_going_away() {
    let (server, keys) = server_of_all().await;
    // The stream of a missing run reports that in an event.
    for (suffix, missing) in [("join", 404), ("stream", 200)] {
        let path = format!("/threads/{NOWHERE}/runs/{NOWHERE}/{suffix}?cancel_on_disconnect=true");
        let statuses = keys.iter().map(|(_, key)| {
            let (server, path) = (&server, &path);
            async move { server.send("GET", path, &[("x-api-key", key)], "").await.status.as_u16() }
        });
        assert_eq!(futures::future::join_all(statuses).await, [403, missing, missing, missing]);
    }
}

#[tokio::test]
async fn a_role_holds_wherever_the_api_is_mounted() {
    let (server, keys) = server_of_all().await;
    let nested = Server { router: axum::Router::new().nest("/outer", server.router.clone()), ..server.clone() };
    for (role, key) in &keys {
        let headers = [("x-api-key", key.as_str())];
        let read = nested.send("POST", "/outer/threads/search", &headers, "{}").await;
        assert_eq!(read.status, 200, "{role}: {}", read.text);
        let head = nested.send("HEAD", &format!("/outer/threads/{NOWHERE}"), &headers, "").await;
        assert_eq!(head.status, 404, "{role}");
        let made = nested.send("POST", "/outer/threads", &headers, "{}").await;
        assert_eq!(made.status == 200, *role >= Role::Developer, "{role}: {}", made.text);
    }
    let forged = [("x-api-key", keys[0].1.as_str()), ("x-role", "admin"), ("x-langopen-role", "admin")];
    assert_eq!(server.send("POST", "/threads", &forged, json!({}).to_string()).await.status, 403);
}

#[tokio::test]
async fn a_viewer_reads_through_the_protocols_and_starts_nothing() {
    let (server, keys) = server_of_all().await;
    let start = json!({"id": 1, "method": "run.start", "params": {"assistant_id": "echo"}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}});
    for (role, key) in &keys {
        let headers = [("x-api-key", key.as_str())];
        let path = format!("/threads/{NOWHERE}/commands");
        let started = server.send("POST", &path, &headers, start.to_string()).await.ok();
        let called = server.send("POST", "/mcp", &headers, call.to_string()).await.ok();
        let refused = *role < Role::Developer;
        assert_eq!(started["error"] == "permission_denied", refused, "{role}: {started}");
        assert_eq!(called["error"].is_object(), refused, "{role}: {called}");
    }
}
