//! Builds graphs.

use std::future::Future;
use std::sync::Arc;

use futures::FutureExt;
use langopen_core::error::{Error, Result};
use langopen_core::json::JsonMap;
use serde_json::Value;

use super::channel::Channel;
use super::command::{Command, END, Goto, START};
use super::context::NodeContext;
use super::error::NodeError;
use super::{Branch, Graph, Node, Shape, Work};

/// A graph under construction; see [`Graph::builder`].
pub struct GraphBuilder {
    shape: Shape,
    wrong: Option<String>,
}

impl GraphBuilder {
    pub(super) fn new(name: String) -> Self {
        Self { shape: Shape { name, ..Shape::default() }, wrong: None }
    }

    /// Sets the description, for people. The graph's assistant shows it.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.shape.description = Some(description.into());
        self
    }

    /// Adds a channel to the state. A channel with the same name is replaced.
    #[must_use]
    pub fn channel(mut self, name: impl Into<String>, channel: Channel) -> Self {
        let name = name.into();
        if name.starts_with("__") || name.contains(':') {
            self.refuse(format!("a channel cannot be called {name:?}"));
        }
        self.shape.channels.retain(|(held, _)| *held != name);
        self.shape.channels.push((name, channel.0));
        self
    }

    /// Adds a channel for the last value, as [`Channel::last_value`].
    #[must_use]
    pub fn value(self, name: impl Into<String>) -> Self {
        self.channel(name, Channel::last_value())
    }

    /// Adds a channel for a growing list, as [`Channel::append`].
    #[must_use]
    pub fn append(self, name: impl Into<String>) -> Self {
        self.channel(name, Channel::append())
    }

    /// Adds the channel `messages` for a list of messages, as [`Channel::messages`].
    #[must_use]
    pub fn messages(self) -> Self {
        self.channel("messages", Channel::messages())
    }

    /// Accepts keys without a channel; such a key holds its last value.
    #[must_use]
    pub(crate) fn open(mut self) -> Self {
        self.shape.open = true;
        self
    }

    /// Adds a node: an async function that receives the state and returns a [`Command`]. The simplest command is a JSON
    /// object, which updates the state.
    #[must_use]
    pub fn node<F, R, C>(mut self, name: impl Into<String>, function: F) -> Self
    where
        F: Fn(NodeContext) -> R + Send + Sync + 'static,
        R: Future<Output = Result<C, NodeError>> + Send + 'static,
        C: Into<Command>,
    {
        let work = move |context| function(context).map(|done| done.map(Into::into)).boxed();
        self.add(name.into(), Work::Function(Arc::new(work)));
        self
    }

    /// Adds a graph as a node. It starts with the values of the channels that it shares with this graph. When it ends,
    /// its values of these channels are written back.
    #[must_use]
    pub fn subgraph(mut self, name: impl Into<String>, graph: Graph) -> Self {
        self.add(name.into(), Work::Subgraph(graph));
        self
    }

    /// Runs `to` after `from`. [`START`] and [`END`] are the start and the end of the graph.
    #[must_use]
    pub fn edge(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.shape.edges.push((from.into(), to.into()));
        self
    }

    /// Runs `to` once, after all of `from`.
    #[must_use]
    pub fn join<S: Into<String>>(mut self, from: impl IntoIterator<Item = S>, to: impl Into<String>) -> Self {
        self.shape.joins.push((from.into_iter().map(Into::into).collect(), to.into()));
        self
    }

    /// Runs the nodes that `choose` returns after `from`. `choose` receives the state with the writes of `from`.
    /// `targets` lists the nodes that `choose` may return, for the drawing; an empty list means all nodes.
    #[must_use]
    pub fn conditional<G: Into<Goto>>(
        mut self,
        from: impl Into<String>,
        targets: &[&str],
        choose: impl Fn(&JsonMap) -> Vec<G> + Send + Sync + 'static,
    ) -> Self {
        let choose = move |state: &JsonMap| choose(state).into_iter().map(Into::into).collect();
        let targets = targets.iter().map(|&target| target.to_owned()).collect();
        self.shape.branches.push((from.into(), Branch { choose: Arc::new(choose), targets }));
        self
    }

    /// Stops before these nodes. The next run without an input continues.
    #[must_use]
    pub fn interrupt_before(mut self, nodes: &[&str]) -> Self {
        self.shape.interrupt_before = nodes.iter().map(|&node| node.to_owned()).collect();
        self
    }

    /// Stops after these nodes. The next run without an input continues.
    #[must_use]
    pub fn interrupt_after(mut self, nodes: &[&str]) -> Self {
        self.shape.interrupt_after = nodes.iter().map(|&node| node.to_owned()).collect();
        self
    }

    /// Sets the JSON schema of the state, e.g. schemars' `schema_for!(State)`. The default is made from the channels.
    #[must_use]
    pub fn state_schema(mut self, schema: impl Into<Value>) -> Self {
        self.shape.schemas.state = Some(schema.into());
        self
    }

    /// Sets the JSON schema of the input. The default is the schema of the state.
    #[must_use]
    pub fn input_schema(mut self, schema: impl Into<Value>) -> Self {
        self.shape.schemas.input = Some(schema.into());
        self
    }

    /// Sets the JSON schema of the output. The default is the schema of the state.
    #[must_use]
    pub fn output_schema(mut self, schema: impl Into<Value>) -> Self {
        self.shape.schemas.output = Some(schema.into());
        self
    }

    /// Sets the JSON schema of the run's context. Nodes then see only the keys in its `properties`.
    #[must_use]
    pub fn context_schema(mut self, schema: impl Into<Value>) -> Self {
        self.shape.schemas.context = Some(schema.into());
        self
    }

    /// Builds the graph.
    ///
    /// # Errors
    /// `Invalid` if no edge leads from [`START`] to a node, a name is reserved or used twice, or an edge names a
    /// missing node.
    pub fn build(mut self) -> Result<Graph> {
        if let Err(wrong) = self.check() {
            self.refuse(wrong);
        }
        match self.wrong {
            Some(wrong) => Err(Error::invalid("graph.build", format!("graph {:?}: {wrong}", self.shape.name))),
            None => Ok(Graph(Arc::new(self.shape))),
        }
    }

    fn add(&mut self, name: String, work: Work) {
        if name.starts_with("__") || name.contains([':', '|']) || name.is_empty() {
            self.refuse(format!("a node cannot be called {name:?}"));
        } else if self.shape.node(&name).is_some() {
            self.refuse(format!("there are two nodes {name:?}"));
        }
        self.shape.nodes.push((name, Node { work }));
    }

    /// Records an error; the first one wins.
    fn refuse(&mut self, wrong: String) {
        self.wrong.get_or_insert(wrong);
    }

    fn check(&self) -> Result<(), String> {
        let shape = &self.shape;
        let known = |name: &str, end: &str| match shape.node(name) {
            None if name != end => Err(format!("an edge names {name:?}, which is no node")),
            _ => Ok(()),
        };
        for (from, to) in &shape.edges {
            known(from, START)?;
            known(to, END)?;
        }
        for (from, to) in &shape.joins {
            from.iter().try_for_each(|from| known(from, ""))?;
            known(to, "")?;
        }
        for (from, branch) in &shape.branches {
            known(from, START)?;
            branch.targets.iter().try_for_each(|to| known(to, END))?;
        }
        for node in shape.interrupt_before.iter().chain(&shape.interrupt_after) {
            known(node, "*")?;
        }
        let begins = shape.edges.iter().map(|(from, _)| from).chain(shape.branches.iter().map(|(from, _)| from));
        if !begins.into_iter().any(|from| from == START) {
            return Err("no edge leads from START to its first node".to_owned());
        }
        Ok(())
    }
}
