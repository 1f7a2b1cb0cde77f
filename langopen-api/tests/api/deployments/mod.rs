//! Several deployments behind one address.

mod bench;
mod limits;

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::to_bytes;
use langopen_api::Trusted;
use langopen_core::AssistantId;
use langopen_core::auth::{KeyRing, Role};
use langopen_core::model::DeploymentSpec;
use langopen_core::storage::{ApiKeys, Deployments};
use serde_json::json;

use bench::{Bench, Options, tenant};

#[tokio::test]
async fn a_deployment_is_reached_by_path_host_and_key() {
    let bench = Bench::new().await;
    let [prod, project, organization] =
        [bench.admin("acme/web/prod").await, bench.admin("acme/web/*").await, bench.admin("acme/*").await];
    let thread = bench.send(&prod, "POST", "/threads", json!({})).await.ok();
    let path = format!("/threads/{}", thread["thread_id"].as_str().unwrap());
    let get = async |key: &str, host: &str, path: &str| {
        let headers = [("x-api-key", key), ("host", host)];
        bench.server.send("GET", path, &headers, "").await.status.as_u16()
    };
    for (key, host, prefix) in [
        (&prod, "localhost", ""),
        (&prod, "localhost", "/d/prod"),
        (&prod, "localhost", "/d/web.prod"),
        (&prod, "localhost", "/d/acme.web.prod"),
        (&project, "localhost:2024", "/d/prod"),
        (&organization, "localhost", "/d/web.prod"),
        (&organization, "prod.example", ""),
        (&project, "PROD.example:443", ""),
    ] {
        assert_eq!(get(key, host, &format!("{prefix}{path}")).await, 200, "{host} {prefix}");
    }
    assert_eq!(
        get(&project, "localhost", &format!("/d/test{path}")).await,
        404,
        "the thread belongs to another deployment"
    );
    assert_eq!(get(&prod, "prod.example", &format!("/d/prod{path}")).await, 404, "the host already names a deployment");
    assert_eq!(get(&prod, "xprod.example", "/d/prod/ok").await, 200, "an unknown host names no deployment");
}

#[tokio::test]
async fn requests_without_a_deployment_or_for_foreign_ones_are_refused() {
    let bench = Bench::new().await;
    let [prod, project, organization] =
        [bench.admin("acme/web/prod").await, bench.admin("acme/web/*").await, bench.admin("acme/*").await];
    for (key, path, status) in [
        (&prod, "/d/test/threads", 403),
        (&prod, "/d/nothing/threads", 403),
        (&prod, "/d/other.web.prod/threads", 403),
        (&project, "/d/other.web.prod/threads", 403),
        (&project, "/d/other.web.nothing/threads", 403),
        (&project, "/d/nothing/threads", 404),
        (&project, "/d/NOTHING/threads", 404),
        (&project, "/d/down/threads", 503),
        (&project, "/threads", 400),
        (&organization, "/threads", 400),
        (&organization, "/d/prod/threads", 400),
    ] {
        let answer = bench.send(key, "POST", path, json!({})).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        let detail = answer.detail();
        assert!(!detail.is_empty() && !detail.contains("other"), "{path}: {detail}");
    }
    // A key of one deployment must not reveal whether another deployment exists.
    let [there, not] = [bench.send(&prod, "POST", "/d/other.web.prod/threads", json!({})).await, {
        bench.send(&prod, "POST", "/d/other.web.nothing/threads", json!({})).await
    }];
    assert_eq!((there.status, there.text), (not.status, not.text));
    let foreign_host = bench.admin("other/web/prod").await;
    let headers = [("x-api-key", foreign_host.as_str()), ("host", "prod.example")];
    assert_eq!(bench.server.send("POST", "/threads/search", &headers, "{}").await.status, 403);

    assert_eq!(bench.status("lok_unknown", "/d/acme.web.prod/threads").await, 401);
    for (path, status) in [("/threads", 404), ("/d/prod/threads", 400), ("/d/acme.web.prod/threads", 401)] {
        assert_eq!(bench.server.post(path, json!({})).await.status, status, "{path}");
    }
    assert_eq!(bench.server.get("/d/acme.web.nothing/ok").await.status, 404);
    // A page in a browser can read the answer, too.
    let headers = [("origin", "https://a.example")];
    let answer = bench.server.send("GET", "/d/acme.web.nothing/ok", &headers, "").await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (404, "*"));
    let headers = [headers[0], ("access-control-request-method", "GET")];
    assert_eq!(bench.server.send("OPTIONS", "/threads", &headers, "").await.status, 200);
}

#[tokio::test]
async fn a_prefix_is_removed_and_passed_on_to_the_app() {
    let bench = Bench::with(Options { open: true, app: true, ..Options::default() }).await;
    let server = &bench.server;
    let run = json!({"assistant_id": "echo", "input": {}});
    let created = server.post("/d/acme.web.prod/runs", run).await;
    let location = created.header("content-location").to_owned();
    assert!(location.starts_with("/runs/"), "clients append it to their base URL: {location}");
    let redirect = server.get("/d/acme.web.prod/info/?a=1").await;
    assert_eq!((redirect.status.as_u16(), redirect.header("location")), (307, "/d/acme.web.prod/info?a=1"));
    let document = server.get("/d/acme.web.prod/openapi.json").await.ok();
    assert_eq!(document["servers"], json!([{"url": "/d/acme.web.prod"}]));
    assert!(server.get("/d/acme.web.prod/docs").await.text.contains("docs/"));
    let mine = server.get("/d/acme.web.prod/mine").await.ok();
    assert_eq!(mine, json!({"path": "/d/acme.web.prod/mine", "root": "/d/acme.web.prod"}));
    let agent = format!("/d/acme.web.prod/a2a/{}", AssistantId::system("echo"));
    for path in [
        agent.clone(),
        format!("/d/acme.web.prod/.well-known/agent-card.json?assistant_id={}", AssistantId::system("echo")),
    ] {
        let card = server.send("GET", &path, &[("host", "here")], "").await.ok();
        assert_eq!(card["url"], format!("http://here{agent}"));
    }
    assert_eq!(server.post("/d/acme.web.prod/threads/search", json!({})).await.ok().as_array().unwrap().len(), 1);
    assert_eq!(server.get("/d/acme.web.prod").await.ok()["ok"], true);
    assert_eq!(server.get("/d/acme.web.prod/metrics").await.status, 404, "the metrics cover all deployments");
}

