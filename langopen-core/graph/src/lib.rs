#![doc = include_str!("../README.md")]
//!
//! # How a graph runs
//!
//! A graph has a state of named [channels](Channel). Nodes read the state and return updates; edges name the next
//! nodes. In each step, the executor runs all due nodes at once, applies their updates to the state, and stores a
//! checkpoint.
//!
//! Checkpoints make these features possible:
//!
//! - A run streams its progress, pauses at an interrupt and resumes with the answer.
//! - A run whose process ends continues in another process from its last checkpoint.
//! - Clients read, change and fork the states of a thread.
//!
//! # Map
//!
//! | need | type |
//! | --- | --- |
//! | build a graph | [`Graph::builder`], [`GraphBuilder`], [`Channel`] |
//! | write a node | [`NodeContext`], [`Command`], [`NodeError`] |
//! | stream a message | [`MessageStream`] |
//! | use the long-term store | [`Store`] |
//! | execute graphs | [`GraphExecutor`], or [`FunctionExecutor`] for single functions |
//!
//! Extend the crate with a reducer of your own ([`Channel::reducer`]) or with a graph that depends on the config
//! ([`GraphExecutor::factory`]).

#![forbid(unsafe_code)]

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
mod function;
mod message_stream;
mod messages;
mod persist;
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
use langopen_core::json::JsonMap;

pub use builder::GraphBuilder;
pub use channel::Channel;
pub use command::{Command, END, Goto, START};
pub use context::NodeContext;
pub use error::NodeError;
#[cfg(test)]
pub(crate) use executor::EVENTS_AHEAD;
pub use executor::{GraphExecutor, GraphRequest};
pub use function::{FunctionContext, FunctionExecutor};
pub use message_stream::MessageStream;
pub use store::Store;

/// A graph, ready for execution. Clones share it.
#[derive(Clone)]
pub struct Graph(Arc<Shape>);

#[derive(Default)]
struct Shape {
    name: String,
    description: Option<String>,
    channels: Vec<(String, channel::Kind)>,
    /// Whether the graph accepts keys without a channel.
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
    /// Starts a graph. `name` is its id in an executor.
    pub fn builder(name: impl Into<String>) -> GraphBuilder {
        GraphBuilder::new(name.into())
    }

    /// The graph's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The graph's description, for people.
    pub fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The graph with this namespace: this graph, or a subgraph inside its nodes.
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
