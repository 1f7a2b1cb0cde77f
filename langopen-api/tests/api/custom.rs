//! A custom app in Rust in front of the API.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use langopen_api::{Api, AppDescription, AppOptions, AppRequest, AppRoute, CustomApp, Settings, Trusted};
use langopen_core::Tenant;
use serde_json::json;

use crate::harness::{Server, quick, server_with};

/// An app that answers below `/mine`, refuses requests with `x-stop`, rewrites bodies with `x-rewrite`, and marks the
/// responses that it passes on.
struct Fake {
    first: bool,
    later: bool,
}

#[async_trait]
impl CustomApp for Fake {
    fn describe(&self) -> AppDescription {
        let route = |pattern: &str, websocket| AppRoute { pattern: pattern.to_owned(), methods: None, websocket };
        AppDescription {
            first: self.first,
            routes: vec![route("^/mine(/.*)?$", false), route("^/runs/afakeroute$", false), route("^/socket$", true)],
            fallback: self.later,
            openapi: Some(json!({"paths": {"/mine": {"get": {"summary": "Mine"}}}})),
        }
    }

    async fn call(&self, request: AppRequest, api: Api) -> Response {
        let AppRequest { request, root_path, unknown, user, .. } = request;
        if request.headers().contains_key("x-stop") {
            return (StatusCode::IM_A_TEAPOT, "stopped").into_response();
        }
        let path = request.uri().path()[root_path.len()..].to_owned();
        if unknown || path.starts_with("/mine") || path == "/runs/afakeroute" {
            let key = request.headers().contains_key("x-api-key");
            let body = to_bytes(request.into_body(), usize::MAX).await.unwrap_or_default();
            return axum::Json(json!({"mine": path, "unknown": unknown, "user": user, "body": body.len(), "key": key}))
                .into_response();
        }
        let rewrite = request.headers().contains_key("x-rewrite");
        let request = match rewrite {
            true => request.map(|_| Body::from(json!({"metadata": {"rewritten": true}}).to_string())),
            false => request,
        };
        let mut response = api.call(request).await;
        response.headers_mut().insert("x-app", "seen".parse().unwrap());
        response
    }
}

async fn with_app(app: Fake, options: AppOptions, settings: Settings) -> Server {
    server_with(|server| server.with_settings(settings).with_app(Arc::new(app), options)).await
}

#[tokio::test]
async fn routes_of_the_app_win_except_over_the_servers() {
    let server = with_app(Fake { first: false, later: false }, AppOptions::default(), quick()).await;
    assert_eq!(server.get("/runs/afakeroute").await.ok()["mine"], "/runs/afakeroute");
    assert_eq!(server.get("/mine/a%20b").await.ok()["user"], json!(null));
    assert_eq!(server.get("/ok").await.header("x-app"), "");
    assert_eq!(server.get("/nowhere").await.text, r#"{"detail":"Not Found"}"#);
    let document = server.get("/openapi.json").await.ok();
    assert!(document["paths"]["/mine"].is_object() && document["paths"]["/threads"].is_object());
    let upgrade = [("upgrade", "websocket"), ("connection", "upgrade")];
    assert_eq!(server.send("GET", "/socket", &upgrade, "").await.status, 501);
    assert_eq!(server.send("GET", "/elsewhere", &upgrade, "").await.status, 404);
    let key = server.send("GET", "/mine", &[("x-api-key", "lok_secret")], "").await.ok();
    assert_eq!(key["key"], false);
    server.thread().await;
}

#[tokio::test]
async fn middleware_sees_everything_and_may_change_it() {
    let server = with_app(Fake { first: true, later: false }, AppOptions::default(), quick()).await;
    for path in ["/ok", "/info", "/nowhere"] {
        assert_eq!(server.get(path).await.header("x-app"), "seen", "{path}");
    }
    assert_eq!(server.send("POST", "/threads", &[("x-stop", "1")], "{}").await.status, 418);
    let thread = server.send("POST", "/threads", &[("x-rewrite", "1")], "{}").await.ok();
    assert_eq!(thread["metadata"], json!({"rewritten": true}));
}

#[tokio::test]
async fn a_word_about_websockets_does_not_get_past_the_app() {
    let server = with_app(Fake { first: true, later: false }, AppOptions::default(), quick()).await;
    let upgrade = [
        ("x-stop", "1"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let thread = server.thread().await;
    let run = json!({"assistant_id": "echo", "input": {}}).to_string();
    for (method, path) in [
        ("POST", "/runs/wait".to_owned()),
        ("POST", "/threads".to_owned()),
        ("POST", format!("/threads/{thread}/stream/events")),
        ("DELETE", format!("/threads/{thread}")),
        ("GET", format!("/threads/{thread}")),
        ("GET", format!("/threads/{thread}/stream%2Fevents")),
        ("GET", "/mine".to_owned()),
        ("GET", "/runs/afakeroute".to_owned()),
    ] {
        for headers in [&upgrade[..], &upgrade[..2]] {
            let answer = server.send(method, &path, headers, run.clone()).await;
            assert_eq!(answer.status, 418, "{method} {path}: {}", answer.text);
        }
    }
    // The app does not get the API's WebSocket: the API authenticates its callers itself.
    let socket = format!("/threads/{thread}/stream/events");
    assert_ne!(server.send("GET", &socket, &upgrade, "").await.status, 418);

    // A route that the app has overridden stays overridden.
    let server = with_app(Fake { first: false, later: false }, AppOptions::default(), quick()).await;
    let answer = server.send("POST", "/runs/afakeroute", &upgrade[1..], run.clone()).await.ok();
    assert_eq!(answer["mine"], "/runs/afakeroute");
    assert_eq!(server.send("POST", "/runs/wait", &upgrade[1..], run).await.ok()["log"], json!(["echo"]));
}

#[tokio::test]
async fn the_app_gets_unknown_paths_with_their_body() {
    let server = with_app(Fake { first: false, later: true }, AppOptions::default(), quick()).await;
    let answer = server.send("POST", "/nowhere", &[], "abc").await.ok();
    assert_eq!((&answer["unknown"], &answer["body"]), (&json!(true), &json!(3)));
    server.thread().await;
    assert_eq!(server.post("/mine", json!("x".repeat(200_000))).await.status, 413);
    let settings = quick().with_mount_prefix(Some("/pre".to_owned()));
    let server = with_app(Fake { first: false, later: true }, AppOptions::default(), settings).await;
    assert_eq!(server.get("/pre/mine").await.ok()["mine"], "/mine");
    assert_eq!(server.get("/mine").await.status, 404);
    assert_eq!(server.get("/ok").await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_too_long_breaks_off() {
    let server = with_app(Fake { first: false, later: false }, AppOptions::default(), quick()).await;
    let pieces = futures::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 10_000])));
    assert_eq!(server.send("POST", "/mine", &[], Body::from_stream(pieces)).await.status, 413);
}

#[tokio::test]
async fn requests_from_within_are_trusted() {
    let server = with_app(Fake { first: false, later: false }, AppOptions::default(), quick()).await;
    let mut request = http::Request::post("/threads").body(Body::from("{}")).unwrap();
    request.extensions_mut().insert(Trusted { tenant: Tenant::default() });
    let response = tower::ServiceExt::oneshot(server.router.clone(), request).await.unwrap();
    assert_eq!(response.status(), 200);
}
