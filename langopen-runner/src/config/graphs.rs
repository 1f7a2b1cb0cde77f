//! The key `graphs`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::section::{Context, Section};
use super::target::{GraphTarget, Target, TargetKind};

/// One entry of `graphs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The object that is, or makes, the graph.
    pub target: GraphTarget,
    /// The purpose of the graph, in the author's words.
    pub description: Option<String>,
}

impl Graph {
    /// Whether the graph needs a JavaScript runtime.
    #[must_use]
    pub fn is_javascript(&self) -> bool {
        self.target.kind == TargetKind::JavaScript
    }
}

pub(super) fn read(section: &Section<'_>) -> BTreeMap<String, Graph> {
    let context = section.context;
    let Some(value) = section.get("graphs") else {
        context.report("graphs", "this key is missing", "Name at least one graph: {\"agent\": \"./agent.py:graph\"}.");
        return BTreeMap::new();
    };
    let Some(entries) = value.as_object() else {
        context.wrong("graphs", value, "an object of graph id and target");
        return BTreeMap::new();
    };
    if entries.is_empty() {
        context.report("graphs", "there is no graph", "Name at least one graph: {\"agent\": \"./agent.py:graph\"}.");
    }
    entries.iter().filter_map(|(id, entry)| Some((id.clone(), read_one(context, id, entry)?))).collect()
}

fn read_one<'a>(context: &'a Context<'a>, id: &str, entry: &'a Value) -> Option<Graph> {
    let key = format!("graphs.{id}");
    if id.trim().is_empty() {
        context.report(key, "the graph id is empty", "Give the graph a name.");
        return None;
    }
    match entry {
        Value::String(text) => {
            let target = Target::read(context, &key, text.trim())?;
            Some(Graph { target, description: None })
        }
        Value::Object(map) => Section::read(context, key.clone(), map, |graph| {
            let description = graph.text("description");
            if graph.get("path").is_none() {
                context.report(&key, "the key `path` is missing", "Add \"path\": \"./agent.py:graph\".");
                return None;
            }
            Some(Graph { target: graph.target("path")?, description })
        }),
        other => {
            context.wrong(key, other, "a text like \"./agent.py:graph\" or an object with `path`");
            None
        }
    }
}
