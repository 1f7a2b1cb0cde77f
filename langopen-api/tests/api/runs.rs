use serde_json::{Value, json};

use crate::harness::{Server, server};

#[tokio::test]
async fn a_run_shows_everything_that_executing_it_needs() {
    let server = server().await;
    let thread = server.thread().await;
    let body = json!({
        "assistant_id": "slow", "input": {"ms": 1}, "metadata": {"m": 1, "run_id": "spoof"}, "after_seconds": 60,
        "config": {"tags": ["a"], "recursion_limit": 11, "configurable": {"foo": "bar", "langgraph_auth_user": "spoof"}, "metadata": {"cm": 2}},
    });
    let headers = [("x-request-id", "rid-1"), ("baggage", "b"), ("x-api-key", "secret")];
    let answer = server.send("POST", &format!("/threads/{thread}/runs"), &headers, body.to_string()).await;
    let location = answer.header("content-location").to_owned();
    let run = answer.ok();
    let keys: Vec<_> = run.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "run_id",
            "thread_id",
            "assistant_id",
            "metadata",
            "status",
            "kwargs",
            "multitask_strategy",
            "created_at",
            "updated_at",
            "langsmith_session_name"
        ]
    );
    assert_eq!(location, format!("/threads/{thread}/runs/{}", run["run_id"].as_str().unwrap()));
    let assistant = &run["assistant_id"];
    let metadata = json!({"created_by": "system", "graph_id": "slow", "assistant_id": assistant, "cm": 2, "m": 1});
    assert_eq!(run["metadata"].to_string(), metadata.to_string());
    let start = run["kwargs"]["config"]["configurable"]["__request_start_time_ms__"].clone();
    let expected = json!({
        "input": {"ms": 1}, "command": null,
        "config": {
            "tags": ["a"], "recursion_limit": 11,
            "configurable": {
                "foo": "bar", "baggage": "b", "langgraph_auth_user": null, "langgraph_auth_user_id": "",
                "langgraph_auth_permissions": [], "langgraph_request_id": "rid-1", "__request_start_time_ms__": start,
                "__after_seconds__": 60, "run_id": run["run_id"], "thread_id": thread, "graph_id": "slow",
                "assistant_id": assistant, "user_id": "",
            },
            "metadata": metadata,
        },
        "context": {"foo": "bar"}, "stream_mode": ["values"], "interrupt_before": null, "interrupt_after": null,
        "webhook": null, "feedback_keys": null, "temporary": false, "subgraphs": false, "resumable": false,
        "checkpoint_during": true, "durability": "async",
    });
    assert_eq!(run["kwargs"].to_string(), expected.to_string());
    let row = server.get(&format!("/threads/{thread}")).await.ok();
    assert_eq!(row["status"], "busy");
    assert_eq!(row["metadata"], json!({"graph_id": "slow", "assistant_id": assistant}));
    assert_eq!(
        row["config"],
        json!({"configurable": {"foo": "bar"}, "tags": ["a"], "recursion_limit": 11, "metadata": {"cm": 2}})
    );
    assert!(run["created_at"].as_str() > row["created_at"].as_str(), "{run}");
}

#[tokio::test]
async fn assistants_lie_under_runs() {
    let server = server().await;
    let assistant = json!({"graph_id": "echo", "context": {"model": "a", "temperature": 1}, "metadata": {"am": 1}});
    let assistant = server.post("/assistants", assistant).await.ok();
    let body = json!({"assistant_id": assistant["assistant_id"], "input": {}, "context": {"model": "b"}, "on_completion": "keep"});
    let run = server.post("/runs", body).await.ok();
    assert_eq!(run["kwargs"]["context"], json!({"model": "b", "temperature": 1}));
    assert_eq!(run["kwargs"]["config"]["configurable"]["model"], "b");
    assert_eq!(run["kwargs"]["temporary"], false);
    assert_eq!(run["metadata"], json!({"am": 1, "assistant_id": assistant["assistant_id"]}));

    // The server keeps a client's `user_id`; without one, it uses the caller's identity.
    assert_eq!(run["kwargs"]["config"]["configurable"]["user_id"], "");
    let config = json!({"configurable": {"user_id": "mine", "langgraph_auth_user_id": "spoof"}});
    let run = server.post("/runs", json!({"assistant_id": "echo", "config": config})).await.ok();
    assert_eq!(run["kwargs"]["config"]["configurable"]["user_id"], "mine");
    assert_eq!(run["kwargs"]["config"]["configurable"]["langgraph_auth_user_id"], "");
}

