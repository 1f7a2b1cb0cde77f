use serde_json::{Value, json};

use crate::harness::server;

#[tokio::test]
async fn a_fresh_thread_shows_no_outcome() {
    let server = server().await;
    let body = json!({"metadata": {"nul": "a\u{0}b", "é": "ü", "thread_id": "spoof"}});
    let answer = server.post("/threads", body).await;
    assert!(answer.text.contains(r#""metadata":{"nul":"a"#), "{}", answer.text);
    let thread = answer.ok();
    let keys: Vec<_> = thread.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        ["thread_id", "created_at", "updated_at", "state_updated_at", "metadata", "status", "config", "values"]
    );
    assert_eq!(thread["metadata"], json!({"nul": "a\u{fffd}b", "é": "ü"}));
    assert_eq!((&thread["status"], &thread["values"]), (&json!("idle"), &Value::Null));
}

#[tokio::test]
async fn a_thread_is_created_once() {
    let server = server().await;
    let id = "dffc7c49-87c1-4944-88ef-7a68bd34d58f";
    server.post("/threads", json!({"thread_id": id, "metadata": {"a": 1}})).await.ok();
    let taken = server.post("/threads", json!({"thread_id": id})).await;
    assert_eq!((taken.status.as_u16(), taken.detail()), (409, format!("Thread with ID {id} already exists")));
    let same = server.post("/threads", json!({"thread_id": id, "if_exists": "do_nothing"})).await.ok();
    assert_eq!(same["metadata"], json!({"a": 1}));

    let path = format!("/threads/{id}");
    let patched = server.send("PATCH", &path, &[], r#"{"metadata":{"b":2,"run_id":"x"}}"#).await.ok();
    assert_eq!(patched["metadata"], json!({"a": 1, "b": 2}));
    let minimal = server.send("PATCH", &path, &[("prefer", "return=minimal")], r#"{"metadata":{}}"#).await;
    assert_eq!((minimal.status.as_u16(), minimal.text.as_str()), (204, ""));
    assert_eq!(server.send("DELETE", &path, &[], "").await.status, 204);
    assert_eq!(server.get(&path).await.status, 404);
}

#[tokio::test]
async fn supersteps_that_fail_leave_the_thread() {
    let server = server().await;
    let steps = json!([{"updates": [{"values": {"log": ["i"]}, "as_node": "__input__"}]}]);
    let answer = server.post("/threads", json!({"supersteps": steps})).await;
    assert_eq!(answer.status, 201);
    assert!(
        answer.detail().contains("was created, but there were problems updating the state: Thread '"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_search_selects_and_extracts() {
    let server = server().await;
    let thread = server.thread().await;
    let run = json!({"assistant_id": "echo", "input": {"log": ["in"]}});
    server.post(&format!("/threads/{thread}/runs/wait"), run).await.ok();
    server.thread().await;
    let body = json!({
        "metadata": {"graph_id": "echo"}, "values": {"log": ["in"]}, "status": "idle", "select": ["thread_id", "status"],
        "extract": {"last": "values.log[-1]", "none": "metadata.x.y"},
    });
    let found = server.post("/threads/search", body).await.ok();
    assert_eq!(found, json!([{"thread_id": thread, "status": "idle", "extracted": {"last": "echo", "none": null}}]));
    assert_eq!(server.post("/threads/search", json!({"ids": [thread]})).await.ok().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn counts_match_searches() {
    let server = server().await;
    for n in 0..3 {
        server.post("/threads", json!({"metadata": {"even": n % 2 == 0}})).await.ok();
    }
    for (body, number) in [
        (json!({}), 3),
        (json!({"metadata": {"even": true}}), 2),
        (json!({"values": {"a": 1}}), 0),
        (json!({"status": "idle"}), 3),
        (json!({"status": "busy", "metadata": {"even": true}}), 0),
    ] {
        assert_eq!(server.post("/threads/count", body.clone()).await.ok(), number, "{body}");
    }
    for body in [json!([]), json!({"status": "x"}), json!({"values": []})] {
        assert_eq!(server.post("/threads/count", body.clone()).await.status, 422, "{body}");
    }
}

#[tokio::test]
async fn a_copy_has_the_state_of_its_source() {
    let server = server().await;
    let thread = server.thread().await;
    let run = json!({"assistant_id": "echo", "input": {"log": ["in"]}});
    server.post(&format!("/threads/{thread}/runs/wait"), run).await.ok();
    let copy = server.send("POST", &format!("/threads/{thread}/copy"), &[], "").await.ok();
    assert!(copy.get("values").is_none());
    assert_eq!(copy["status"], "idle");
    let state = server.get(&format!("/threads/{}/state", copy["thread_id"].as_str().unwrap())).await.ok();
    assert_eq!(state["values"]["log"], json!(["in", "echo"]));
}
