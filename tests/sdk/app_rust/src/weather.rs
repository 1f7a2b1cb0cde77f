//! A router in front of a weather subgraph that waits before it answers, so that a person can correct the city.

use langopen_core::Result;
use langopen_graph::{END, Graph, GraphBuilder, NodeContext, NodeError, START};
use serde_json::{Value, json};

fn state(name: &str) -> GraphBuilder {
    Graph::builder(name).messages().value("route").value("city")
}

async fn route(run: NodeContext) -> Result<Value, NodeError> {
    let last = run.state()["messages"].as_array().and_then(|messages| messages.last());
    let asks = last.and_then(|last| last["content"].as_str()).is_some_and(|text| text.contains("weather"));
    Ok(json!({"route": if asks { "weather" } else { "other" }}))
}

async fn small_talk(_: NodeContext) -> Result<Value, NodeError> {
    Ok(json!({"messages": [{"type": "ai", "content": "Let us talk about the weather."}]}))
}

async fn find_city(_: NodeContext) -> Result<Value, NodeError> {
    Ok(json!({"city": "Lisbon"}))
}

async fn tell(run: NodeContext) -> Result<Value, NodeError> {
    let text = format!("It is sunny in {}.", run.state()["city"].as_str().unwrap_or_default());
    Ok(json!({"messages": [{"type": "ai", "content": text}]}))
}

pub(crate) fn weather() -> Result<Graph> {
    let inner = state("inner")
        .node("find_city", find_city)
        .node("tell", tell)
        .edge(START, "find_city")
        .edge("find_city", "tell")
        .edge("tell", END)
        .interrupt_before(&["tell"])
        .build()?;
    state("weather")
        .node("route", route)
        .node("small_talk", small_talk)
        .subgraph("weather_graph", inner)
        .edge(START, "route")
        .conditional("route", &["weather_graph", "small_talk"], |state| {
            vec![if state["route"] == "weather" { "weather_graph" } else { "small_talk" }]
        })
        .edge("weather_graph", END)
        .edge("small_talk", END)
        .build()
}