#[tokio::test]
async fn wait_answers_the_last_values() {
    let server = server().await;
    let thread = server.thread().await;
    let path = format!("/threads/{thread}/runs");
    let body = json!({"assistant_id": "echo", "input": {"log": ["in"]}, "stream_mode": ["custom"]});
    let answer = server.post(&format!("{path}/wait"), body).await;
    let at = answer.header("content-location").to_owned();
    assert!(at.starts_with(&path));
    assert_eq!(answer.header("location"), format!("{at}/join"));
    assert_eq!(answer.ok()["log"], json!(["in", "echo"]));
    for _ in 0..2 {
        assert_eq!(server.get(&format!("{at}/join")).await.ok()["log"], json!(["in", "echo"]));
    }

    let failed = server.post(&format!("{path}/wait"), json!({"assistant_id": "fail"})).await;
    let at = failed.header("content-location").to_owned();
    let error = json!({"__error__": {"error": "Error", "message": "boom"}});
    assert_eq!(failed.ok(), error);
    assert_eq!(server.get(&format!("{at}/join")).await.ok(), error);
}

#[tokio::test]
async fn waiting_shows_signs_of_life() {
    let server = server().await;
    let body = json!({"assistant_id": "slow", "input": {"ms": 300}});
    let answer = server.post("/runs/wait", body).await;
    assert!(answer.text.starts_with("\n\n"), "{:?}", answer.text);
    assert_eq!(answer.json()["log"], json!(["slow"]));
}

#[tokio::test]
async fn stateless_runs_leave_nothing_unless_kept() {
    let server = server().await;
    for (completion, status) in [("delete", 404), ("keep", 200)] {
        let body = json!({"assistant_id": "echo", "input": {"log": []}, "on_completion": completion});
        let answer = server.post("/runs/wait", body).await;
        let thread = answer.header("content-location").split('/').nth(2).unwrap().to_owned();
        assert_eq!(answer.ok()["log"], json!(["echo"]));
        assert_eq!(server.get(&format!("/threads/{thread}")).await.status, status, "{completion}");
    }
    let batch = server.post("/runs/batch", json!([{"assistant_id": "echo"}, {"assistant_id": "slow"}])).await.ok();
    assert_eq!(batch.as_array().map(Vec::len), Some(2));
    let answer = server.post("/runs", json!({"assistant_id": "echo"})).await;
    assert_eq!(answer.header("content-location"), format!("/runs/{}", answer.json()["run_id"].as_str().unwrap()));
}

#[tokio::test]
async fn a_missing_thread_is_made_on_request() {
    let server = server().await;
    let path = format!("/threads/{}/runs/wait", crate::harness::NOWHERE);
    let body = json!({"assistant_id": "echo", "input": {}, "if_not_exists": "create"});
    assert_eq!(server.post(&path, body).await.ok()["log"], json!(["echo"]));
}

async fn statuses(server: &Server, thread: &str) -> Value {
    let path = format!("/threads/{thread}/runs?select=status&select=run_id");
    server.get(&path).await.ok()
}

