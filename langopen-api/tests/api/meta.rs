use langopen_api::{Cors, Features, Settings};
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
    let exposed = "x-pagination-total,x-pagination-next,content-location,location";
    assert_eq!(answer.header("access-control-expose-headers"), exposed);
}

async fn with_cors(cors: Cors) -> crate::harness::Server {
    server_with(|server| server.with_settings(Settings::default().with_cors(Some(cors)))).await
}

#[tokio::test]
async fn chosen_origins_may_call() {
    let cors = Cors {
        allow_origins: vec!["https://a.example".to_owned()],
        allow_origin_regex: Some(r"https://[a-z]+\.b\.example".to_owned()),
        allow_methods: vec!["GET".to_owned()],
        allow_headers: vec!["x-api-key".to_owned()],
        allow_credentials: true,
        expose_headers: vec!["x-own".to_owned(), "content-location".to_owned()],
        max_age: std::time::Duration::from_secs(7),
        ..Cors::default()
    };
    let server = with_cors(cors).await;
    for (origin, allowed) in [
        ("https://a.example", true),
        ("https://app.b.example", true),
        ("https://app.b.example.evil.example", false),
        ("https://evil.example", false),
    ] {
        let answer = server.send("GET", "/ok", &[("origin", origin)], "").await;
        assert_eq!(answer.header("access-control-allow-origin"), if allowed { origin } else { "" });
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
        let exposed = "x-pagination-total,x-pagination-next,content-location,location,x-own";
        assert_eq!(answer.header("access-control-expose-headers"), exposed);
    }
    let ask = [("origin", "https://a.example"), ("access-control-request-method", "GET")];
    let answer = server.send("OPTIONS", "/threads", &ask, "").await;
    assert_eq!(answer.header("access-control-allow-methods"), "GET");
    assert_eq!(answer.header("access-control-allow-headers"), "x-api-key");
    assert_eq!(answer.header("access-control-max-age"), "7");
}

#[tokio::test]
async fn wildcard_origins_never_get_credentials() {
    let server = with_cors(Cors { allow_credentials: true, ..Cors::default() }).await;
    let answer = server.send("GET", "/ok", &[("origin", "https://a.example"), ("cookie", "a=b")], "").await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
}

#[tokio::test]
async fn options_without_a_preflight_are_for_the_routes() {
    let server = server().await;
    assert_eq!(server.send("OPTIONS", "/threads", &[("origin", "https://a.example")], "").await.status, 405);
    let nobody = server_with(|server| server.with_settings(Settings::default().with_cors(None))).await;
    let answer = nobody.send("GET", "/ok", &[("origin", "https://a.example")], "").await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn groups_can_be_left_out() {
    let features = Features { store: false, meta: false, ..Features::default() };
    let server = server_with(|server| server.with_settings(Settings::default().with_features(features))).await;
    for path in ["/info", "/docs", "/openapi.json", "/store/items?namespace=a&key=b"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    assert_eq!(server.get("/ok").await.text, r#"{"ok":true}"#);
    server.thread().await;
}

#[tokio::test]
async fn the_api_can_lie_under_a_prefix() {
    let settings = Settings::default().with_mount_prefix(Some("/pre".to_owned()));
    let server = server_with(|server| server.with_settings(settings)).await;
    for path in ["/", "/ok", "/metrics", "/pre/metrics", "/pre/ok", "/pre/info", "/pre/openapi.json", "/pre/docs"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    assert_eq!(server.post("/threads", json!({})).await.text, r#"{"detail":"Not Found"}"#);
    let thread = server.post("/pre/threads", json!({})).await.ok();
    let path = format!("/threads/{}/runs", thread["thread_id"].as_str().unwrap());
    let answer = server.post(&format!("/pre{path}/wait"), json!({"assistant_id": "echo"})).await;
    assert!(answer.header("location").starts_with(&path));
    assert_eq!(server.post("/pre/threads/", json!({})).await.header("location"), "/pre/threads");
    assert_eq!(server.get("/pre/openapi.json").await.ok()["servers"], json!([{"url": "/pre"}]));
    assert_eq!(server.get("/pre/nope").await.text, r#"{"detail":"Not Found"}"#);
    assert_eq!(server.send("PUT", "/pre/threads", &[], "").await.status, 405);
}
