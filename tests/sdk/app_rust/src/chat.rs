//! Graphs around a chat model: plain, with a tool, inside a subgraph.

use std::time::Duration;

use langopen_core::JsonMap;
use langopen_core::Result;
use langopen_graph::{END, Graph, GraphBuilder, NodeContext, NodeError, START};
use serde_json::{Value, json};

use crate::models::{answer_with, use_tool};

const TEXT: &str = "Good day to you";

async fn answer(run: NodeContext) -> Result<Value, NodeError> {
    run.custom(&json!({"stage": "answering"})).await?;
    Ok(json!({"messages": [answer_with(&run, TEXT, Duration::ZERO).await?]}))
}

async fn answer_slowly(run: NodeContext) -> Result<Value, NodeError> {
    Ok(json!({"messages": [answer_with(&run, TEXT, Duration::from_millis(150)).await?]}))
}

async fn answer_at_length(run: NodeContext) -> Result<Value, NodeError> {
    let text = "One day I will tell you everything that I know about the weather";
    Ok(json!({"messages": [answer_with(&run, text, Duration::from_millis(400)).await?]}))
}

async fn whole(_: NodeContext) -> Result<Value, NodeError> {
    Ok(json!({"messages": [{"type": "ai", "content": "whole answer", "id": "whole-1"}]}))
}

async fn answer_quietly(_: NodeContext) -> Result<Value, NodeError> {
    Ok(json!({"messages": [{"type": "ai", "content": TEXT}]}))
}

async fn think(run: NodeContext) -> Result<Value, NodeError> {
    Ok(json!({"messages": [use_tool(&run).await?]}))
}

/// Carries out the calls of the last message.
async fn tools(run: NodeContext) -> Result<Value, NodeError> {
    let mut results = Vec::new();
    for call in calls(run.values()) {
        results.push(run.tool_call(&call, multiply(&call["args"])).await?);
    }
    Ok(json!({"messages": results}))
}

async fn multiply(factors: &Value) -> Result<Value, NodeError> {
    let number = |key: &str| factors[key].as_i64().unwrap_or_default();
    Ok(json!(number("a") * number("b")))
}

fn calls(state: &JsonMap) -> Vec<Value> {
    let last = state.get("messages").and_then(Value::as_array).and_then(|messages| messages.last());
    last.and_then(|message| message["tool_calls"].as_array().cloned()).unwrap_or_default()
}

fn with_messages(name: &str, node: &str) -> GraphBuilder {
    Graph::builder(name).messages().edge(START, node).edge(node, END)
}

pub(crate) fn graphs() -> Result<Vec<Graph>> {
    let inner = with_messages("inner_chat", "answer").node("answer", answer).build()?;
    let tool_agent = Graph::builder("tool_agent")
        .messages()
        .node("think", think)
        .node("tools", tools)
        .edge(START, "think")
        .conditional("think", &["tools", END], |state| vec![if calls(state).is_empty() { END } else { "tools" }])
        .edge("tools", "think")
        .build()?;
    Ok(vec![
        with_messages("chat", "answer").node("answer", answer).build()?,
        with_messages("slow_chat", "answer").node("answer", answer_slowly).build()?,
        with_messages("long_chat", "answer").node("answer", answer_at_length).build()?,
        with_messages("whole_chat", "whole").node("whole", whole).build()?,
        with_messages("quiet_chat", "answer").node("answer", answer_quietly).build()?,
        with_messages("nested_chat", "inner_chat").subgraph("inner_chat", inner).build()?,
        tool_agent,
    ])
}
