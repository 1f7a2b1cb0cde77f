//! The Agent2Agent protocol: canceled tasks, while they run and while they wait for an answer.

use std::time::Duration;

use langopen_graph::{END, Graph, GraphExecutor, NodeContext, START};
use serde_json::{Value, json};

use crate::a2a::{agents, ask, result, say};
use crate::harness::{Server, quick, server_of};

/// A graph that asks a question before it answers. If it asks again, the next answer is a message like any other.
async fn asking() -> Server {
    let work = |run: NodeContext| async move {
        let answer = run.interrupt("sure?")?;
        Ok(json!({"messages": [{"type": "ai", "id": run.run().run_id.to_string(), "content": answer}]}))
    };
    let graph = Graph::builder("ask").append("messages").node("ask", work).edge(START, "ask").edge("ask", END);
    let graph = graph.build().unwrap();
    server_of(GraphExecutor::new().graph(graph), |server| server.with_settings(quick())).await
}

/// A message in the older dialect with a data part.
fn give(id: &str, data: Value, more: Value) -> Value {
    let mut params = say(id, "", more);
    params["message"]["parts"] = json!([{"kind": "data", "data": data}]);
    params
}

#[tokio::test]
async fn a_task_is_watched_and_cancelled() {
    let server = agents().await;
    let parts = json!([{"data": {"ms": 60_000}}]);
    let message = json!({"role": "ROLE_USER", "messageId": "m", "parts": parts});
    let params = json!({"message": message, "configuration": {"returnImmediately": true}});
    let begun = result(ask(&server, "slow", "SendMessage", params).await)["task"].clone();
    assert_eq!(begun["status"]["state"], "TASK_STATE_SUBMITTED");
    let id = json!({"id": begun["id"]});
    let mut state = json!(null);
    while state != "working" {
        tokio::time::sleep(Duration::from_millis(5)).await;
        state = result(ask(&server, "slow", "tasks/get", id.clone()).await)["status"]["state"].clone();
        assert!(state == "working" || state == "submitted", "{state}");
    }
    let canceled = result(ask(&server, "slow", "tasks/cancel", id.clone()).await);
    assert_eq!((&canceled["kind"], &canceled["status"]["state"]), (&json!("task"), &json!("canceled")));
    let again = ask(&server, "slow", "CancelTask", id).await;
    assert_eq!(again["error"], json!({"code": -32002, "message": "Task is not cancelable in its current state"}));

    let more = say("m2", "and?", json!({"taskId": begun["id"], "contextId": begun["contextId"]}));
    let refused = ask(&server, "slow", "message/send", more).await;
    assert_eq!(refused["error"]["code"], -32004);
    assert!(refused["error"]["message"].as_str().unwrap().contains("is canceled; send the message with its contextId"));
}

#[tokio::test]
async fn a_task_that_waits_for_an_answer_is_cancelled_for_good() {
    let server = asking().await;
    let params = say("m1", "hi", json!({"metadata": {"a2a_canceled": true}}));
    let asked = result(ask(&server, "ask", "message/send", params).await);
    assert_eq!(asked["status"]["state"], "input-required", "only a cancel sets this mark");
    let (id, context) = (asked["id"].clone(), asked["contextId"].clone());
    let canceled = result(ask(&server, "ask", "tasks/cancel", json!({"id": id})).await);
    let stands = |task: &Value| (task["id"].clone(), task["status"]["state"].clone());
    assert_eq!(stands(&canceled), (id.clone(), json!("canceled")));
    assert_eq!((&canceled["status"]["message"], &canceled["artifacts"]), (&json!(null), &json!([])));
    assert!(canceled["status"]["timestamp"].as_str() > asked["status"]["timestamp"].as_str());

    let thread = server.get(&format!("/threads/{}", context.as_str().unwrap())).await.ok();
    assert_eq!((&thread["status"], &thread["interrupts"]), (&json!("idle"), &json!({})), "nothing waits");
    let state = server.get(&format!("/threads/{}/state", context.as_str().unwrap())).await.ok();
    assert_eq!((&state["next"], &state["values"]["messages"][0]["content"]), (&json!([]), &json!("hi")));

    let again = ask(&server, "ask", "CancelTask", json!({"id": id})).await;
    assert_eq!(again["error"]["code"], -32002);
    let late = ask(&server, "ask", "message/send", say("m2", "yes", json!({"taskId": id}))).await;
    assert_eq!(late["error"]["code"], -32004);
    assert!(late["error"]["message"].as_str().unwrap().contains("is canceled"), "{late}");
    let by_context = json!({
        "message": say("m3", "yes", json!({"contextId": context}))["message"], "command": {"resume": "yes"},
    });
    assert_eq!(ask(&server, "ask", "message/send", by_context).await["error"]["code"], -32004);

    // A message that would answer the question begins another task.
    let data = json!({"resume": "yes", "messages": []});
    let next = result(ask(&server, "ask", "message/send", give("m4", data, json!({"contextId": context}))).await);
    assert_eq!(next["status"]["state"], "input-required");
    assert_ne!(next["id"], id);
    let answered = result(ask(&server, "ask", "message/send", say("m5", "no", json!({"taskId": next["id"]}))).await);
    assert_eq!(stands(&answered), (next["id"].clone(), json!("completed")));

    assert_eq!(stands(&result(ask(&server, "ask", "tasks/get", json!({"id": id})).await)), stands(&canceled));
    let listed = result(ask(&server, "ask", "ListTasks", json!({"contextId": context})).await);
    let states: Vec<_> = listed["tasks"].as_array().unwrap().iter().map(stands).collect();
    assert_eq!(
        states,
        [(next["id"].clone(), json!("TASK_STATE_COMPLETED")), (id.clone(), json!("TASK_STATE_CANCELED"))]
    );
    for (state, wanted) in [("canceled", vec![id.clone()]), ("input-required", vec![])] {
        let listed = result(ask(&server, "ask", "ListTasks", json!({"status": state})).await);
        let ids: Vec<_> = listed["tasks"].as_array().unwrap().iter().map(|task| task["id"].clone()).collect();
        assert_eq!(ids, wanted, "{state}");
    }
}
