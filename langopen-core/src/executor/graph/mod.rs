//! Agents as graphs of async functions: the same surface as LangGraph's, in Rust.
//!
//! A graph has a state of named [channels](Channel), nodes that read the state and return what is to be written to it, and edges that say which node comes
//! next. It is executed in steps: all nodes whose turn it is run at once, then what they wrote becomes the state, which is kept as a checkpoint. So a run
//! streams as it goes, stops to ask a person and goes on with the answer, is taken up by another process from its last checkpoint, and its thread's states can be
//! read, changed and gone on from.
//!
//! ```
//! use langopen_core::executor::graph::{END, Graph, GraphExecutor, NodeContext, NodeError, START};
//! use serde_json::{Value, json};
//!
//! async fn answer(run: NodeContext) -> Result<Value, NodeError> {
//!     let mut message = run.message();
//!     for word in ["Good", " day"] {
//!         message.text(word).await?;
//!     }
//!     Ok(json!({"messages": [message.finish().await?]}))
//! }
//!
//! async fn ask(run: NodeContext) -> Result<Value, NodeError> {
//!     let reply = run.interrupt(json!({"question": "go on?"}))?;
//!     Ok(json!({"reply": reply}))
//! }
//!
//! # fn main() -> langopen_core::Result<()> {
//! let graph = Graph::builder("greeter")
//!     .messages()
//!     .value("reply")
//!     .node("answer", answer)
//!     .node("ask", ask)
//!     .edge(START, "answer")
//!     .edge("answer", "ask")
//!     .edge("ask", END)
//!     .build()?;
//! let executor = GraphExecutor::new().graph(graph);
//! # let _ = executor;
//! # Ok(())
//! # }
//! ```

mod apply;
mod begin;
mod builder;
mod channel;
mod checkpoint;
mod command;
mod context;
mod describe;
mod error;
mod events;
mod executor;
mod keep;
mod message_stream;
mod messages;
mod plan;
mod protocol;
mod run;
mod snapshot;
mod state;
mod steps;
mod store;
mod stream;
mod tasks;
mod tool_call;
mod update;

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::json::JsonMap;

pub use builder::GraphBuilder;
pub use channel::Channel;
pub use command::{Command, END, Goto, START};
pub use context::NodeContext;
pub use error::NodeError;
#[cfg(all(test, feature = "memory"))]
pub(in crate::executor) use executor::EVENTS_AHEAD;
pub use executor::{GraphExecutor, GraphRequest};
pub use message_stream::MessageStream;
pub use store::Store;

/// A graph, ready to be executed. Clones share it.
#[derive(Clone)]
pub struct Graph(Arc<Shape>);

#[derive(Default)]
struct Shape {
    name: String,
    description: Option<String>,
    channels: Vec<(String, channel::Kind)>,
    /// Whether keys are taken that no channel is named for.
    open: bool,
    nodes: Vec<(String, Node)>,
    edges: Vec<(String, String)>,
    joins: Vec<(Vec<String>, String)>,
    branches: Vec<(String, Branch)>,
    interrupt_before: Vec<String>,
    interrupt_after: Vec<String>,
    schemas: describe::Schemas,
}

struct Node {
    work: Work,
}

type Function = Arc<dyn Fn(NodeContext) -> BoxFuture<'static, Result<Command, NodeError>> + Send + Sync>;

enum Work {
    Function(Function),
    Subgraph(Graph),
}

type Choose = Arc<dyn Fn(&JsonMap) -> Vec<Goto> + Send + Sync>;

struct Branch {
    choose: Choose,
    targets: Vec<String>,
}

impl Graph {
    /// Begins a graph; `name` is its id where an executor offers it.
    pub fn builder(name: impl Into<String>) -> GraphBuilder {
        GraphBuilder::new(name.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is for.
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The graph whose checkpoints are in this namespace: itself, or the one inside its nodes.
    fn inside(&self, namespace: &str) -> Option<Self> {
        let mut graph = self.clone();
        for part in namespace.split('|').filter(|part| !part.is_empty()) {
            let node = part.split(':').next().unwrap_or(part);
            graph = graph.0.node(node)?.subgraph()?.clone();
        }
        Some(graph)
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<_> = self.0.nodes.iter().map(|(name, _)| name).collect();
        f.debug_struct("Graph").field("name", &self.0.name).field("nodes", &nodes).finish_non_exhaustive()
    }
}

impl Shape {
    fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|(held, _)| held == name).map(|(_, node)| node)
    }
}

impl Node {
    fn subgraph(&self) -> Option<&Graph> {
        match &self.work {
            Work::Function(_) => None,
            Work::Subgraph(graph) => Some(graph),
        }
    }
}
