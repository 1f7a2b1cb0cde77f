//! Building graphs, and their schemas and drawings.

use langopen_core::ErrorKind;
use langopen_core::executor::Xray;
use langopen_graph::{END, Graph, GraphBuilder, NodeContext, NodeError, START};
use serde_json::{Value, json};

use crate::thread::Thread;

async fn nothing(_: NodeContext) -> Result<Value, NodeError> {
    Ok(json!({}))
}

#[test]
fn an_invalid_graph_fails_to_build() {
    let a = || Graph::builder("g").node("a", nothing).edge(START, "a");
    let wrong: [(GraphBuilder, &str); 8] = [
        (Graph::builder("g").node("a", nothing), "no edge leads from START"),
        (a().edge("a", "b"), "\"b\", which is no node"),
        (a().edge(END, "a"), "\"__end__\", which is no node"),
        (a().join(["a", "c"], END), "\"c\", which is no node"),
        (a().node("a", nothing), "two nodes \"a\""),
        (a().node("__a", nothing), "cannot be called"),
        (a().value("branch:to:a"), "cannot be called"),
        (a().interrupt_before(&["z"]), "\"z\", which is no node"),
    ];
    for (builder, why) in wrong {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(why), "{error}");
    }
}

#[tokio::test]
async fn the_drawing_opens_graphs_inside() {
    let inner = Graph::builder("inner").append("log").node("x", nothing).node("y", nothing);
    let inner = inner.edge(START, "x").edge("x", "y").edge("y", END).build().unwrap();
    let graph = Graph::builder("outer").append("log").node("a", nothing).subgraph("in", inner);
    let graph = graph.edge(START, "a").conditional("a", &["in", END], |_| vec![END]).edge("in", END);
    let thread = Thread::of(graph.build().unwrap());
    let edges = |drawing: &Value| -> Vec<(String, String, bool)> {
        let text = |edge: &Value, key: &str| edge[key].as_str().unwrap().to_owned();
        let edges = drawing["edges"].as_array().unwrap().iter();
        let mut edges: Vec<_> =
            edges.map(|edge| (text(edge, "source"), text(edge, "target"), edge["conditional"] == true)).collect();
        edges.sort();
        edges
    };
    let edge = |from: &str, to: &str, conditional| (from.to_owned(), to.to_owned(), conditional);
    let closed = thread.draw(Xray::Off).await;
    let drawn = [edge(START, "a", false), edge("a", END, true), edge("a", "in", true), edge("in", END, false)];
    assert_eq!(edges(&closed), drawn);
    let open = thread.draw(Xray::All).await;
    let ids: Vec<_> = open["nodes"].as_array().unwrap().iter().map(|node| node["id"].clone()).collect();
    assert_eq!(ids, ["__start__", "a", "in:x", "in:y", "__end__"]);
    let drawn = [
        edge(START, "a", false),
        edge("a", END, true),
        edge("a", "in:x", true),
        edge("in:x", "in:y", false),
        edge("in:y", END, false),
    ];
    assert_eq!(edges(&open), drawn);
}

#[tokio::test]
async fn schemas_are_those_that_were_given_and_the_context_is_cut_to_its_own() {
    let context = json!({"type": "object", "properties": {"model": {"type": "string"}}});
    let tell = |run: NodeContext| async move { Ok(json!({"seen": run.context()})) };
    let graph = Graph::builder("g").append("log").value("seen").context_schema(context.clone()).node("tell", tell);
    let thread = Thread::of(graph.edge(START, "tell").build().unwrap());
    let schemas = thread.schemas().await;
    assert_eq!(schemas["context_schema"], context);
    assert_eq!(schemas["state_schema"]["properties"]["log"]["type"], "array");
    assert_eq!(schemas["input_schema"], schemas["state_schema"]);
    let ran = thread.run(json!({"input": {"log": []}, "context": {"model": "m", "stranger": 1}})).await;
    assert_eq!(ran.values()["seen"], json!({"model": "m"}));
}
