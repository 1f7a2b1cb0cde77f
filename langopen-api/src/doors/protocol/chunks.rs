//! Assembles the parts of a chunked message other than its text.

use langopen_core::JsonMap;
use serde_json::{Number, Value, json};

/// Merges a chunk into the message assembled so far.
pub(super) fn add(whole: &mut JsonMap, mut chunk: JsonMap) {
    if let Some(Value::Array(calls)) = chunk.remove("tool_call_chunks") {
        let known = whole.entry("tool_call_chunks").or_insert_with(|| json!([]));
        if let Value::Array(known) = known {
            calls.into_iter().for_each(|call| add_call(known, call));
        }
    }
    for name in ["usage_metadata", "response_metadata"] {
        if let Some(more) = chunk.remove(name).filter(Value::is_object) {
            add_value(whole.entry(name).or_insert(Value::Null), more, name == "usage_metadata");
        }
    }
}

/// The tool calls assembled from chunks. Arguments that are not valid JSON yet stay a string.
pub(super) fn tool_calls(whole: &JsonMap) -> Vec<Value> {
    let calls = whole.get("tool_call_chunks").and_then(Value::as_array);
    let call = |chunk: &Value| {
        let text = chunk["args"].as_str().unwrap_or_default();
        let args = if text.is_empty() { json!({}) } else { serde_json::from_str(text).unwrap_or_else(|_| text.into()) };
        json!({"id": chunk["id"], "name": chunk["name"], "args": args})
    };
    calls.into_iter().flatten().map(call).collect()
}

/// Merges a chunk of a tool call into the call with the same index.
fn add_call(known: &mut Vec<Value>, call: Value) {
    let index = &call["index"];
    let Some(open) = known.iter_mut().find(|open| !index.is_null() && open["index"] == *index) else {
        known.push(call);
        return;
    };
    for name in ["id", "name"] {
        if !call[name].is_null() {
            open[name] = call[name].clone();
        }
    }
    if let Some(more) = call["args"].as_str() {
        open["args"] = format!("{}{more}", open["args"].as_str().unwrap_or_default()).into();
    }
}

/// Adds token counts, because each chunk counts its own; other values replace earlier ones.
fn add_value(whole: &mut Value, more: Value, counts: bool) {
    match (whole, more) {
        (Value::Object(whole), Value::Object(more)) => {
            for (name, more) in more {
                add_value(whole.entry(name).or_insert(Value::Null), more, counts);
            }
        }
        (Value::Number(whole), Value::Number(more)) if counts => {
            let sum = whole.as_u64().zip(more.as_u64()).and_then(|(one, other)| one.checked_add(other));
            *whole = sum.map_or(more, Number::from);
        }
        (_, Value::Null) => {}
        (whole, more) => *whole = more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(chunks: &[Value]) -> JsonMap {
        let mut whole = JsonMap::new();
        chunks.iter().for_each(|chunk| add(&mut whole, chunk.as_object().unwrap().clone()));
        whole
    }

    #[test]
    fn calls_of_one_index_are_one_call() {
        let chunk = |index: u32, id: Value, args: &str| json!({"tool_call_chunks": [{"index": index, "id": id, "name": id, "args": args}]});
        let whole = made(&[
            chunk(0, json!("a"), "{\"x\":"),
            chunk(1, json!("b"), ""),
            chunk(0, Value::Null, " 1}"),
            chunk(2, json!("c"), "{"),
        ]);
        assert_eq!(
            tool_calls(&whole),
            [
                json!({"id": "a", "name": "a", "args": {"x": 1}}),
                json!({"id": "b", "name": "b", "args": {}}),
                json!({"id": "c", "name": "c", "args": "{"}),
            ]
        );
    }

    #[test]
    fn tokens_add_up_and_of_the_rest_the_last_word_holds() {
        let whole = made(&[
            json!({"usage_metadata": {"input_tokens": 2, "details": {"cached": 1}}, "response_metadata": {"model": "m"}}),
            json!({"usage_metadata": null, "response_metadata": {}}),
            json!({"usage_metadata": {"input_tokens": 3, "details": {"cached": 1}}, "response_metadata": {"model": "n", "finish": "stop"}}),
        ]);
        assert_eq!(whole["usage_metadata"], json!({"input_tokens": 5, "details": {"cached": 2}}));
        assert_eq!(whole["response_metadata"], json!({"model": "n", "finish": "stop"}));
    }
}
