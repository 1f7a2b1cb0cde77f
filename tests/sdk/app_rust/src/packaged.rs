//! What is a package of its own in Python: a graph that greets.

use langopen_core::Result;
use langopen_graph::{END, Graph, NodeContext, NodeError, START};
use serde_json::{Value, json};

const GREETING: &str = "Welcome";

async fn greet(run: NodeContext) -> Result<Value, NodeError> {
    let name = run.state()["name"].as_str().unwrap_or_default();
    Ok(json!({"text": format!("{GREETING}, {name}")}))
}

pub(crate) fn packaged() -> Result<Graph> {
    let greeting = Graph::builder("packaged").value("name").value("text").node("greet", greet);
    greeting.edge(START, "greet").edge("greet", END).build()
}
