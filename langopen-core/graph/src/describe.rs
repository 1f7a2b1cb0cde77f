//! Descriptions of a graph: its JSON schemas, its drawing and its subgraphs.

use langopen_core::executor::{GraphDrawing, GraphSchemas, Subgraphs};
use langopen_core::json::JsonMap;
use serde_json::{Value, json};

use super::channel::Kind;
use super::command::{END, START};
use super::{Graph, Shape};

/// The schemas that the graph's author set.
#[derive(Default)]
pub(super) struct Schemas {
    pub(super) state: Option<Value>,
    pub(super) input: Option<Value>,
    pub(super) output: Option<Value>,
    pub(super) context: Option<Value>,
}

impl Graph {
    /// The five schemas of the wire.
    pub(super) fn schemas(&self) -> GraphSchemas {
        let given = &self.0.schemas;
        let mut schemas = GraphSchemas::default();
        if self.0.open {
            // The schemas of a function are unknown.
            return schemas;
        }
        let state = given.state.clone().unwrap_or_else(|| self.0.state_schema());
        schemas.input_schema = given.input.clone().unwrap_or_else(|| state.clone()).into();
        schemas.output_schema = given.output.clone().unwrap_or_else(|| state.clone()).into();
        schemas.state_schema = state.into();
        schemas.config_schema = given.context.clone().unwrap_or_else(|| json!({})).into();
        schemas.context_schema = given.context.clone().unwrap_or_default().into();
        schemas
    }

    /// The schemas of the subgraphs by namespace; with `recurse`, those of nested subgraphs too.
    pub(super) fn subgraphs(&self, namespace: Option<&str>, recurse: bool) -> Subgraphs {
        let mut found = Subgraphs::new();
        self.collect(&mut found, "", namespace, recurse);
        found
    }

    fn collect(&self, found: &mut Subgraphs, prefix: &str, wanted: Option<&str>, recurse: bool) {
        for (name, node) in &self.0.nodes {
            let Some(inside) = node.subgraph() else { continue };
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}|{name}") };
            if wanted.is_none_or(|wanted| wanted == path) {
                found.insert(path.clone(), inside.schemas());
            }
            let leads = wanted.is_some_and(|wanted| wanted.starts_with(&format!("{path}|")));
            if (recurse && wanted.is_none()) || leads {
                inside.collect(found, &path, wanted, recurse);
            }
        }
    }

    /// The nodes and edges, with subgraphs drawn inside down to `depth` levels.
    pub(super) fn drawing(&self, depth: u32) -> GraphDrawing {
        let mut drawing = Drawing::default();
        drawing.graph(&self.0, "", depth);
        let ends = drawing.edges.iter().any(|edge| edge["target"] == END);
        let mut nodes = vec![node(START, START)];
        nodes.extend(drawing.nodes);
        if ends {
            nodes.push(json!({"id": END}));
        }
        GraphDrawing::new(Value::Array(nodes).into(), Value::Array(drawing.edges).into())
    }
}

impl Shape {
    /// The state's schema, derived from the channels.
    fn state_schema(&self) -> Value {
        let property = |(name, kind): &(String, Kind)| {
            let mut schema = match kind.start() {
                Some(Value::Array(_)) => json!({"type": "array", "items": {}}),
                Some(Value::Object(_)) => json!({"type": "object"}),
                _ => json!({}),
            };
            schema["title"] = name.as_str().into();
            (name.clone(), schema)
        };
        let properties: JsonMap = self.channels.iter().map(property).collect();
        json!({"title": self.name, "type": "object", "properties": properties})
    }
}

fn node(id: &str, name: &str) -> Value {
    json!({"id": id, "type": "runnable", "data": {"name": name}})
}

#[derive(Default)]
struct Drawing {
    nodes: Vec<Value>,
    edges: Vec<Value>,
}

impl Drawing {
    fn graph(&mut self, shape: &Shape, prefix: &str, depth: u32) {
        // An expanded subgraph is represented by its first and last nodes.
        let opened = |name: &str| (depth > 0).then(|| shape.node(name)?.subgraph()).flatten();
        for (name, at) in &shape.nodes {
            match at.subgraph().filter(|_| depth > 0) {
                Some(inside) => self.graph(&inside.0, &format!("{prefix}{name}:"), depth - 1),
                None => self.nodes.push(node(&format!("{prefix}{name}"), name)),
            }
        }
        for (from, to, conditional) in arrows(shape) {
            // The edges at the start and the end of a subgraph are drawn with the node that contains it.
            if !prefix.is_empty() && (from == START || to == END) {
                continue;
            }
            let (from, to) = (from.as_str(), to.as_str());
            let sources = opened(from)
                .map_or_else(|| vec![from.to_owned()], |inside| inside_ends(inside, from, depth, Side::Last));
            let targets =
                opened(to).map_or_else(|| vec![to.to_owned()], |inside| inside_ends(inside, to, depth, Side::First));
            for source in &sources {
                for target in &targets {
                    let id = |name: &str| {
                        if name == START || name == END { name.to_owned() } else { format!("{prefix}{name}") }
                    };
                    let mut edge = json!({"source": id(source), "target": id(target)});
                    if conditional {
                        edge["conditional"] = true.into();
                    }
                    self.edges.push(edge);
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    First,
    Last,
}

/// The first or last nodes of the graph inside a node.
fn inside_ends(graph: &Graph, name: &str, depth: u32, side: Side) -> Vec<String> {
    let mut found = Vec::new();
    for (from, to, _) in arrows(&graph.0) {
        let end = match side {
            Side::First if from == START => to,
            Side::Last if to == END => from,
            _ => continue,
        };
        let opened = (depth > 1).then(|| graph.0.node(&end)?.subgraph()).flatten();
        let ends = opened.map_or_else(|| vec![end.clone()], |inside| inside_ends(inside, &end, depth - 1, side));
        found.extend(ends.into_iter().map(|end| format!("{name}:{end}")));
    }
    found
}

/// All edges: source, target, and whether the edge is conditional.
fn arrows(shape: &Shape) -> Vec<(String, String, bool)> {
    let edges = shape.edges.iter().map(|(from, to)| (from.clone(), to.clone(), false));
    let joins = shape.joins.iter().flat_map(|(from, to)| from.iter().map(|from| (from.clone(), to.clone(), false)));
    let mut arrows: Vec<_> = edges.chain(joins).collect();
    for (from, branch) in &shape.branches {
        let all = || shape.nodes.iter().map(|(name, _)| name.clone()).chain([END.to_owned()]).collect();
        let targets: Vec<String> = if branch.targets.is_empty() { all() } else { branch.targets.clone() };
        arrows.extend(targets.into_iter().map(|to| (from.clone(), to, true)));
    }
    arrows
}
