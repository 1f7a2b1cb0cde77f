//! Graphs that stop for a person: one question, two at once, one inside a subgraph.

use langopen_core::Result;
use langopen_graph::{END, Graph, GraphBuilder, NodeContext, NodeError, START};
use serde_json::{Value, json};

use crate::steps::note;

fn talk(name: &str) -> GraphBuilder {
    Graph::builder(name).append("log").value("reply")
}

async fn ask(run: NodeContext) -> Result<Value, NodeError> {
    let reply = run.interrupt(json!({"question": "go on?"}))?;
    Ok(json!({"log": ["asked"], "reply": reply}))
}

async fn ask_left(run: NodeContext) -> Result<Value, NodeError> {
    Ok(json!({"log": [format!("left:{}", plain(&run.interrupt(json!({"side": "left"}))?))]}))
}

async fn ask_right(run: NodeContext) -> Result<Value, NodeError> {
    Ok(json!({"log": [format!("right:{}", plain(&run.interrupt(json!({"side": "right"}))?))]}))
}

fn plain(answer: &Value) -> String {
    answer.as_str().map_or_else(|| answer.to_string(), str::to_owned)
}

fn question() -> Result<Graph> {
    talk("question")
        .description("Asks before it goes on")
        .node("before", note("before"))
        .node("ask", ask)
        .node("after", note("after"))
        .edge(START, "before")
        .edge("before", "ask")
        .edge("ask", "after")
        .edge("after", END)
        .build()
}

fn two_questions() -> Result<Graph> {
    talk("two_questions")
        .node("left", ask_left)
        .node("right", ask_right)
        .node("other", note("other"))
        .node("join", note("join"))
        .edge(START, "left")
        .edge(START, "right")
        .edge(START, "other")
        .join(["left", "right", "other"], "join")
        .edge("join", END)
        .build()
}

fn nested_question() -> Result<Graph> {
    let inner = talk("inner").node("inner_ask", ask).edge(START, "inner_ask").edge("inner_ask", END).build()?;
    talk("nested_question")
        .node("outer", note("outer"))
        .subgraph("inner", inner)
        .edge(START, "outer")
        .edge("outer", "inner")
        .edge("inner", END)
        .build()
}

pub(crate) fn graphs() -> Result<Vec<Graph>> {
    Ok(vec![question()?, two_questions()?, nested_question()?])
}
