//! Graphs that tell what they were given: config, context, store, factory arguments.

use langopen_core::Result;
use langopen_graph::{END, Graph, GraphBuilder, GraphExecutor, NodeContext, NodeError, START};
use serde_json::{Value, json};

async fn tell(run: NodeContext) -> Result<Value, NodeError> {
    let mut seen = json!({"context": run.context()});
    for key in ["configurable", "metadata", "tags", "recursion_limit"] {
        seen[key] = run.config()[key].clone();
    }
    Ok(json!({"seen": seen}))
}

async fn remember(run: NodeContext) -> Result<Value, NodeError> {
    let namespace = ["suite", "graph"];
    let key = run.state()["key"].as_str().unwrap_or_default();
    run.store().put(&namespace, key, run.state()["value"].clone()).await?;
    let value = run.store().get(&namespace, key).await?;
    let found = run.store().search(&["suite"], 1000).await?;
    let mut keys: Vec<_> = found.into_iter().map(|item| item.key).collect();
    keys.sort();
    Ok(json!({"seen": {"value": value, "keys": keys}}))
}

fn seen(name: &str, node: &str) -> GraphBuilder {
    Graph::builder(name).value("key").value("value").value("seen").edge(START, node).edge(node, END)
}

/// A graph whose node tells the same whoever asks.
fn telling(name: &str, node: &str, told: Value) -> Result<Graph> {
    let tell = move |_: NodeContext| {
        let told = told.clone();
        async move { Ok(json!({"seen": told})) }
    };
    seen(name, node).node(node, tell).build()
}

pub(crate) fn offer(executor: GraphExecutor) -> Result<GraphExecutor> {
    let properties = json!({"model_name": {"type": "string"}, "temperature": {"type": "number"}});
    let context = json!({"title": "Context", "type": "object", "properties": properties});
    Ok(executor
        .graph(seen("context_echo", "tell").context_schema(context).node("tell", tell).build()?)
        .graph(seen("store_user", "remember").node("remember", remember).build()?)
        .graph(seen("uncompiled", "tell").node("tell", tell).build()?)
        // The graph's very shape follows the config.
        .factory("by_config", |request| {
            let name = request.config["configurable"]["shape"].as_str().unwrap_or("round");
            telling("by_config", name, format!("shape {name}").into())
        })
        .factory("by_runtime", |request| {
            let told = json!({"access": request.access, "executing": request.is_execution()});
            telling("by_runtime", "tell", told)
        }))
}
