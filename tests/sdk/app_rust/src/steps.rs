//! Graphs of plain steps: quick, slow, blocking, counting in a file, printing, nested.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use futures::future::BoxFuture;
use langopen_core::{JsonMap, Result};
use langopen_graph::{END, Graph, GraphBuilder, NodeContext, NodeError, START};
use serde_json::{Value, json};

/// A node that says a word.
pub(crate) fn say(word: &'static str) -> impl Fn(NodeContext) -> BoxFuture<'static, Result<Value, NodeError>> {
    move |run| {
        Box::pin(async move {
            run.custom(&json!({"at": word})).await?;
            Ok(json!({"log": [word]}))
        })
    }
}

/// A node that notes a word and tells nothing.
pub(crate) fn note(word: &'static str) -> impl Fn(NodeContext) -> BoxFuture<'static, Result<Value, NodeError>> {
    move |_| Box::pin(async move { Ok(json!({"log": [word]})) })
}

fn secs(run: &NodeContext) -> Duration {
    Duration::from_secs_f64(run.state()["secs"].as_f64().unwrap_or(0.0))
}

async fn sleep(run: NodeContext) -> Result<Value, NodeError> {
    tokio::time::sleep(secs(&run)).await;
    Ok(json!({"log": ["slept"]}))
}

/// With a path, a line there tells each time that a node runs.
fn leave_line(run: &NodeContext, line: &str) -> Result<(), NodeError> {
    if let Some(path) = run.state()["path"].as_str() {
        writeln!(OpenOptions::new().append(true).create(true).open(path)?, "{line}")?;
    }
    Ok(())
}

/// Holds a thread of its own, as code that waits ought to.
async fn block(run: NodeContext) -> Result<Value, NodeError> {
    leave_line(&run, "blocked")?;
    let pause = secs(&run);
    tokio::task::spawn_blocking(move || std::thread::sleep(pause)).await?;
    Ok(json!({"log": ["blocked"]}))
}

/// Holds the runtime's thread itself, as careless asynchronous code does.
async fn block_loop(run: NodeContext) -> Result<Value, NodeError> {
    leave_line(&run, "blocked")?;
    std::thread::sleep(secs(&run));
    Ok(json!({"log": ["blocked"]}))
}

fn work(name: &str) -> GraphBuilder {
    Graph::builder(name).append("log").value("secs").value("path").value("total").append("done")
}

/// Edges from each node to the next.
fn chained(builder: GraphBuilder, nodes: &[&str]) -> Result<Graph> {
    let from = [START].into_iter().chain(nodes.iter().copied());
    let to = nodes.iter().copied().chain([END]);
    from.zip(to).fold(builder, |builder, (from, to)| builder.edge(from, to)).build()
}

/// One step of `total`: what began and what ended is kept in the file, outside the graph.
async fn tick(run: NodeContext) -> Result<Value, NodeError> {
    let number = run.state()["done"].as_array().map_or(0, Vec::len);
    leave_line(&run, &format!("begin {number}"))?;
    tokio::time::sleep(secs(&run)).await;
    leave_line(&run, &format!("end {number}"))?;
    run.custom(&json!({"tick": number})).await?;
    Ok(json!({"done": [number]}))
}

fn more(state: &JsonMap) -> Vec<&'static str> {
    let done = state["done"].as_array().map_or(0, Vec::len);
    vec![if done < state["total"].as_u64().unwrap_or(0) as usize { "tick" } else { END }]
}

/// So many events of that size, with a pause after each if one is asked for.
async fn tell_many(run: NodeContext) -> Result<Value, NodeError> {
    let total = run.state()["total"].as_u64().unwrap_or(0);
    let filling = "x".repeat(run.state()["size"].as_u64().unwrap_or(0) as usize);
    for number in 0..total {
        run.custom(&json!({"number": number, "filling": filling})).await?;
        if !secs(&run).is_zero() {
            tokio::time::sleep(secs(&run)).await;
        }
    }
    Ok(json!({"told": total}))
}

/// Prints in every way that user code prints; none of it may disturb the server.
async fn shout(_: NodeContext) -> Result<Value, NodeError> {
    println!("plain line");
    print!("no newline");
    eprintln!("to stderr");
    std::io::stdout().write_all(b"\x00\x01{not json}\r\n\xff\xfe raw bytes\n")?;
    std::io::stdout().flush()?;
    Ok(json!({"log": ["printed"]}))
}

pub(crate) fn graphs() -> Result<Vec<Graph>> {
    let one_and_three = |name: &str| work(name).node("one", say("one")).node("three", say("three"));
    let inner = work("inner").node("deep", say("deep")).node("deeper", say("deeper"));
    let inner = chained(inner, &["deep", "deeper"])?;
    let counter = work("counter").node("tick", tick).edge(START, "tick").conditional("tick", &["tick", END], more);
    let burst = Graph::builder("burst").value("total").value("secs").value("size").value("told");
    Ok(vec![
        chained(
            work("three").node("one", say("one")).node("two", say("two")).node("three", say("three")),
            &["one", "two", "three"],
        )?,
        chained(one_and_three("slow").node("sleep", sleep), &["one", "sleep", "three"])?,
        chained(one_and_three("blocking").node("block", block), &["one", "block", "three"])?,
        chained(one_and_three("blocking_loop").node("block", block_loop), &["one", "block", "three"])?,
        chained(work("nested").node("outer", say("outer")).subgraph("inner", inner), &["outer", "inner"])?,
        counter.build()?,
        chained(burst.node("tell", tell_many), &["tell"])?,
        chained(work("printing").node("shout", shout), &["shout"])?,
    ])
}
