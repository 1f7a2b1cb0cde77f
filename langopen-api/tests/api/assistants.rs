use langopen_core::model::{IfExists, NewAssistant};
use langopen_core::storage::Assistants;
use langopen_core::{AssistantId, JsonMap, Scope};
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
async fn counts_match_searches() {
    let server = server().await;
    for (body, number) in [
        (json!({}), 3),
        (json!({"name": "SLO"}), 1),
        (json!({"graph_id": "echo"}), 1),
        (json!({"metadata": {"created_by": "system"}}), 3),
        (json!({"metadata": {"created_by": "nobody"}}), 0),
    ] {
        assert_eq!(server.post("/assistants/count", body.clone()).await.ok(), number, "{body}");
    }
    assert_eq!(server.post("/assistants/count", json!({"graph_id": "none"})).await.status, 404);
    for body in [json!([]), json!({"metadata": 1}), json!({"name": 1})] {
        assert_eq!(server.post("/assistants/count", body.clone()).await.status, 422, "{body}");
    }
}

#[tokio::test]
async fn an_assistant_without_its_graph_is_hidden() {
    let server = server().await;
    let id = AssistantId(uuid::Uuid::new_v4());
    let lost = NewAssistant {
        assistant_id: id,
        graph_id: "lost".to_owned(),
        config: JsonMap::new(),
        context: JsonMap::new(),
        metadata: JsonMap::new(),
        name: "lost".to_owned(),
        description: None,
    };
    server.memory.create_assistant(&Scope::default(), lost, IfExists::Raise).await.unwrap();
    assert_eq!(server.get(&format!("/assistants/{id}")).await.status, 404);
    assert_eq!(server.post(&format!("/assistants/{id}/versions"), json!({})).await.status, 404);
    assert_eq!(server.post("/assistants/search", json!({"name": "lost"})).await.ok(), json!([]));
    assert_eq!(server.post("/assistants/count", json!({})).await.ok(), 3);
    assert_eq!(
        server.send("DELETE", &format!("/assistants/{id}"), &[], "").await.status,
        204,
        "it can still be deleted"
    );
}

#[tokio::test]
async fn deleting_an_assistant_ends_its_runs() {
    let server = server().await;
    let created = server.post("/assistants", json!({"graph_id": "slow"})).await.ok();
    let id = created["assistant_id"].as_str().unwrap();
    let thread = server.thread().await;
    let run = async || {
        let body = json!({"assistant_id": id, "input": {"ms": 60_000}});
        let run = server.post(&format!("/threads/{thread}/runs"), body).await.ok();
        format!("/threads/{thread}/runs/{}", run["run_id"].as_str().unwrap())
    };
    let (running, pending) = (run().await, run().await);
    let joined = {
        let (server, path) = (server.clone(), format!("{pending}/stream"));
        tokio::spawn(async move { server.get(&path).await })
    };
    while server.get(&running).await.ok()["status"] != "running" {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(server.send("DELETE", &format!("/assistants/{id}"), &[], "").await.status, 204);
    assert_eq!(server.get(&pending).await.ok()["status"], "interrupted");
    assert_eq!(joined.await.unwrap().status, 200, "the stream of a run that never begins ends");
    while server.get(&running).await.ok()["status"] != "interrupted" {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
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

#[tokio::test]
async fn a_graph_has_its_system_assistant_after_that_was_deleted() {
    let server = server().await;
    let found = server.post("/assistants/search", json!({"graph_id": "echo"})).await.ok();
    let id = found[0]["assistant_id"].as_str().unwrap().to_owned();
    let path = format!("/assistants/{id}");
    assert_eq!(server.send("PATCH", &path, &[], json!({"name": "renamed"}).to_string()).await.status, 200);
    assert_eq!(server.send("DELETE", &path, &[], "").await.status, 204);
    let anew = server.get(&path).await.ok();
    assert_eq!((&anew["version"], &anew["metadata"]), (&json!(1), &json!({"created_by": "system"})));
    let ran = server.post("/runs/wait", json!({"assistant_id": "echo", "input": {}})).await.ok();
    assert_eq!(ran["log"], json!(["echo"]));
    assert_eq!(server.send("DELETE", &format!("/assistants/{}", crate::harness::NOWHERE), &[], "").await.status, 404);
}