#[tokio::test]
async fn strategies_decide_which_run_continues() {
    let server = server().await;
    let new = |strategy: &str| json!({"assistant_id": "slow", "input": {"ms": 1}, "multitask_strategy": strategy});

    let thread = server.thread().await;
    let first = server.slow_run(&thread, 200).await;
    for end in ["", "/wait", "/stream"] {
        let refused = server.post(&format!("/threads/{thread}/runs{end}"), new("reject")).await;
        assert_eq!(refused.status, 409);
        assert_eq!(refused.header("content-type"), "application/json");
        assert_eq!(
            refused.detail(),
            "Thread is already running a task. Wait for it to finish or choose a different multitask strategy."
        );
    }
    server.post(&format!("/threads/{thread}/runs/wait"), new("enqueue")).await.ok();
    assert_eq!(server.get(&format!("/threads/{thread}/state")).await.ok()["values"]["log"], json!(["slow", "slow"]));
    assert_eq!(server.get(&format!("/threads/{thread}/runs/{first}")).await.ok()["status"], "success");

    let thread = server.thread().await;
    let first = server.slow_run(&thread, 60_000).await;
    server.post(&format!("/threads/{thread}/runs/wait"), new("interrupt")).await.ok();
    assert_eq!(server.get(&format!("/threads/{thread}/runs/{first}")).await.ok()["status"], "interrupted");

    let thread = server.thread().await;
    let first = server.slow_run(&thread, 60_000).await;
    server.post(&format!("/threads/{thread}/runs/wait"), new("rollback")).await.ok();
    assert_eq!(server.get(&format!("/threads/{thread}/runs/{first}")).await.status, 404);
    assert_eq!(statuses(&server, &thread).await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn cancels_end_runs() {
    let server = server().await;
    let thread = server.thread().await;
    let running = server.slow_run(&thread, 60_000).await;
    let pending = server.slow_run(&thread, 1).await;
    let path = |run: &str| format!("/threads/{thread}/runs/{run}");
    let waiting = tokio::spawn({
        let (server, path) = (server.clone(), path(&pending));
        async move { server.get(&format!("{path}/join")).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;

    assert_eq!(server.post(&format!("{}/cancel", path(&pending)), json!({})).await.status, 202);
    assert_eq!(server.get(&path(&pending)).await.ok()["status"], "interrupted");
    assert_eq!(waiting.await.unwrap().ok(), json!({}));
    let again = server.post(&format!("{}/cancel", path(&pending)), json!({})).await;
    assert!(again.status == 404 && again.detail().starts_with("No matching runs to cancel."), "{}", again.text);

    let waited = server.post(&format!("{}/cancel?wait=true&action=rollback", path(&running)), json!({})).await;
    assert_eq!(waited.header("location"), format!("{}/join", path(&running)));
    assert_eq!(waited.ok(), json!({}));
    assert_eq!(server.get(&path(&running)).await.status, 404);

    let thread = server.get(&format!("/threads/{thread}")).await.ok();
    assert_eq!(thread["error"]["message"], "rollback requested via POST /threads/{thread_id}/runs/{run_id}/cancel");
}

#[tokio::test]
async fn many_runs_are_cancelled_together() {
    let server = server().await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        let thread = server.thread().await;
        server.slow_run(&thread, 60_000).await;
        let pending = server.slow_run(&thread, 1).await;
        runs.push((thread, pending));
    }
    let (thread, pending) = &runs[0];
    let body = json!({"thread_id": thread, "run_ids": [pending, crate::harness::NOWHERE]});
    assert_eq!(server.post("/runs/cancel", body).await.status, 204);
    assert_eq!(server.post("/runs/cancel", json!({"status": "all"})).await.status, 204);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    for (thread, _) in &runs {
        let runs = statuses(&server, thread).await;
        assert!(runs.as_array().unwrap().iter().all(|run| run["status"] == "interrupted"), "{runs}");
    }
    assert_eq!(server.post("/runs/cancel", json!({"status": "all"})).await.status, 404);
}

#[tokio::test]
async fn runs_are_listed_and_deleted() {
    let server = server().await;
    let thread = server.thread().await;
    for _ in 0..3 {
        server.post(&format!("/threads/{thread}/runs/wait"), json!({"assistant_id": "echo"})).await.ok();
    }
    let path = format!("/threads/{thread}/runs");
    let page = server.get(&format!("{path}?limit=2&select=status,run_id")).await;
    assert_eq!((page.header("x-pagination-total"), page.header("x-pagination-next")), ("3", "2"));
    let runs = page.ok();
    assert_eq!(runs[0]["status"], "success");
    assert_eq!(runs[0].as_object().unwrap().len(), 2);
    assert_eq!(server.get(&format!("{path}?status=bogus")).await.ok(), json!([]));
    let run = format!("{path}/{}", runs[0]["run_id"].as_str().unwrap());
    assert_eq!(server.send("DELETE", &run, &[], "").await.status, 204);
    assert_eq!(server.get(&run).await.status, 404);
}
