//! Messages as JSON: converts the forms that clients send to the form of states, and joins chunks to messages.

use langopen_core::json::JsonMap;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::channel::kind_of;
use super::error::NodeError;

/// The id in a message of type `remove` that removes all messages.
const REMOVE_ALL: &str = "__remove_all__";

/// Reads one or several messages and completes each one, including its id.
pub(super) fn list(written: Value) -> Result<Vec<Value>, NodeError> {
    match written {
        Value::Array(each) if !is_pair(&each) => each.into_iter().map(message).collect(),
        one => Ok(vec![message(one)?]),
    }
}

/// Whether a list is one message: `["user", "hi"]`.
fn is_pair(list: &[Value]) -> bool {
    matches!(list, [Value::String(role), Value::String(_)] if kind_of_role(role).is_some())
}

fn kind_of_role(role: &str) -> Option<&'static str> {
    Some(match role {
        "user" | "human" => "human",
        "assistant" | "ai" | "AIMessage" => "ai",
        "AIMessageChunk" => "AIMessageChunk",
        "system" | "developer" => "system",
        "tool" => "tool",
        "function" => "function",
        "remove" => "remove",
        _ => return None,
    })
}

fn message(given: Value) -> Result<Value, NodeError> {
    let refused = |what: String| NodeError::new("ValueError", what);
    let mut given = match given {
        Value::String(text) => object(json!({"type": "human", "content": text})),
        Value::Array(pair) if is_pair(&pair) => {
            let [role, content] = [&pair[0], &pair[1]];
            object(json!({"role": role, "content": content}))
        }
        Value::Object(given) => given,
        other => return Err(refused(format!("a message is an object or a text, not {}", kind_of(&other)))),
    };
    let role = given.shift_remove("role");
    let role = given.get("type").or(role.as_ref()).and_then(Value::as_str).unwrap_or("human");
    let kind = kind_of_role(role).ok_or_else(|| refused(format!("Unexpected message type: '{role}'")))?;
    let kind = if kind == "AIMessageChunk" { "ai" } else { kind };
    given.insert("type".to_owned(), kind.into());
    if kind != "remove" && !given.contains_key("content") {
        return Err(refused("a message needs content".to_owned()));
    }
    if given.get("id").is_none_or(Value::is_null) {
        given.insert("id".to_owned(), Uuid::new_v4().to_string().into());
    }
    let mut whole = object(
        json!({"content": "", "additional_kwargs": {}, "response_metadata": {}, "type": kind, "name": null, "id": null}),
    );
    match kind {
        "ai" => {
            whole.extend(object(json!({"tool_calls": [], "invalid_tool_calls": [], "usage_metadata": null})));
            given.shift_remove("tool_call_chunks");
            given.shift_remove("chunk_position");
            if let Some(Value::Array(calls)) = given.get_mut("tool_calls") {
                calls.iter_mut().filter_map(Value::as_object_mut).for_each(complete_call);
            }
        }
        "tool" => whole.extend(object(json!({"tool_call_id": null, "artifact": null, "status": "success"}))),
        _ => {}
    }
    whole.extend(given);
    Ok(Value::Object(whole))
}

fn complete_call(call: &mut JsonMap) {
    for (key, value) in [("args", json!({})), ("id", Value::Null), ("type", json!("tool_call"))] {
        if !call.contains_key(key) {
            call.insert(key.to_owned(), value);
        }
    }
}

/// Adds new messages to the list `held`.
pub(super) fn add(held: Value, new: Vec<Value>) -> Result<Value, NodeError> {
    let mut messages = match held {
        Value::Array(messages) => messages,
        _ => Vec::new(),
    };
    for message in new {
        let removes = message["type"] == "remove";
        if removes && message["id"] == REMOVE_ALL {
            messages.clear();
            continue;
        }
        match messages.iter().position(|held| held["id"] == message["id"]) {
            Some(at) if removes => drop(messages.remove(at)),
            Some(at) => messages[at] = message,
            None if removes => {
                let refused = format!("there is no message with the id {} to remove", message["id"]);
                return Err(NodeError::new("ValueError", refused));
            }
            None => messages.push(message),
        }
    }
    Ok(Value::Array(messages))
}

