//! The graphs of a thread's latest run, with their statuses.

use serde::Serialize;

use super::event::Namespace;

/// The status of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Started,
    Running,
    Completed,
    Failed,
    Interrupted,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// Reads [`Status::as_str`].
    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Started, Self::Running, Self::Completed, Self::Failed, Self::Interrupted]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

#[derive(Debug)]
struct Graph {
    namespace: Namespace,
    status: Status,
    name: String,
}

/// The root graph and its subgraphs, in order of appearance.
#[derive(Debug, Default)]
pub(super) struct Tree(Vec<Graph>);

/// A graph with its subgraphs.
#[derive(Debug, Serialize)]
pub(super) struct TreeNode<'a> {
    namespace: &'a [String],
    status: Status,
    graph_name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<TreeNode<'a>>,
}

impl<'a> TreeNode<'a> {
    /// A root without subgraphs.
    pub(super) fn root(status: Status, graph_name: &'a str) -> Self {
        Self { namespace: &[], status, graph_name, children: Vec::new() }
    }
}

/// A graph's namespace and status.
#[derive(Debug, Serialize)]
pub(super) struct Fares<'a> {
    namespace: &'a [String],
    status: Status,
}

impl Tree {
    /// Resets the tree for a new run.
    pub(super) fn begin(&mut self, name: &str) {
        self.0.clear();
        self.set(&Namespace::default(), Status::Running, Some(name));
    }

    pub(super) fn set(&mut self, namespace: &Namespace, status: Status, name: Option<&str>) {
        let name = name.or_else(|| namespace.last().map(|(name, _)| name)).unwrap_or_default();
        match self.0.iter_mut().find(|graph| graph.namespace == *namespace) {
            Some(graph) => graph.status = status,
            None => self.0.push(Graph { namespace: namespace.clone(), status, name: name.to_owned() }),
        }
    }

    /// The whole tree; `None` before the first run.
    pub(super) fn root(&self) -> Option<TreeNode<'_>> {
        let root = self.0.iter().find(|graph| graph.namespace.is_root())?;
        Some(self.node(root))
    }

    fn node<'a>(&'a self, graph: &'a Graph) -> TreeNode<'a> {
        let above = &graph.namespace.0;
        let below = self
            .0
            .iter()
            .filter(|each| each.namespace.0.len() == above.len() + 1 && each.namespace.0.starts_with(above));
        TreeNode {
            namespace: above,
            status: graph.status,
            graph_name: &graph.name,
            children: below.map(|each| self.node(each)).collect(),
        }
    }

    /// Every graph.
    pub(super) fn all(&self) -> Vec<Fares<'_>> {
        self.0.iter().map(|graph| Fares { namespace: &graph.namespace.0, status: graph.status }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn graphs_lie_below_each_other() {
        let at = |steps: &[&str]| Namespace(steps.iter().map(|step| (*step).to_owned()).collect());
        let mut tree = Tree::default();
        assert!(tree.root().is_none());
        tree.begin("agent");
        tree.set(&at(&["a:1"]), Status::Started, None);
        tree.set(&at(&["a:1", "b:2"]), Status::Started, Some("named"));
        tree.set(&at(&["a:1"]), Status::Completed, None);
        let inner = json!({"namespace": ["a:1", "b:2"], "status": "started", "graph_name": "named"});
        let outer = json!({"namespace": ["a:1"], "status": "completed", "graph_name": "a", "children": [inner]});
        let root = json!({"namespace": [], "status": "running", "graph_name": "agent", "children": [outer]});
        assert_eq!(serde_json::to_value(tree.root()).unwrap(), root);
        tree.begin("other");
        assert_eq!(serde_json::to_value(tree.all()).unwrap(), json!([{"namespace": [], "status": "running"}]));
    }
}
