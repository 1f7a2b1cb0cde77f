use langopen_api::{Features, Settings};
use serde_json::json;

use crate::harness::{server, server_with};

#[tokio::test]
async fn the_server_speaks_about_itself() {
    let server = server().await;
    for path in ["/", "/ok"] {
        assert_eq!(server.get(path).await.text, r#"{"ok":true,"services":{}}"#);
    }
    assert_eq!(server.get("/ok?check_db=1").await.ok()["services"]["database"], "healthy");
    let info = server.get("/info").await.ok();
    assert_eq!((&info["version"], &info["host"]["kind"]), (&json!("0.16.7"), &json!("self-hosted")));
    let page = server.get("/docs").await;
    assert!(page.header("content-type").starts_with("text/html"), "{}", page.header("content-type"));
    let files: Vec<_> = page.text.split('"').filter(|part| part.starts_with("docs/")).collect();
    assert!(files.len() >= 5, "{}", page.text);
    for file in files {
        assert_eq!(server.get(&format!("/{file}")).await.status, 200, "{file}");
    }
    assert!(server.get("/docs/swagger-initializer.js").await.text.contains("openapi.json"));
}

#[tokio::test]
async fn browsers_of_any_origin_may_call() {
    let server = server().await;
    for path in ["/threads", "/nope", "/runs/stream"] {
        let headers = [
            ("origin", "http://x.com"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "x-api-key,x-auth-scheme"),
            ("access-control-request-private-network", "true"),
        ];
        let answer = server.send("OPTIONS", path, &headers, "").await;
        assert_eq!(answer.status, 200, "{path}");
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,QUERY"),
            ("access-control-allow-headers", "x-api-key,x-auth-scheme"),
            ("access-control-max-age", "600"),
            ("access-control-allow-private-network", "true"),
        ] {
            assert_eq!(answer.header(name), value, "{path} {name}");
        }
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    }
    let answer = server.send("GET", "/ok", &[("origin", "http://x.com")], "").await;
    assert_eq!(answer.header("access-control-expose-headers"), "x-pagination-total,x-pagination-next,content-location");
}

#[tokio::test]
async fn groups_can_be_left_out() {
    let features = Features { store: false, meta: false, ..Features::default() };
    let server = server_with(|server| server.with_settings(Settings { features, ..Settings::default() })).await;
    for path in ["/info", "/docs", "/openapi.json", "/store/items?namespace=a&key=b"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    assert_eq!(server.get("/ok").await.text, r#"{"ok":true}"#);
    server.thread().await;
}

#[tokio::test]
async fn the_api_can_lie_under_a_prefix() {
    let settings = Settings { mount_prefix: Some("/pre".to_owned()), ..Settings::default() };
    let server = server_with(|server| server.with_settings(settings)).await;
    for path in ["/", "/ok", "/pre/ok", "/pre/info", "/pre/openapi.json", "/pre/docs"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    assert_eq!(server.post("/threads", json!({})).await.text, r#"{"detail":"Not Found"}"#);
    let thread = server.post("/pre/threads", json!({})).await.ok();
    let path = format!("/threads/{}/runs", thread["thread_id"].as_str().unwrap());
    let answer = server.post(&format!("/pre{path}/wait"), json!({"assistant_id": "echo"})).await;
    assert!(answer.header("location").starts_with(&path));
    assert_eq!(server.post("/pre/threads/", json!({})).await.header("location"), "/pre/threads");
    assert_eq!(server.get("/pre/nope").await.text, r#"{"detail":"Not Found"}"#);
    assert_eq!(server.send("PUT", "/pre/threads", &[], "").await.status, 405);
}
