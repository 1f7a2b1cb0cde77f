//! Updates of states by clients, applied as if a node had written them.

use langopen_core::clock::Clock;
use langopen_core::error::Result;
use langopen_core::executor::{ExecutionContext, UpdateAnswer};
use langopen_core::json::RawJson;
use serde_json::{Value, json};

use super::apply::{Applied, apply};
use super::checkpoint::{Checkpoint, Location, Saved};
use super::command::{Command, END, START};
use super::error::NodeError;
use super::plan::{INTERRUPT, NO_WRITES, Task, Write};
use super::snapshot::{Look, Reader, catch_up};
use super::state::{Named, with_summary};
use super::{Graph, Shape};

/// Reserved node names: an input of the graph, and a copy of the checkpoint.
const INPUT: &str = "__input__";
const COPY: &str = "__copy__";

/// A parsed update.
struct Update {
    values: Command,
    /// Whether the update has neither values nor targets.
    is_empty: bool,
    as_node: Option<String>,
}

/// Applies supersteps of updates in order.
pub(super) async fn apply_all(
    graph: &Graph,
    clock: &dyn Clock,
    context: &ExecutionContext,
    config: &RawJson,
    supersteps: &[Vec<Value>],
) -> Result<UpdateAnswer> {
    let named = Named::of(config)?;
    let reader = named.reader(context, graph)?;
    let mut metadata = super::run::remembered(&config.decode().unwrap_or_default());
    metadata.entry("graph_id").or_insert(graph.name().into());
    let mut at = named.checkpoint_id;
    for updates in supersteps {
        let found = reader.saved(at.as_deref()).await?;
        let updates: Vec<_> = updates.iter().map(Update::read).collect();
        let step = Superstep { reader: &reader, clock, metadata: metadata.clone(), is_named: at.is_some(), found };
        at = Some(step.apply(updates).await?);
    }
    let root = Reader { graph: graph.clone(), namespace: String::new(), ..reader.clone() };
    let newest = root.saved(None).await?;
    let (state, thread) = with_summary(&root, newest.as_ref(), Look { now: true, subgraphs: false }).await?;
    let checkpoint = json!({"thread_id": reader.thread_id, "checkpoint_ns": reader.namespace, "checkpoint_id": at});
    Ok(UpdateAnswer::new(checkpoint.into(), state, thread))
}

impl Update {
    fn read(update: &Value) -> Self {
        let as_node = update["as_node"].as_str().map(str::to_owned);
        let values = match &update["command"] {
            Value::Object(command) => Command::read(command),
            _ => Command::from(update["values"].clone()),
        };
        Self { is_empty: values.update.is_null() && values.goto.is_empty(), values, as_node }
    }

    fn is_as(&self, node: &str) -> bool {
        self.as_node.as_deref() == Some(node)
    }
}

struct Superstep<'a> {
    reader: &'a Reader<'a>,
    clock: &'a dyn Clock,
    metadata: langopen_core::json::JsonMap,
    /// Whether the client named the checkpoint. A named checkpoint is used without the writes of tasks after it.
    is_named: bool,
    found: Option<Saved>,
}

