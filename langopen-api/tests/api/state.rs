use serde_json::{Value, json};

use crate::harness::server;

const EMPTY: &str = r#"{"values":{},"next":[],"tasks":[],"metadata":null,"created_at":null,"checkpoint":null,"parent_checkpoint":null,"interrupts":[],"checkpoint_id":null,"parent_checkpoint_id":null}"#;

#[tokio::test]
async fn a_thread_without_a_graph_has_an_empty_state() {
    let server = server().await;
    let thread = server.thread().await;
    assert_eq!(server.get(&format!("/threads/{thread}/state")).await.text, EMPTY);
    assert_eq!(server.get(&format!("/threads/{thread}/history")).await.text, "[]");
}

#[tokio::test]
async fn state_is_read_and_changed() {
    let server = server().await;
    let thread = server.thread().await;
    let path = format!("/threads/{thread}/state");
    let run = json!({"assistant_id": "echo", "input": {"log": ["in"]}});
    server.post(&format!("/threads/{thread}/runs/wait"), run).await.ok();

    let state = server.get(&path).await.ok();
    assert_eq!(state.as_object().unwrap().keys().next().map(String::as_str), Some("values"));
    assert_eq!(state["values"]["log"], json!(["in", "echo"]));
    assert_eq!(server.get(&format!("{path}?subgraphs=true")).await.ok(), state);
    let first = state["checkpoint_id"].as_str().unwrap();

    let updated = server.post(&path, json!({"values": {"log": ["manual"]}})).await.ok();
    assert_eq!(updated["checkpoint"], updated["configurable"]);
    let keys: Vec<_> = updated["checkpoint"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["thread_id", "checkpoint_ns", "checkpoint_id"]);
    let row = server.get(&format!("/threads/{thread}")).await.ok();
    assert_eq!((&row["values"]["log"], &row["status"]), (&json!(["in", "echo", "manual"]), &json!("idle")));
    server.post(&path, json!({"values": null})).await.ok();

    for old in [
        server.get(&format!("{path}/{first}")).await.ok(),
        server.post(&format!("{path}/checkpoint"), json!({"checkpoint": {"checkpoint_id": first}})).await.ok(),
    ] {
        assert_eq!(old["values"]["log"], json!(["in", "echo"]));
        assert!(old.get("__thread__").is_none());
    }
    assert_eq!(server.get(&format!("{path}/{}", crate::harness::NOWHERE)).await.ok()["values"], json!({}));
}

#[tokio::test]
async fn history_is_newest_first_and_takes_before_in_three_forms() {
    let server = server().await;
    let thread = server.thread().await;
    let path = format!("/threads/{thread}/history");
    for word in ["a", "b", "c"] {
        let run = json!({"assistant_id": "echo", "input": {"log": [word]}, "metadata": {"word": word}});
        server.post(&format!("/threads/{thread}/runs/wait"), run).await.ok();
    }
    assert_eq!(server.get(&path).await.ok().as_array().unwrap().len(), 1);
    assert_eq!(server.post(&path, json!({})).await.ok().as_array().unwrap().len(), 1);
    let all = server.get(&format!("{path}?limit=10")).await.ok();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 9, "three of each run");
    assert!(all.iter().all(|state| state.get("__thread__").is_none()));
    let newest = all[0]["checkpoint"].clone();
    let id = newest["checkpoint_id"].clone();
    for before in [id.clone(), json!({"configurable": {"checkpoint_id": id}}), newest] {
        let earlier = server.post(&path, json!({"limit": 10, "before": before})).await.ok();
        assert_eq!(earlier.as_array().map(Vec::as_slice), Some(&all[1..]), "{before}");
    }
    let earlier = server.get(&format!("{path}?limit=10&before={}", id.as_str().unwrap())).await.ok();
    assert_eq!(earlier.as_array().map(Vec::len), Some(8));
    let found: Value = server.post(&path, json!({"limit": 10, "metadata": {"word": "b"}})).await.ok();
    assert_eq!(found.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_busy_thread_keeps_its_state() {
    let server = server().await;
    let thread = server.thread().await;
    server.slow_run(&thread, 500).await;
    let answer = server.post(&format!("/threads/{thread}/state"), json!({"values": {"log": ["x"]}})).await;
    assert_eq!(answer.status, 409);
    assert!(answer.detail().contains("in-flight runs"));
}
