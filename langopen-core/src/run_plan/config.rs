//! Config, context and metadata: which keys the server strips, mirrors and overrides.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::json::JsonMap;

/// Metadata keys that only the server sets.
const RESERVED_METADATA: [&str; 5] =
    ["thread_id", "assistant_id", "run_id", "cron_id", "counters_since_delta_snapshot"];

/// Keys of `configurable` that only the server sets.
const RESERVED_CONFIGURABLE: [&str; 10] = [
    "langgraph_auth_user",
    "langgraph_auth_user_id",
    "langgraph_auth_permissions",
    "langgraph_request_id",
    "__langsmith_project__",
    "__langsmith_example_id__",
    "__request_start_time_ms__",
    "__after_seconds__",
    "__pregel_node_finished",
    "__context_provided__",
];

/// Removes the metadata keys of a run, thread or cron that only the server may set.
pub fn without_reserved_metadata(mut metadata: JsonMap) -> JsonMap {
    metadata.retain(|key, _| !RESERVED_METADATA.contains(&key.as_str()));
    metadata
}

/// Takes an object out of a config.
pub(super) fn take_object(config: &mut JsonMap, key: &str) -> JsonMap {
    match config.get_mut(key).map(Value::take) {
        Some(Value::Object(object)) => object,
        _ => JsonMap::new(),
    }
}

/// Puts `configurable` into the config, at its present position or at the end, and makes `context` its mirror. A
/// request may give one of the two.
///
/// # Errors
/// `Invalid` when both are.
pub fn mirror(config: &mut JsonMap, context: Option<JsonMap>) -> Result<JsonMap> {
    let mut configurable = take_object(config, "configurable");
    configurable.retain(|key, _| !RESERVED_CONFIGURABLE.contains(&key.as_str()));
    let context = context.filter(|context| !context.is_empty());
    let context = match context {
        Some(_) if !configurable.is_empty() => {
            return Err(Error::invalid(
                "run_plan.mirror",
                "Cannot specify both configurable and context. Prefer setting context alone. Context was introduced in \
                 LangGraph 0.6.0 and is the long term planned replacement for configurable.",
            ));
        }
        Some(context) => {
            configurable = context.clone();
            configurable.retain(|key, _| !RESERVED_CONFIGURABLE.contains(&key.as_str()));
            context
        }
        None => configurable.clone(),
    };
    if configurable.is_empty() {
        config.shift_remove("configurable");
    } else {
        config.insert("configurable".to_owned(), Value::Object(configurable));
    }
    Ok(context)
}

/// `base` with `over` on top, key by key.
pub(super) fn over(mut base: JsonMap, over: JsonMap) -> JsonMap {
    base.extend(over);
    base
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> JsonMap {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn configurable_and_context_mirror_each_other() {
        let mut config = object(json!({"configurable": {"a": 1, "langgraph_auth_user": "spoof"}, "tags": []}));
        assert_eq!(mirror(&mut config, None).unwrap(), object(json!({"a": 1})));
        assert_eq!(Value::Object(config), json!({"configurable": {"a": 1}, "tags": []}));

        let mut config = object(json!({"configurable": {}}));
        mirror(&mut config, Some(object(json!({"b": 2})))).unwrap();
        assert_eq!(Value::Object(config), json!({"configurable": {"b": 2}}));

        let mut config = object(json!({"configurable": {"a": 1}}));
        assert!(mirror(&mut config, Some(object(json!({"b": 2})))).is_err());
    }
}
