use langopen_core::AssistantId;
use serde_json::{Value, json};

use crate::harness::server;

#[tokio::test]
async fn an_assistant_lives_in_versions() {
    let server = server().await;
    let body = json!({"graph_id": "echo", "name": "My A", "metadata": {"team": "x"}, "context": {"model": "m"}, "description": "d"});
    let created = server.post("/assistants", body).await.ok();
    let keys: Vec<_> = created.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "assistant_id",
            "graph_id",
            "config",
            "context",
            "metadata",
            "name",
            "created_at",
            "updated_at",
            "version",
            "description"
        ]
    );
    assert_eq!(created["config"], json!({"configurable": {"model": "m"}}));
    let id = created["assistant_id"].as_str().unwrap();
    let path = format!("/assistants/{id}");

    let duplicate = server.post("/assistants", json!({"graph_id": "echo", "assistant_id": id})).await;
    assert_eq!((duplicate.status.as_u16(), duplicate.detail()), (409, format!("Assistant {id} already exists")));
    let again = json!({"graph_id": "echo", "assistant_id": id, "if_exists": "do_nothing", "name": "zzz"});
    assert_eq!(server.post("/assistants", again).await.ok()["name"], "My A");

    let patched = server.send("PATCH", &path, &[], r#"{"metadata":{"k":1},"name":"My B"}"#).await.ok();
    assert_eq!((&patched["version"], &patched["metadata"]), (&json!(2), &json!({"team": "x", "k": 1})));
    let patched = server.send("PATCH", &path, &[], r#"{"config":{"configurable":{"q":9}}}"#).await.ok();
    assert_eq!((&patched["context"], &patched["version"]), (&json!({"q": 9}), &json!(3)));

    let versions = server.post(&format!("{path}/versions"), json!({})).await.ok();
    let numbers: Vec<_> = versions.as_array().unwrap().iter().map(|each| each["version"].clone()).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert!(versions[0].get("updated_at").is_none());
    let filtered = server.post(&format!("{path}/versions"), json!({"metadata": {"k": 1}, "limit": 1})).await.ok();
    assert_eq!(filtered.as_array().unwrap().len(), 1);

    let back = server.post(&format!("{path}/latest"), json!({"version": 1})).await.ok();
    assert_eq!((&back["name"], &back["context"]), (&json!("My A"), &json!({"model": "m"})));
    let missing = server.post(&format!("{path}/latest"), json!({"version": 99})).await;
    assert_eq!((missing.status.as_u16(), missing.detail()), (404, format!("Version 99 not found for assistant {id}")));

    assert_eq!(server.send("DELETE", &path, &[], "").await.status, 204);
    assert_eq!(server.get(&path).await.status, 404);
}

#[tokio::test]
async fn searches_say_where_they_stand() {
    let server = server().await;
    for (body, total, next, names) in [
        (
            json!({"sort_by": "name", "sort_order": "asc", "limit": 2, "select": ["name"]}),
            "3",
            "2",
            json!([{"name": "echo"}, {"name": "fail"}]),
        ),
        (
            json!({"sort_by": "name", "sort_order": "asc", "limit": 2, "offset": 2, "select": ["name"]}),
            "3",
            "",
            json!([{"name": "slow"}]),
        ),
        (
            json!({"name": "SLO", "select": ["graph_id", "assistant_id"]}),
            "1",
            "",
            json!([{"assistant_id": AssistantId::system("slow"), "graph_id": "slow"}]),
        ),
        (json!({"metadata": {"created_by": "nobody"}}), "0", "", json!([])),
    ] {
        let answer = server.post("/assistants/search", body.clone()).await;
        assert_eq!((answer.header("x-pagination-total"), answer.header("x-pagination-next")), (total, next), "{body}");
        assert_eq!(answer.ok(), names, "{body}");
    }
}

#[tokio::test]
async fn a_graph_shows_itself() {
    let server = server().await;
    let id = AssistantId::system("echo");
    let drawn = server.get("/assistants/echo/graph?xray=2").await.ok();
    assert_eq!(drawn["nodes"][2], json!({"id": "__end__"}));
    let schemas = server.get(&format!("/assistants/{id}/schemas")).await.ok();
    assert_eq!(schemas.as_object().unwrap().keys().next().map(String::as_str), Some("graph_id"));
    assert_eq!(schemas["state_schema"], Value::Null);
    assert_eq!(server.get(&format!("/assistants/{id}/subgraphs?recurse=true")).await.ok(), json!({}));
    assert_eq!(server.get(&format!("/assistants/{id}/subgraphs/sub")).await.ok(), json!({}));
}
