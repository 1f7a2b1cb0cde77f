//! A loopback server without authentication refuses foreign pages at every endpoint: pages of other origins, and pages
//! whose host name resolves to this machine (DNS rebinding).

use std::sync::Arc;

use axum::body::Body;
use http::Request;
use langopen_api::Trusted;
use langopen_core::Tenant;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::coverage::Owners;
use crate::harness::{NOWHERE, Server, quick, server_with};

async fn local() -> Server {
    let settings = quick().with_refuse_foreign_pages(true);
    server_with(|server| server.with_settings(settings)).await
}

/// Method and path of every operation in the document, and of endpoints that are not in it.
async fn doors(server: &Server) -> Vec<(String, String)> {
    let document = server.get("/openapi.json").await.ok();
    let mut doors = vec![("GET".to_owned(), "/nowhere".to_owned()), ("OPTIONS".to_owned(), "/runs/wait".to_owned())];
    for (path, methods) in document["paths"].as_object().unwrap() {
        let filled: Vec<_> = path.split('/').map(|step| if step.starts_with('{') { NOWHERE } else { step }).collect();
        doors.extend(methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), filled.join("/"))));
    }
    doors.push(("GET".to_owned(), format!("/threads/{NOWHERE}/stream/events")));
    doors
}

#[tokio::test]
async fn foreign_pages_are_refused_at_every_door() {
    let server = local().await;
    let run = json!({"assistant_id": "echo", "input": {}}).to_string();
    for (method, path) in doors(&server).await {
        for headers in [
            [("host", "127.0.0.1:2024"), ("origin", "https://evil.example"), ("content-type", "text/plain")],
            [("host", "127.0.0.1:2024"), ("origin", "null"), ("content-type", "application/json")],
            // DNS rebinding: the page's host name resolves to this machine. The browser treats the page as same-origin,
            // so it may send any header.
            [("host", "evil.example:2024"), ("origin", "http://evil.example:2024"), ("x-forwarded-for", "192.0.2.1")],
            [("host", "evil.example:2024"), ("x-forwarded-host", "localhost"), ("x-api-key", "lok_unknown")],
            [("host", "localhost:2024"), ("origin", "https://evil.example"), ("upgrade", "websocket")],
        ] {
            let answer = server.send(&method, &path, &headers, run.clone()).await;
            assert_eq!(answer.status, 403, "{method} {path} {headers:?}: {}", answer.text);
            assert!(answer.detail().contains("no login"), "{}", answer.text);
        }
    }
    let threads = server.post("/threads/search", json!({})).await.ok();
    assert_eq!(threads, json!([]), "nothing was run");
}

#[tokio::test]
async fn pages_of_this_machine_call_with_json() {
    let server = local().await;
    let run = json!({"assistant_id": "echo", "input": {}}).to_string();
    let page = ("origin", "http://localhost:3000");
    for (headers, status) in [
        (vec![("host", "localhost:2024")], 200),
        (vec![("host", "localhost:2024"), ("content-type", "text/plain")], 200),
        (vec![("host", "127.0.0.1:2024"), page, ("content-type", "application/json")], 200),
        (vec![("host", "127.0.0.1:2024"), page, ("content-type", "text/plain")], 415),
        (vec![("host", "127.0.0.1:2024"), page], 415),
        (vec![("host", "[::1]:2024"), ("origin", "http://[::1]:2024")], 200),
    ] {
        let answer = server.send("POST", "/runs/wait", &headers, run.clone()).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text);
    }
    // Requests from within the platform may name any host.
    let mut request = Request::post("/runs/wait").header("host", "api").body(Body::from(run)).unwrap();
    request.extensions_mut().insert(Trusted { tenant: Tenant::default() });
    assert_eq!(server.router.clone().oneshot(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn where_there_is_a_login_it_decides() {
    let settings = quick().with_refuse_foreign_pages(true);
    let server = server_with(|server| server.with_settings(settings).with_auth(Arc::new(Owners))).await;
    let headers = [("host", "agents.example"), ("origin", "https://app.example"), ("content-type", "application/json")];
    let search = |headers: Vec<(&'static str, &'static str)>| {
        let server = server.clone();
        async move { server.send("POST", "/threads/search", &headers, "{}").await.status.as_u16() }
    };
    assert_eq!(search(headers.to_vec()).await, 401);
    assert_eq!(search([&headers[..], &[("x-user", "alice")]].concat()).await, 200);
    // Without the setting, the server refuses no page: other servers may be public.
    let open = crate::harness::server().await;
    let answer = open.send("POST", "/threads/search", &headers, "{}").await.ok();
    assert_eq!(answer, Value::Array(Vec::new()));
}
