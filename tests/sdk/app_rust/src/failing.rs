//! A graph whose second node fails as it is told to.

use langopen_core::Result;
use langopen_graph::{END, Graph, GraphBuilder, NodeContext, NodeError, START};
use serde_json::{Value, json};

use crate::steps::note;

fn plan(name: &str) -> GraphBuilder {
    Graph::builder(name).append("log").value("kind")
}

async fn fail(run: NodeContext) -> Result<Value, NodeError> {
    let told = |class: &str, text: &str| Err(NodeError::new(class, text));
    match run.state()["kind"].as_str().unwrap_or("value") {
        "none" => Ok(json!({"log": ["no failure"]})),
        "value" => told("ValueError", "bad value: é\u{2028}\"quoted\""),
        "type" => told("TypeError", "bad type"),
        "key" => told("KeyError", "'bad key'"),
        "attribute" => told("AttributeError", "bad attribute"),
        "runtime" => told("RuntimeError", "bad runtime"),
        "recursion" => told("RecursionError", "bad recursion"),
        "timeout" => told("TimeoutError", "bad timeout"),
        "own_value" => told("OwnValueError", "text of own value"),
        "empty" => told("ValueError", ""),
        "zero" => Err(NodeError::masked("ZeroDivisionError", "secret of zero")),
        "os" => Err(NodeError::masked("OSError", "secret of os")),
        "own" => Err(NodeError::masked("OwnError", "secret of own")),
        "exit" => panic!("a node that panics"),
        "cancelled" => Err(NodeError::masked("CancelledError", "a node that was cancelled by itself")),
        other => Err(NodeError::masked("NotImplementedError", format!("there is no failure of the kind {other}"))),
    }
}

pub(crate) fn graphs() -> Result<Vec<Graph>> {
    let failing = plan("failing")
        .node("start", note("start"))
        .node("fail", fail)
        .edge(START, "start")
        .edge("start", "fail")
        .edge("fail", END)
        .build()?;
    let endless =
        plan("endless").node("forever", note("round")).edge(START, "forever").edge("forever", "forever").build()?;
    Ok(vec![failing, endless])
}
