//! The order of nodes, and the results of their writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use langopen_core::executor::RunResultStatus;
use langopen_graph::{Channel, Command, END, Goto, Graph, NodeContext, NodeError, START};
use serde_json::{Value, json};

use crate::thread::Thread;

async fn double(run: NodeContext) -> Result<Value, NodeError> {
    Ok(json!({"log": [run.state().as_i64().unwrap_or(0) * 2]}))
}

async fn count(run: NodeContext) -> Result<Value, NodeError> {
    Ok(json!({"count": run.state()["log"].as_array().map_or(0, Vec::len)}))
}

#[tokio::test]
async fn a_node_is_sent_many_inputs_and_their_writes_keep_the_order() {
    let graph = Graph::builder("map")
        .append("log")
        .value("inputs")
        .value("count")
        .node("double", double)
        .node("count", count)
        .conditional(START, &["double"], |state| {
            let inputs = state["inputs"].as_array().into_iter().flatten();
            inputs.map(|input| Goto::Send { node: "double".to_owned(), input: input.clone() }).collect()
        })
        .join(["double"], "count")
        .edge("count", END);
    let ran = Thread::of(graph.build().unwrap())
        .run(json!({"input": {"inputs": [3, 1, 2]}, "stream_mode": ["updates"]}))
        .await;
    assert_eq!(ran.values(), json!({"log": [6, 2, 4], "inputs": [3, 1, 2], "count": 3}));
    assert_eq!(ran.of("updates").len(), 4);
}

#[tokio::test]
async fn a_command_updates_and_goes_elsewhere() {
    let choose =
        |_: NodeContext| async { Ok(Command::new().update(json!({"log": ["choose"]})).goto("right").send("left", 4)) };
    let graph = Graph::builder("goto")
        .append("log")
        .node("choose", choose)
        .node("left", double)
        .node("right", |_| async { Ok(json!({"log": ["right"]})) })
        .edge(START, "choose");
    let thread = Thread::of(graph.build().unwrap());
    assert_eq!(thread.run(json!({"input": {}})).await.values()["log"], json!(["choose", "right", 8]));
    let lost = Graph::builder("lost").node("a", |_| async { Ok(Command::new().goto("b")) }).edge(START, "a");
    let ran = Thread::of(lost.build().unwrap()).run(json!({"input": {}})).await;
    assert_eq!(ran.error(), ("InvalidUpdateError".to_owned(), "there is no node \"b\" to go to".to_owned()));
}

#[tokio::test]
async fn a_reducer_takes_every_write_and_a_value_only_one() {
    let add = |held: Value, more: Value| Ok(json!(held.as_i64().unwrap_or(0) + more.as_i64().unwrap_or(0)));
    let both = |channel| {
        let one = |_| async { Ok(json!({"sum": 1})) };
        let two = |_| async { Ok(json!({"sum": 2})) };
        let graph = Graph::builder("both").channel("sum", channel).node("one", one).node("two", two);
        Thread::of(graph.edge(START, "one").edge(START, "two").build().unwrap())
    };
    let thread = both(Channel::reducer(10, add));
    assert_eq!(thread.run(json!({"input": {}})).await.values(), json!({"sum": 13}));
    assert_eq!(thread.run(json!({"input": {"sum": 1}})).await.values(), json!({"sum": 17}));
    let (class, message) = both(Channel::last_value()).run(json!({"input": {}})).await.error();
    assert_eq!(class, "InvalidUpdateError");
    assert!(message.contains("At key 'sum': Can receive only one value per step"), "{message}");
}

/// A graph with two parallel nodes: `quick` writes at once; `other` runs the given function.
fn beside<F, R>(other: F, quick: Arc<AtomicUsize>) -> Thread
where
    F: Fn(NodeContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value, NodeError>> + Send + 'static,
{
    let quick = move |_| {
        quick.fetch_add(1, Ordering::SeqCst);
        async { Ok(json!({"log": ["quick"]})) }
    };
    let graph = Graph::builder("beside").append("log").node("quick", quick).node("other", other);
    Thread::of(graph.edge(START, "quick").edge(START, "other").build().unwrap())
}

#[tokio::test]
async fn a_node_that_fails_or_panics_ends_the_run_and_other_writes_are_stored() {
    let fails = |_| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        std::fs::read("/no/such/file")?;
        Ok(json!({}))
    };
    let thread = beside(fails, Arc::default());
    let ran = thread.run(json!({"input": {}})).await;
    assert_eq!(ran.error(), ("Error".to_owned(), "An internal error occurred".to_owned()));
    assert!(ran.result.detail.unwrap().contains("No such file"));
    let state = thread.state().await;
    assert_eq!((&state["next"], &state["values"]["log"]), (&json!(["other"]), &json!(["quick"])));
    let panics = |_| async { panic!("it must not take the worker with it") };
    let ran = beside(panics, Arc::default()).run(json!({"input": {}})).await;
    assert_eq!((ran.result.status, ran.error().0), (RunResultStatus::Error, "Panic".to_owned()));
}

#[tokio::test]
async fn a_lost_run_goes_on_and_what_came_to_its_end_is_not_done_again() {
    let (quick, tries) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let hangs_once = move |run: NodeContext| {
        let first = tries.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                tokio::time::sleep(Duration::from_millis(100)).await;
                run.custom(&"here it hangs").await?;
                std::future::pending::<()>().await;
            }
            Ok(json!({"log": ["other"]}))
        }
    };
    let thread = beside(hangs_once, quick.clone());
    let lost = thread.run_lost_at(json!({"input": {}, "stream_mode": ["updates", "custom"]}), 2);
    let ran = tokio::time::timeout(Duration::from_secs(5), lost).await.unwrap();
    assert_eq!(ran.values(), json!({"log": ["other", "quick"]}));
    assert_eq!(quick.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn durability_and_temporary_runs() {
    for (durability, kept) in [("sync", 3), ("async", 3), ("exit", 1)] {
        let graph =
            Graph::builder("one").append("log").node("a", |_| async { Ok(json!({"log": [1]})) }).edge(START, "a");
        let thread = Thread::of(graph.build().unwrap());
        thread.run(json!({"input": {"log": [0]}, "durability": durability})).await;
        assert_eq!(thread.history("").await.len(), kept, "{durability}");
        assert_eq!(thread.run(json!({"input": {"log": [2]}})).await.values()["log"], json!([0, 1, 2, 1]));
    }
}

#[tokio::test]
async fn an_invalid_input_fails_the_run() {
    let graph =
        || Graph::builder("one").append("log").node("a", |_| async { Ok(()) }).edge(START, "a").build().unwrap();
    for (kwargs, class) in [
        (json!({"input": "text"}), "InvalidUpdateError"),
        (json!({"input": null}), "EmptyInputError"),
        (json!({"command": {"update": 5}}), "InvalidUpdateError"),
        (json!({"command": {"goto": "nobody"}}), "InvalidUpdateError"),
        (json!({"input": {"log": 5}}), "TypeError"),
    ] {
        assert_eq!(Thread::of(graph()).run(kwargs.clone()).await.error().0, class, "{kwargs}");
    }
}