impl Superstep<'_> {
    /// Applies the updates of one step and returns the id of the new checkpoint.
    async fn apply(self, updates: Vec<Update>) -> Result<String> {
        let refused = |error: NodeError| error.refusal("executor.update_state");
        match updates.as_slice() {
            [] => return Err(refused(NodeError::invalid_update("a superstep needs an update"))),
            [one] if one.is_as(COPY) => return self.copy().await,
            [one] if one.is_as(INPUT) => return self.input(one).await,
            [one] if one.is_empty && (one.as_node.is_none() || one.is_as(END)) => return self.clear(one).await,
            _ => {}
        }
        let graph = &self.reader.graph;
        let mut base = self.base(!self.is_named);
        let alone = updates.len() == 1;
        let mut done = Vec::new();
        for update in updates {
            let as_node = match update.as_node {
                Some(node) => node,
                None if alone => last_writer(&graph.0, &base.checkpoint).map_err(refused)?,
                None => return Err(refused(NodeError::invalid_update("Ambiguous update, specify as_node"))),
            };
            if as_node != START && graph.0.node(&as_node).is_none() {
                return Err(refused(NodeError::invalid_update(format!("Node {as_node} does not exist"))));
            }
            let mut writes = graph.writes(&as_node, &base.checkpoint, update.values).map_err(refused)?;
            if writes.is_empty() {
                writes.push(Write::new(NO_WRITES, Value::Null));
            }
            done.push((as_node, writes));
        }
        let triggers = [INTERRUPT.to_owned()];
        let applied: Vec<_> =
            done.iter().map(|(name, writes)| Applied { name, path: name, triggers: &triggers, writes }).collect();
        apply(&graph.0, &mut base.checkpoint, &applied).map_err(refused)?;
        self.put(base, "update").await
    }

    /// The state to update; with `caught_up`, it includes the writes of tasks after the checkpoint.
    fn base(&self, caught_up: bool) -> Saved {
        let graph = &self.reader.graph;
        let mut base = self.found.clone().unwrap_or_else(|| Saved {
            checkpoint: Checkpoint::first(&graph.0, self.clock),
            metadata: langopen_core::json::JsonMap::new(),
            parent_id: None,
            pending: Vec::new(),
        });
        if caught_up {
            let mut tasks = self.reader.tasks(&base);
            catch_up(graph, &mut base, &mut tasks);
        }
        base
    }

    /// Copies the checkpoint, as another branch.
    async fn copy(self) -> Result<String> {
        let Some(found) = &self.found else {
            let error = NodeError::invalid_update("Cannot copy a non-existent checkpoint");
            return Err(error.refusal("executor.update_state"));
        };
        let parent = found.parent_id.clone();
        let base = self.base(false);
        self.put_after(base, "fork", parent).await
    }

    /// Applies an input, as before the graph's first step.
    async fn input(self, update: &Update) -> Result<String> {
        if update.values.update.is_null() {
            let error = NodeError::invalid_update("Received no input writes");
            return Err(error.refusal("executor.update_state"));
        }
        let mut base = self.base(false);
        let writes = [Write::new(START, update.values.update.clone())];
        let applied = [Applied { name: INPUT, path: "", triggers: &[], writes: &writes }];
        let applied = apply(&self.reader.graph.0, &mut base.checkpoint, &applied);
        applied.map_err(|error| error.refusal("executor.update_state"))?;
        self.put(base, "input").await
    }

    /// Makes another checkpoint with the same values. If the update is by [`END`], none of the waiting tasks remain.
    async fn clear(self, update: &Update) -> Result<String> {
        let mut base = self.base(false);
        if update.is_as(END) {
            let mut tasks = self.reader.tasks(&base);
            tasks.iter_mut().for_each(|task| task.recall(&base.pending));
            let applied: Vec<_> = tasks.iter().map(Task::applied).collect();
            let applied = apply(&self.reader.graph.0, &mut base.checkpoint, &applied);
            applied.map_err(|error| error.refusal("executor.update_state"))?;
        }
        self.put(base, "update").await
    }

    async fn put(self, base: Saved, source: &str) -> Result<String> {
        let parent = self.found.as_ref().map(|found| found.checkpoint.id.clone());
        self.put_after(base, source, parent).await
    }

    async fn put_after(self, mut base: Saved, source: &str, parent: Option<String>) -> Result<String> {
        let step = self.found.as_ref().map_or(-1, |found| found.step() + 1);
        let step = if self.found.is_none() && source == "update" { 0 } else { step };
        let known = self.found.as_ref().map(|found| found.checkpoint.versions.clone()).unwrap_or_default();
        let parents = self.found.as_ref().and_then(|found| found.metadata.get("parents").cloned());
        base.metadata = self.metadata;
        base.metadata.insert("source".to_owned(), source.into());
        base.metadata.insert("step".to_owned(), step.into());
        base.metadata.insert("parents".to_owned(), parents.unwrap_or_else(|| json!({})));
        base.parent_id = parent;
        base.checkpoint.renew(self.clock);
        let location = Location { thread_id: self.reader.thread_id, namespace: &self.reader.namespace };
        let context = self.reader.context;
        context.put_checkpoint(base.encoded(&location, &known)?).await?;
        Ok(base.checkpoint.id)
    }
}

/// The default node of an update without `as_node`: the node that last saw a new value.
fn last_writer(shape: &Shape, checkpoint: &Checkpoint) -> Result<String, NodeError> {
    let is_node = |name: &str| name == START || shape.node(name).is_some();
    let seen = checkpoint.seen.iter().filter(|(name, _)| is_node(name));
    let mut seen: Vec<_> = seen.flat_map(|(name, seen)| seen.values().map(move |version| (version, name))).collect();
    seen.sort_unstable();
    match seen.as_slice() {
        [] => Ok(START.to_owned()),
        [(_, name)] => Ok((*name).clone()),
        [.., (before, _), (version, name)] if before != version => Ok((*name).clone()),
        _ => Err(NodeError::invalid_update("Ambiguous update, specify as_node")),
    }
}
