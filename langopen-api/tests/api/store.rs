use serde_json::{Value, json};

use crate::harness::server;

#[tokio::test]
async fn items_are_put_found_and_removed() {
    let server = server().await;
    let put = async |body: Value| server.send("PUT", "/store/items", &[], body.to_string()).await;
    for (namespace, key, n) in [(["users", "u1"], "k1", 1), (["users", "u1"], "k2", 5), (["users", "u2"], "k1", 3)] {
        let answer =
            put(json!({"namespace": namespace, "key": key, "value": {"n": n}, "index": false, "ttl": null})).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    }
    for query in ["namespace=users.u1", "namespace=users&namespace=u1", "namespace=%5B%22users%22%2C%22u1%22%5D"] {
        let item = server.get(&format!("/store/items?{query}&key=k1")).await.ok();
        assert_eq!(item["value"], json!({"n": 1}));
        assert!(item.get("score").is_none());
    }
    assert_eq!(server.get("/store/items?namespace=users.u1&key=nope").await.text, "null");

    for (body, expected) in [
        (json!({"namespace_prefix": ["users"]}), 3),
        (json!({}), 3),
        (json!({"namespace_prefix": null, "query": "words", "limit": 2}), 2),
        (json!({"namespace_prefix": ["users", "u1"]}), 2),
        (json!({"filter": {"n": 5}}), 1),
        (json!({"filter": {"n": {"$gt": 1, "$lte": 3}}}), 1),
    ] {
        let found = server.post("/store/items/search", body.clone()).await.ok();
        assert_eq!(found["items"].as_array().map(Vec::len), Some(expected), "{body}");
        assert_eq!(found["items"][0]["score"], Value::Null);
    }
    for (body, expected) in [
        (json!({}), json!([["users", "u1"], ["users", "u2"]])),
        (json!({"prefix": ["users"], "max_depth": 1}), json!([["users"]])),
        (json!({"suffix": ["u2"]}), json!([["users", "u2"]])),
        (json!({"prefix": ["*", "u1"]}), json!([["users", "u1"]])),
    ] {
        assert_eq!(server.post("/store/namespaces", body.clone()).await.ok()["namespaces"], expected, "{body}");
    }
    for _ in 0..2 {
        let body = r#"{"namespace":["users","u1"],"key":"k1"}"#;
        assert_eq!(server.send("DELETE", "/store/items", &[], body).await.status, 204);
    }
    assert_eq!(server.get("/store/items?namespace=users.u1&key=k1").await.text, "null");
}

#[tokio::test]
async fn the_store_refuses_in_its_own_ways() {
    let server = server().await;
    for (body, status, kind, text) in [
        (
            json!({"namespace": ["a.b"], "key": "k", "value": {}}),
            422,
            "text/plain; charset=utf-8",
            "Namespace label 'a.b' must be a non-empty string without periods",
        ),
        (
            json!({"namespace": [], "key": "k", "value": {}}),
            400,
            "application/json",
            r#"{"detail":"Namespace cannot be empty."}"#,
        ),
        (
            json!({"namespace": ["langgraph", "x"], "key": "k", "value": {}}),
            400,
            "application/json",
            r#"{"detail":"Root label for namespace cannot be \"langgraph\". Got: ('langgraph', 'x')"}"#,
        ),
        (
            json!({"namespace": ["langgraph"], "key": "k", "value": {}}),
            400,
            "application/json",
            r#"{"detail":"Root label for namespace cannot be \"langgraph\". Got: ('langgraph',)"}"#,
        ),
        (
            json!({"namespace": ["a"], "key": "k", "value": "str"}),
            422,
            "application/json",
            r#"{"detail":"value: expected an object, got \"str\""}"#,
        ),
        (
            json!({"namespace": ["a"], "value": {}}),
            422,
            "application/json",
            r#"{"detail":"\"key\" is a required property"}"#,
        ),
        (
            json!({"namespace": ["a"], "key": "k", "value": {}, "ttl": 0}),
            422,
            "application/json",
            r#"{"detail":"ttl: must be greater than 0"}"#,
        ),
        (
            json!({"namespace": ["a"], "key": "k", "value": {}, "index": true}),
            422,
            "application/json",
            r#"{"detail":"index: expected false, null or an array of strings, got true"}"#,
        ),
    ] {
        let answer = server.send("PUT", "/store/items", &[], body.to_string()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type"), answer.text.as_str()),
            (status, kind, text),
            "{body}"
        );
    }
    let answer = server.get("/store/items?namespace=a").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (400, r#"{"error":"Key is required"}"#));
    assert_eq!(server.get("/store/items?key=k").await.status, 422);
}
