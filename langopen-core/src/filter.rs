//! Conditions on JSON documents: containment, and the filters that authorization imposes.

use serde_json::{Map, Value};

/// A condition on a row's metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataFilter {
    /// The value under the key equals this one.
    Equals(String, Value),
    /// The value under the key is an array that holds this value, or all of these values.
    Contains(String, Value),
    /// Every condition holds; true when there is none.
    All(Vec<MetadataFilter>),
    /// At least one condition holds; false when there is none.
    Any(Vec<MetadataFilter>),
}

impl MetadataFilter {
    /// Whether `metadata` passes.
    pub fn matches(&self, metadata: &Map<String, Value>) -> bool {
        match self {
            Self::Equals(key, value) => metadata.get(key) == Some(value),
            Self::Contains(key, value) => match (metadata.get(key), value) {
                (Some(Value::Array(held)), Value::Array(wanted)) => wanted.iter().all(|each| held.contains(each)),
                (Some(Value::Array(held)), wanted) => held.contains(wanted),
                _ => false,
            },
            Self::All(conditions) => conditions.iter().all(|each| each.matches(metadata)),
            Self::Any(conditions) => conditions.iter().any(|each| each.matches(metadata)),
        }
    }

    /// Whether the filter admits no document in which `key` holds anything but `value`.
    pub fn wants(&self, key: &str, value: &Value) -> bool {
        match self {
            Self::Equals(held, wanted) => held == key && wanted == value,
            Self::All(conditions) => conditions.iter().any(|each| each.wants(key, value)),
            Self::Contains(..) | Self::Any(_) => false,
        }
    }
}

/// Whether `document` contains `part`: objects by key and recursively, arrays as sets, everything else by equality.
///
/// These are the rules of PostgreSQL's `@>` on `jsonb`, except for its special case of a bare value in an array.
pub fn contains(document: &Value, part: &Value) -> bool {
    match (document, part) {
        (Value::Object(document), Value::Object(part)) => contains_all(document, part),
        (Value::Array(document), Value::Array(part)) => {
            part.iter().all(|wanted| document.iter().any(|held| contains(held, wanted)))
        }
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => document == part,
    }
}

/// [`contains`] for objects.
pub fn contains_all(document: &Map<String, Value>, part: &Map<String, Value>) -> bool {
    part.iter().all(|(key, wanted)| document.get(key).is_some_and(|held| contains(held, wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn containment_descends_objects_and_treats_arrays_as_sets() {
        let document = json!({"a": {"b": 1, "c": [1, 2, {"d": 3, "e": 4}]}, "f": null});
        for part in [
            json!({}),
            json!({"a": {"b": 1.0}}),
            json!({"a": {"c": [2]}}),
            json!({"a": {"c": [{"d": 3}]}}),
            json!({"f": null}),
        ] {
            assert!(contains(&document, &part), "{part}");
        }
        for part in [json!({"a": 1}), json!({"a": {"c": [3]}}), json!({"g": null}), json!({"a": {"c": 2}})] {
            assert!(!contains(&document, &part), "{part}");
        }
    }
}
