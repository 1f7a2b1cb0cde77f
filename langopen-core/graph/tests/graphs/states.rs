//! States of threads: reading, updating and continuing them.

use langopen_core::ErrorKind;
use langopen_core::model::ThreadStatus;
use langopen_graph::{END, Graph, NodeContext, START};
use serde_json::{Value, json};

use crate::thread::Thread;

fn two_steps() -> Thread {
    let say = |word: &'static str| move |_: NodeContext| async move { Ok(json!({"log": [word]})) };
    let graph = Graph::builder("steps").append("log").value("mark").node("a", say("a")).node("b", say("b"));
    Thread::of(graph.edge(START, "a").edge("a", "b").edge("b", END).build().unwrap())
}

#[tokio::test]
async fn history_shows_each_step_and_what_its_tasks_did() {
    let thread = two_steps();
    assert_eq!(thread.state().await["values"], json!({}));
    thread.run(json!({"input": {"mark": 1}})).await;
    let history = thread.history("").await;
    let steps: Vec<_> =
        history.iter().map(|state| (state["metadata"]["step"].clone(), state["next"].clone())).collect();
    assert_eq!(
        steps,
        [(json!(2), json!([])), (json!(1), json!(["b"])), (json!(0), json!(["a"])), (json!(-1), json!(["__start__"]))]
    );
    assert_eq!(history[1]["tasks"][0]["result"], json!({"log": ["b"]}));
    assert_eq!(history[0]["parent_checkpoint_id"], history[1]["checkpoint_id"]);
    assert_eq!(history[3]["values"], json!({"log": []}), "an input is in the state one step later");
}

#[tokio::test]
async fn a_run_from_an_old_checkpoint_does_again_what_came_after_it() {
    let thread = two_steps();
    thread.run(json!({"input": {}})).await;
    let old = thread.history("").await[1]["checkpoint_id"].clone();
    let again = json!({"input": null, "config": {"configurable": {"checkpoint_id": old}}});
    assert_eq!(thread.run(again).await.values()["log"], json!(["a", "b"]));
    let history = thread.history("").await;
    let sources: Vec<_> = history[..2].iter().map(|state| state["metadata"]["source"].clone()).collect();
    assert_eq!((sources, &history[1]["parent_checkpoint_id"]), (vec![json!("loop"), json!("fork")], &old));
    let edited = json!({"input": {"log": ["x"]}, "config": {"configurable": {"checkpoint_id": old}}});
    assert_eq!(thread.run(edited).await.values()["log"], json!(["a", "x", "a", "b"]));
}

#[tokio::test]
async fn updates_count_as_the_nodes_that_they_name() {
    let thread = two_steps();
    thread.run(json!({"input": {}})).await;
    thread.update(json!({}), json!({"log": ["by hand"], "nonsense": 1}), Some("a")).await.unwrap();
    assert_eq!(thread.state().await["next"], json!(["b"]));
    assert_eq!(thread.run(json!({"input": null})).await.values()["log"], json!(["a", "b", "by hand", "b"]));
    // Without `as_node`, the update counts as the last node's.
    let updated = thread.update(json!({}), json!({"log": ["more"]}), None).await.unwrap();
    let state: Value = updated.state.decode().unwrap();
    assert_eq!((&state["next"], &state["metadata"]["source"]), (&json!([]), &json!("update")));
    assert_eq!((updated.thread.status, &updated.thread), (ThreadStatus::Idle, &thread.answer().await.thread));
    let made: Value = updated.checkpoint.decode().unwrap();
    assert_eq!(made["checkpoint_id"].as_str(), updated.thread.checkpoint_id.as_deref());
    thread.update(json!({}), json!({"log": ["once more"]}), Some("a")).await.unwrap();
    thread.update(json!({}), json!(null), Some(END)).await.unwrap();
    assert_eq!(thread.state().await["next"], json!([]));
    let old = thread.history("").await.last().unwrap()["checkpoint_id"].clone();
    let forked = thread.update(json!({"checkpoint_id": old}), json!(null), Some("__copy__")).await.unwrap();
    assert_eq!(forked.state.decode::<Value>().unwrap()["metadata"]["source"], "fork");
    for (values, node) in [(json!({}), Some("nobody")), (json!("text"), Some("a"))] {
        let refused = thread.update(json!({}), values, node).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Graph, "{refused}");
    }
    let refused = thread.update(json!({"checkpoint_ns": "nowhere:1"}), json!({}), None).await.unwrap_err();
    assert!(refused.message().contains("nowhere"), "{refused}");
}
