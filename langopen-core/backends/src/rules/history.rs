//! Which checkpoints of a thread stay when its history is cut.

use std::collections::{BTreeSet, HashMap};

use langopen_core::json::JsonMap;
use serde_json::Value;

/// The newest checkpoint of a namespace.
#[derive(Debug)]
pub struct Newest {
    /// The checkpoint's namespace.
    pub checkpoint_ns: String,
    /// The checkpoint's id.
    pub checkpoint_id: String,
    /// The checkpoint's metadata.
    pub metadata: JsonMap,
}

/// Selects the newest checkpoints that must stay. The newest checkpoint of a task's namespace stays only if its parent
/// checkpoints stay too.
pub fn reachable(mut newest: Vec<Newest>) -> Vec<Newest> {
    // Parent namespaces come before the namespaces below them.
    newest.sort_by_key(|each| (each.checkpoint_ns.matches('|').count(), each.checkpoint_ns.len()));
    let mut kept: HashMap<String, String> = HashMap::new();
    newest.retain(|each| {
        let stays = !is_of_task(&each.checkpoint_ns) || parents_are_kept(each, &kept);
        if stays {
            kept.insert(each.checkpoint_ns.clone(), each.checkpoint_id.clone());
        }
        stays
    });
    newest
}

/// Whether the namespace belongs to a single task. Later runs use the other namespaces again.
fn is_of_task(checkpoint_ns: &str) -> bool {
    checkpoint_ns.contains(':')
}

fn parents_are_kept(each: &Newest, kept: &HashMap<String, String>) -> bool {
    let Some(Value::Object(parents)) = each.metadata.get("parents") else { return true };
    // The map of parents may contain the namespace itself.
    parents
        .iter()
        .filter(|(namespace, _)| **namespace != each.checkpoint_ns)
        .all(|(namespace, id)| kept.get(namespace).is_some_and(|kept| id.as_str() == Some(kept)))
}

/// The channels whose values in a checkpoint are computed from the writes of its ancestors.
pub fn computed_channels(metadata: &JsonMap) -> BTreeSet<String> {
    let counters = metadata.get("counters_since_delta_snapshot").and_then(Value::as_object);
    let counts = |counters: &Value| match counters {
        Value::Array(counters) => counters.iter().any(|counter| counter.as_f64() != Some(0.0)),
        counter => counter.as_f64() != Some(0.0),
    };
    let computed = counters.into_iter().flatten().filter(|(_, counters)| counts(counters));
    computed.map(|(channel, _)| channel.clone()).collect()
}

/// The channels of `needed` whose computation continues past this parent, to an older checkpoint.
pub fn computed_before(needed: BTreeSet<String>, parent: &JsonMap) -> BTreeSet<String> {
    let computed = computed_channels(parent);
    needed.into_iter().filter(|channel| computed.contains(channel)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn newest(checkpoint_ns: &str, checkpoint_id: &str, metadata: Value) -> Newest {
        let Value::Object(metadata) = metadata else { panic!("{metadata}") };
        Newest { checkpoint_ns: checkpoint_ns.to_owned(), checkpoint_id: checkpoint_id.to_owned(), metadata }
    }

    #[test]
    fn unreachable_checkpoints_are_removed() {
        let kept = reachable(vec![
            newest("sub:2|in:1", "4", json!({"parents": {"": "9", "sub:2": "3"}})),
            newest("sub:1|in:1", "4", json!({"parents": {"": "9", "sub:1": "3"}})),
            newest("sub:2", "3", json!({"parents": {"": "9"}})),
            newest("sub:1", "3", json!({"parents": {"": "8"}})),
            newest("lasting", "1", json!({"parents": {"": "1"}})),
            newest("foreign:1", "1", json!({})),
            newest("", "9", json!({"parents": {}})),
        ]);
        let names: Vec<_> = kept.iter().map(|each| each.checkpoint_ns.as_str()).collect();
        assert_eq!(names, ["", "sub:2", "lasting", "foreign:1", "sub:2|in:1"]);
    }

    #[test]
    fn ancestors_are_needed_back_to_a_snapshot() {
        let metadata = |value: Value| value.as_object().cloned().unwrap_or_default();
        let needed = computed_channels(&metadata(
            json!({"counters_since_delta_snapshot": {"a": [3, 2], "b": [1, 1], "c": [0, 0]}}),
        ));
        assert_eq!(needed.iter().collect::<Vec<_>>(), ["a", "b"]);
        let needed =
            computed_before(needed, &metadata(json!({"counters_since_delta_snapshot": {"a": [2, 1], "d": [1, 1]}})));
        assert_eq!(needed.iter().collect::<Vec<_>>(), ["a"]);
        assert!(computed_before(needed, &metadata(json!({}))).is_empty());
    }
}
