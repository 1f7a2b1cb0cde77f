//! Nodes that ask questions, and runs that answer them.

use langopen_core::model::ThreadStatus;
use langopen_graph::{END, Graph, NodeContext, NodeError, START};
use serde_json::{Value, json};

use crate::thread::Thread;

async fn ask_twice(run: NodeContext) -> Result<Value, NodeError> {
    let name = run.interrupt("name?")?;
    let city = run.interrupt(json!({"city of": name}))?;
    Ok(json!({"log": [name, city]}))
}

fn twice(name: &str) -> Graph {
    Graph::builder(name).append("log").node("ask", ask_twice).edge(START, "ask").edge("ask", END).build().unwrap()
}

fn question(ran: &crate::thread::Ran) -> Value {
    ran.of("values").last().unwrap()["__interrupt__"][0].clone()
}

#[tokio::test]
async fn two_questions_of_one_node_are_answered_one_after_the_other() {
    let thread = Thread::of(twice("twice"));
    let first = thread.run(json!({"input": {}, "stream_mode": ["values"]})).await;
    assert_eq!(first.result.thread_status, ThreadStatus::Interrupted);
    assert_eq!(question(&first)["value"], "name?");
    let second = thread.run(json!({"command": {"resume": "Ada"}, "stream_mode": ["values"]})).await;
    assert_eq!(question(&second)["value"], json!({"city of": "Ada"}));
    let id = question(&second)["id"].as_str().unwrap().to_owned();
    let done = thread.run(json!({"command": {"resume": {id: "London"}}})).await;
    assert_eq!(done.values(), json!({"log": ["Ada", "London"]}));
    assert_eq!(done.result.thread_status, ThreadStatus::Idle);
}

#[tokio::test]
async fn a_question_two_graphs_below_is_shown_and_answered_at_the_root() {
    let middle = Graph::builder("middle").append("log").subgraph("inner", twice("inner")).edge(START, "inner").build();
    let graph = Graph::builder("outer").append("log").subgraph("middle", middle.unwrap()).edge(START, "middle");
    let thread = Thread::of(graph.build().unwrap());
    let first = thread.run(json!({"input": {"log": ["in"]}})).await;
    let open: Value = first.result.interrupts.decode().unwrap();
    let state = thread.state().await;
    let innermost = &state["tasks"][0]["state"]["tasks"][0]["state"]["tasks"][0];
    assert_eq!(innermost["name"], "ask");
    assert_eq!(open[innermost["id"].as_str().unwrap()][0]["value"], "name?");
    thread.run(json!({"command": {"resume": "Ada"}})).await;
    let done = thread.run(json!({"command": {"resume": "London"}})).await;
    // Each graph appends the final values of the graph inside it.
    assert_eq!(done.values()["log"], json!(["in", "in", "in", "Ada", "London"]));
}

#[tokio::test]
async fn an_answer_outlives_the_process_that_got_it() {
    let thread = Thread::of(twice("twice"));
    thread.run(json!({"input": {}})).await;
    let resumed = json!({"command": {"resume": "Ada"}, "stream_mode": ["values"]});
    let second = thread.run_lost_at(resumed, 1).await;
    assert_eq!(question(&second)["value"], json!({"city of": "Ada"}));
}

#[tokio::test]
async fn a_graph_inside_that_stops_by_itself_goes_on() {
    let say = |word: &'static str| move |_: NodeContext| async move { Ok(json!({"log": [word]})) };
    let inner = Graph::builder("inner").append("log").node("a", say("a")).node("b", say("b"));
    let inner = inner.edge(START, "a").edge("a", "b").interrupt_before(&["b"]).build().unwrap();
    let graph = Graph::builder("outer").append("log").subgraph("inner", inner).edge(START, "inner").build().unwrap();
    let thread = Thread::of(graph);
    let stopped = thread.run(json!({"input": {}, "stream_mode": ["updates"]})).await;
    assert_eq!(stopped.of("updates"), [json!({"__interrupt__": []})]);
    let state = thread.state().await;
    assert_eq!((&state["next"], &state["tasks"][0]["state"]["next"]), (&json!(["inner"]), &json!(["b"])));
    let namespace = state["tasks"][0]["state"]["checkpoint"]["checkpoint_ns"].clone();
    thread.update(json!({"checkpoint_ns": namespace}), json!({"log": ["edited"]}), None).await.unwrap();
    assert_eq!(thread.run(json!({"input": null})).await.values()["log"], json!(["a", "edited", "b"]));
}

#[tokio::test]
async fn what_several_answers_bring_with_them_adds_up() {
    let thread = Thread::of(twice("twice"));
    thread.run(json!({"input": {}})).await;
    thread.run(json!({"command": {"resume": "Ada", "update": {"log": ["one"]}}})).await;
    let done = thread.run(json!({"command": {"resume": "London", "update": [["log", ["two"]]]}})).await;
    assert_eq!(done.values()["log"], json!(["one", "two", "Ada", "London"]));
}

#[tokio::test]
async fn a_failure_of_a_command_leaves_the_question_open() {
    let thread = Thread::of(twice("twice"));
    thread.run(json!({"input": {}})).await;
    let failed = thread.run(json!({"command": {"resume": "Ada", "goto": "nobody"}})).await;
    assert_eq!(failed.error().0, "InvalidUpdateError");
    assert_eq!(thread.state().await["interrupts"][0]["value"], "name?");
}