#[tokio::test]
async fn requests_that_name_nothing_go_to_the_default() {
    let default = tenant("acme/web/test");
    let bench = Bench::with(Options { open: true, default: Some(default.clone()), ..Options::default() }).await;
    let server = &bench.server;
    let id = server.thread().await;
    assert_eq!(
        server.get(&format!("/d/test/threads/{id}")).await.status,
        200,
        "an omitted part is that of the default"
    );
    assert_eq!(server.get(&format!("/d/prod/threads/{id}")).await.status, 404);
    assert_eq!(server.get("/metrics").await.status, 200);
    let mut request = http::Request::builder().uri(format!("/threads/{id}")).body(axum::body::Body::empty()).unwrap();
    request.extensions_mut().insert(Trusted { tenant: tenant("acme/web/prod") });
    let response = tower::ServiceExt::oneshot(server.router.clone(), request).await.unwrap();
    assert_eq!(response.status(), 404, "a trusted request acts in the tenant that it names");
}

#[tokio::test]
async fn the_process_answers_requests_without_a_deployment() {
    let bench = Bench::with(Options { root: true, ..Options::default() }).await;
    let key = bench.admin("acme/web/*").await;
    assert_eq!(bench.server.get("/ok").await.text, "the process is healthy");
    assert_eq!(bench.send(&key, "GET", "/ok", json!({})).await.text, "the process is healthy");
    assert_eq!(bench.send(&key, "GET", "/d/prod/ok", json!({})).await.ok()["ok"], true);
    for (answer, status) in [
        (bench.server.post("/threads", json!({})).await, 404),
        (bench.send(&key, "POST", "/threads", json!({})).await, 400),
    ] {
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.detail().contains("/d/{deployment}"), "{}", answer.text);
    }
}

#[tokio::test]
async fn roles_and_revocations_hold_for_stored_keys() {
    let bench = Bench::new().await;
    let (id, viewer) = bench.key("acme/web/*", Role::Viewer).await;
    assert_eq!(bench.status(&viewer, "/d/prod/threads/search").await, 200);
    assert_eq!(bench.status(&viewer, "/d/prod/threads").await, 403);
    bench.server.memory.revoke_api_key(None, id).await.unwrap();
    bench.clock.advance(KeyRing::FRESH);
    assert_eq!(bench.status(&viewer, "/d/prod/threads/search").await, 401);
}

#[tokio::test]
async fn a_server_is_made_once_for_each_revision() {
    let bench = Bench::new().await;
    let key = bench.admin("acme/web/*").await;
    let all = (0..8).map(|_| bench.status(&key, "/d/prod/threads/search"));
    assert_eq!(futures::future::join_all(all).await, [200; 8]);
    assert_eq!(bench.source.made.load(Ordering::SeqCst), 1);
    "2".clone_into(&mut bench.source.revision.lock());
    assert_eq!(bench.status(&key, "/d/prod/threads/search").await, 200);
    assert_eq!(bench.source.made.load(Ordering::SeqCst), 2);
    // Deployments may be added and deleted while the server runs.
    assert_eq!(bench.status(&key, "/d/new/threads/search").await, 404);
    bench.put("acme/web/new", DeploymentSpec::default()).await;
    assert_eq!(bench.status(&key, "/d/new/threads/search").await, 200);
    bench.server.memory.delete_deployment(&tenant("acme/web/new")).await.unwrap();
    bench.clock.advance(Duration::from_secs(5));
    assert_eq!(bench.status(&key, "/d/new/threads/search").await, 404);
}

#[tokio::test]
async fn pages_get_addresses_of_the_deployment() {
    let bench = Bench::new().await;
    let key = bench.admin("acme/web/*").await;
    let headers = [("x-api-key", key.as_str()), ("host", "agents.example"), ("content-type", "application/json")];
    let one = bench.admin("acme/web/test").await;
    for (path, key, host, expected) in [
        ("/d/prod/ui/echo", &key, "agents.example", "/d/acme.web.prod/ui/echo"),
        ("/ui/echo", &one, "agents.example", "/d/acme.web.test/ui/echo"),
        ("/ui/echo", &key, "prod.example", "/ui/echo"),
    ] {
        let headers = [("x-api-key", key.as_str()), ("host", host), ("content-type", "application/json")];
        let page = bench.server.open("POST", path, &headers, r#"{"name": "x"}"#).await;
        let html = to_bytes(page.into_body(), 10_000).await.unwrap();
        let html = std::str::from_utf8(&html).unwrap();
        let address =
            html.split('"').nth(1).and_then(|address| address.strip_prefix(&format!("//{host}"))).unwrap_or(html);
        assert_eq!(address, format!("{expected}/{}.js", "0".repeat(64)));
        let script = bench.server.open("GET", address, &[("host", host)], "").await;
        assert_eq!(script.status(), 200, "scripts need no key");
    }
    assert_eq!(
        bench.server.open("POST", "/d/acme.web.prod/ui/echo", &headers[1..], r#"{"name": "x"}"#).await.status(),
        401
    );
}
