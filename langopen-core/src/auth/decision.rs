//! Reads a handler's answer as a decision.

use serde_json::{Map, Value};

use super::Decision;
use crate::error::{Error, Result};
use crate::filter::MetadataFilter;

/// How deep `$or` and `$and` may nest.
const MAX_DEPTH: usize = 2;

impl Decision {
    /// Reads the answer of an authorization handler. Nothing and `true` allow; `false` denies. An object is a filter:
    /// each key names the value that it must equal, or `$eq` or `$contains`. `$or` and `$and` hold lists of filters, at
    /// most two levels deep. An empty object filters nothing.
    ///
    /// # Errors
    /// `Internal` for anything else: a malformed filter must not admit anybody.
    pub fn from_answer(answer: Value) -> Result<Self> {
        match answer {
            Value::Null | Value::Bool(true) => Ok(Self::Allow),
            Value::Bool(false) => Ok(Self::Deny),
            Value::Object(filter) if filter.is_empty() => Ok(Self::Allow),
            Value::Object(filter) => object(filter, 0).map(Self::Filter),
            _ => Err(invalid("an authorization handler must return None, a bool or a filter dict")),
        }
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::internal("auth.filter", message)
}

fn object(filter: Map<String, Value>, depth: usize) -> Result<MetadataFilter> {
    let mut conditions = Vec::with_capacity(filter.len());
    for (key, wanted) in filter {
        match key.as_str() {
            "$or" => conditions.push(MetadataFilter::Any(list(&key, wanted, depth)?)),
            "$and" => conditions.push(MetadataFilter::All(list(&key, wanted, depth)?)),
            operator if operator.starts_with('$') => {
                return Err(invalid(format!(
                    "a filter has the operator {operator:?} where a key, $or or $and belongs"
                )));
            }
            _ => conditions.extend(condition(&key, wanted)?),
        }
    }
    match conditions.pop() {
        Some(only) if conditions.is_empty() => Ok(only),
        last => Ok(MetadataFilter::All(conditions.into_iter().chain(last).collect())),
    }
}

fn list(operator: &str, filters: Value, depth: usize) -> Result<Vec<MetadataFilter>> {
    if depth == MAX_DEPTH {
        return Err(invalid(format!("a filter nests {operator} deeper than {MAX_DEPTH} times")));
    }
    let filters = match filters {
        Value::Array(filters) if !filters.is_empty() => filters,
        _ => return Err(invalid(format!("{operator} in a filter needs a list that is not empty"))),
    };
    let read = |filter| match filter {
        Value::Object(filter) if !filter.is_empty() => object(filter, depth + 1),
        _ => Err(invalid(format!("{operator} in a filter holds something that is no filter, or an empty one"))),
    };
    filters.into_iter().map(read).collect()
}

fn condition(key: &str, wanted: Value) -> Result<Vec<MetadataFilter>> {
    let operators = match wanted {
        Value::Object(operators) if operators.keys().any(|name| name.starts_with('$')) => operators,
        wanted => return Ok(vec![MetadataFilter::Equals(key.to_owned(), wanted)]),
    };
    let read = |(operator, wanted): (String, Value)| match operator.as_str() {
        "$eq" => Ok(MetadataFilter::Equals(key.to_owned(), wanted)),
        "$contains" => match &wanted {
            Value::Array(all) if all.is_empty() => {
                Err(invalid(format!("$contains of {key:?} in a filter has an empty list")))
            }
            _ => Ok(MetadataFilter::Contains(key.to_owned(), wanted)),
        },
        _ => Err(invalid(format!("{operator:?} of {key:?} in a filter is neither $eq nor $contains"))),
    };
    operators.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn passes(filter: Value, metadata: Value) -> bool {
        let Decision::Filter(filter) = Decision::from_answer(filter).unwrap() else { panic!("no filter") };
        filter.matches(metadata.as_object().unwrap())
    }

    #[test]
    fn plain_answers() {
        assert_eq!(Decision::from_answer(json!(null)).unwrap(), Decision::Allow);
        assert_eq!(Decision::from_answer(json!(true)).unwrap(), Decision::Allow);
        assert_eq!(Decision::from_answer(json!({})).unwrap(), Decision::Allow);
        assert_eq!(Decision::from_answer(json!(false)).unwrap(), Decision::Deny);
    }

    #[test]
    fn filters() {
        assert!(passes(json!({"owner": "a"}), json!({"owner": "a", "x": 1})));
        assert!(!passes(json!({"owner": "a"}), json!({"x": 1})));
        assert!(!passes(json!({"owner": "a", "team": "t"}), json!({"owner": "a"})));
        assert!(passes(json!({"owner": {"$eq": "a"}}), json!({"owner": "a"})));
        assert!(passes(json!({"who": {"$contains": "a"}}), json!({"who": ["b", "a"]})));
        assert!(passes(json!({"who": {"$contains": ["a", "b"]}}), json!({"who": ["b", "c", "a"]})));
        assert!(!passes(json!({"who": {"$contains": ["a", "d"]}}), json!({"who": ["b", "c", "a"]})));
        let nested = json!({"$or": [{"owner": "a"}, {"$and": [{"team": "t"}, {"public": true}]}]});
        assert!(passes(nested.clone(), json!({"team": "t", "public": true})));
        assert!(passes(nested.clone(), json!({"owner": "a"})));
        assert!(!passes(nested, json!({"team": "t"})));
        assert!(passes(json!({"team": "t", "$or": [{"a": 1}, {"b": 1}]}), json!({"team": "t", "b": 1})));
    }

    #[test]
    fn what_cannot_be_understood_lets_nobody_through() {
        for answer in [
            json!("yes"),
            json!(1),
            json!([]),
            json!({"$not": [{"a": 1}]}),
            json!({"a": {"$gt": 1}}),
            json!({"a": {"$eq": 1, "b": 2}}),
            json!({"a": {"$contains": []}}),
            json!({"$or": []}),
            json!({"$or": [{}]}),
            json!({"$or": {"a": 1}}),
            json!({"$or": [{"$and": [{"$or": [{"a": 1}]}]}]}),
        ] {
            assert!(Decision::from_answer(answer.clone()).is_err(), "{answer}");
        }
    }
}