/// Makes a complete chunk of an AI message.
pub(super) fn chunk(id: &str, fields: Value) -> Value {
    let mut chunk = object(json!({
        "content": "", "additional_kwargs": {}, "response_metadata": {}, "type": "AIMessageChunk", "name": null, "id": id,
        "tool_calls": [], "invalid_tool_calls": [], "usage_metadata": null, "tool_call_chunks": [], "chunk_position": null,
    }));
    chunk.extend(object(fields));
    Value::Object(chunk)
}

/// Adds a chunk to the sum of the earlier ones.
pub(super) fn merge(sum: &mut Value, chunk: &Value) {
    let text = |value: &Value| value["content"].as_str().unwrap_or_default().to_owned();
    match (&mut sum["content"], &chunk["content"]) {
        (Value::Array(blocks), Value::Array(more)) => blocks.extend(more.iter().cloned()),
        (Value::Array(_), _) => {}
        _ => sum["content"] = Value::String(text(sum) + &text(chunk)),
    }
    for key in ["additional_kwargs", "response_metadata"] {
        if let (Some(held), Value::Object(more)) = (sum[key].as_object_mut(), &chunk[key]) {
            held.extend(more.clone());
        }
    }
    if let Value::Object(usage) = &chunk["usage_metadata"] {
        match &mut sum["usage_metadata"] {
            Value::Object(held) => held.iter_mut().for_each(|(key, count)| {
                if let (Some(a), Some(b)) = (count.as_u64(), usage.get(key).and_then(Value::as_u64)) {
                    *count = (a + b).into();
                }
            }),
            held => *held = Value::Object(usage.clone()),
        }
    }
    for piece in chunk["tool_call_chunks"].as_array().into_iter().flatten() {
        merge_call(&mut sum["tool_call_chunks"], piece);
    }
}

/// Adds a piece of a tool call. Pieces with the same index belong to one call.
fn merge_call(sum: &mut Value, piece: &Value) {
    let Some(calls) = sum.as_array_mut() else { return };
    match calls.iter_mut().find(|call| !piece["index"].is_null() && call["index"] == piece["index"]) {
        Some(call) => {
            let args =
                call["args"].as_str().unwrap_or_default().to_owned() + piece["args"].as_str().unwrap_or_default();
            call["args"] = args.into();
            for key in ["name", "id"] {
                if call[key].is_null() {
                    call[key] = piece[key].clone();
                }
            }
        }
        None => calls.push(piece.clone()),
    }
}

/// The message that the sum of chunks represents so far.
pub(super) fn of_chunks(sum: &Value) -> Value {
    let Value::Object(mut message) = sum.clone() else { return Value::Null };
    message.insert("type".to_owned(), "ai".into());
    message.shift_remove("chunk_position");
    let chunks = message.shift_remove("tool_call_chunks");
    let (mut calls, mut invalid) = (Vec::new(), Vec::new());
    for call in chunks.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let args = call["args"].as_str().unwrap_or_default();
        match serde_json::from_str::<JsonMap>(if args.is_empty() { "{}" } else { args }) {
            Ok(args) => calls.push(json!({"name": call["name"], "args": args, "id": call["id"], "type": "tool_call"})),
            Err(error) => invalid.push(json!({
                "name": call["name"], "args": args, "id": call["id"], "error": error.to_string(), "type": "invalid_tool_call",
            })),
        }
    }
    message.insert("tool_calls".to_owned(), calls.into());
    message.insert("invalid_tool_calls".to_owned(), invalid.into());
    Value::Object(message)
}

/// The fields of a `json!` object.
pub(super) fn object(value: Value) -> JsonMap {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
