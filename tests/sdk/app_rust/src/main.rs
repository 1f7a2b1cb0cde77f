//! The graphs of the SDK suite in Rust, and a server for them: what a team's own program with LangOpen inside looks
//! like.

#![forbid(unsafe_code)]

mod asking;
mod chat;
mod echo;
mod failing;
mod models;
mod packaged;
mod serve;
mod steps;
mod weather;

use clap::Parser;
use langopen_graph::GraphExecutor;

use crate::serve::Options;

fn graphs() -> langopen_core::Result<GraphExecutor> {
    let mut executor = GraphExecutor::new();
    let own = [asking::graphs()?, chat::graphs()?, failing::graphs()?, steps::graphs()?];
    for graph in own.into_iter().flatten() {
        executor = executor.graph(graph);
    }
    Ok(echo::offer(executor)?.graph(packaged::packaged()?).graph(weather::weather()?))
}

#[tokio::main(worker_threads = 4)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    serve::serve(Options::parse(), graphs()?).await
}
