//! Events of the event streaming protocol. Such runs receive some events in the protocol's own form: messages in
//! content blocks, checkpoints without values, and the lifecycle of subgraphs.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::messages;

/// An event of the protocol: its namespace, the suffix of its name, and its data.
pub(super) type ProtocolEvent = (String, &'static str, Value);

/// The state of the protocol in one run.
#[derive(Default)]
pub(super) struct Protocol {
    /// The names of the subgraphs that have started, by namespace.
    names: HashMap<String, String>,
    /// The running subgraphs, with the tasks that contain them.
    open: Vec<(String, String)>,
    /// The messages in progress.
    messages: Vec<Open>,
}

struct Open {
    id: String,
    namespace: String,
    node: Value,
    sum: Value,
}

impl Protocol {
    /// The events of a chunk of a message.
    pub(super) fn chunk(&mut self, namespace: &str, chunk: &Value, node: &Value) -> Vec<ProtocolEvent> {
        let id = chunk["id"].as_str().unwrap_or_default();
        let mut pieces = Vec::new();
        let known = self.messages.iter().position(|open| open.id == id);
        let at = match known {
            Some(at) => {
                messages::merge(&mut self.messages[at].sum, chunk);
                at
            }
            None => {
                pieces.push(json!({"event": "message-start", "role": "ai", "id": id}));
                pieces.push(block_start(0, &json!({"type": "text", "text": ""})));
                let (id, namespace) = (id.to_owned(), namespace.to_owned());
                self.messages.push(Open { id, namespace, node: node.clone(), sum: chunk.clone() });
                self.messages.len() - 1
            }
        };
        pieces.extend(chunk["content"].as_str().filter(|text| !text.is_empty()).map(|text| text_delta(0, text)));
        if chunk["chunk_position"] == "last" {
            pieces.extend(end(&self.messages.remove(at).sum));
        }
        of_message(namespace, node, pieces)
    }

    /// The events of a whole message. The results of tools have none: they have events of their own.
    pub(super) fn whole(namespace: &str, message: &Value, node: &Value) -> Vec<ProtocolEvent> {
        let Some(role) = message["type"].as_str().filter(|kind| ["ai", "human", "system"].contains(kind)) else {
            return Vec::new();
        };
        let mut pieces = vec![json!({"event": "message-start", "role": role, "id": message["id"]})];
        let text = message["content"].as_str().unwrap_or_default();
        let text = (!text.is_empty()).then(|| json!({"type": "text", "text": text}));
        for (index, block) in text.into_iter().chain(calls(message)).enumerate() {
            if block["type"] == "text" {
                pieces.push(block_start(index, &json!({"type": "text", "text": ""})));
                pieces.push(text_delta(index, block["text"].as_str().unwrap_or_default()));
            } else {
                pieces.push(block_start(index, &emptied(&block)));
            }
            pieces.push(block_finish(index, &block));
        }
        pieces.push(finish(message));
        of_message(namespace, node, pieces)
    }

    /// The events before a task's record: if the task is the first of its graph, the start of that graph.
    pub(super) fn started(&mut self, namespace: &str) -> Vec<ProtocolEvent> {
        if namespace.is_empty() || self.names.contains_key(namespace) {
            return Vec::new();
        }
        let last = namespace.rsplit('|').next().unwrap_or(namespace);
        let (name, task) = last.split_once(':').unwrap_or((last, ""));
        self.names.insert(namespace.to_owned(), name.to_owned());
        self.open.push((namespace.to_owned(), task.to_owned()));
        let parts: Vec<_> = namespace.split('|').collect();
        let data = json!({"event": "started", "namespace": parts, "graph_name": name, "trigger_call_id": task});
        vec![lifecycle(namespace, data)]
    }

    /// The events after the record of a task that ended: the ends of the subgraphs inside it.
    pub(super) fn ended(&mut self, record: &Value) -> Vec<ProtocolEvent> {
        let asks = record["interrupts"].as_array().is_some_and(|interrupts| !interrupts.is_empty());
        let failed = !record["error"].is_null();
        let status = if asks {
            "interrupted"
        } else if failed {
            "failed"
        } else {
            "completed"
        };
        let inside = |(_, task): &(String, String)| record["id"] == task.as_str();
        let ended: Vec<_> = self.open.extract_if(.., |open| inside(open)).collect();
        ended.into_iter().map(|(namespace, _)| self.end_of(&namespace, status)).collect()
    }

    /// The events at the end of the run; `status` is `completed`, `interrupted` or `failed`.
    pub(super) fn close(&mut self, status: &str) -> Vec<ProtocolEvent> {
        let messages = std::mem::take(&mut self.messages);
        let mut events: Vec<_> =
            messages.iter().flat_map(|open| of_message(&open.namespace, &open.node, end(&open.sum))).collect();
        let mut open = std::mem::take(&mut self.open);
        open.sort_by_key(|(namespace, _)| std::cmp::Reverse(namespace.matches('|').count()));
        events.extend(open.into_iter().map(|(namespace, _)| self.end_of(&namespace, status)));
        if status == "interrupted" {
            events.push(lifecycle("", json!({"event": status})));
        }
        events
    }

    fn end_of(&self, namespace: &str, status: &str) -> ProtocolEvent {
        lifecycle(namespace, json!({"event": status, "graph_name": self.names.get(namespace)}))
    }
}

/// The record of a checkpoint without its values.
pub(super) fn checkpoint(record: &Value) -> Value {
    let id = |config: &Value| config["configurable"]["checkpoint_id"].clone();
    let mut envelope = json!({"id": id(&record["config"])});
    if !record["parent_config"].is_null() {
        envelope["parent_id"] = id(&record["parent_config"]);
    }
    envelope["step"] = record["metadata"]["step"].clone();
    envelope["source"] = record["metadata"]["source"].clone();
    json!({"data": envelope})
}

/// Removes empty fields from messages, and puts type, content and id first.
pub(super) fn compact(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(compact),
        Value::Object(fields) if fields.contains_key("additional_kwargs") && fields.contains_key("content") => {
            let retained = ["tool_call_id", "status", "artifact"];
            let mut message: serde_json::Map<String, Value> = ["type", "content", "id"]
                .map(|key| (key.to_owned(), fields.get(key).cloned().unwrap_or_default()))
                .into_iter()
                .collect();
            for (key, field) in std::mem::take(fields) {
                let empty = match &field {
                    Value::Null => true,
                    Value::String(text) => text.is_empty(),
                    Value::Array(items) => items.is_empty(),
                    Value::Object(fields) => fields.is_empty(),
                    Value::Bool(_) | Value::Number(_) => false,
                };
                if !message.contains_key(&key) && (!empty || retained.contains(&key.as_str())) {
                    message.insert(key, field);
                }
            }
            *fields = message;
        }
        Value::Object(fields) => fields.values_mut().for_each(compact),
        _ => {}
    }
}

fn of_message(namespace: &str, node: &Value, pieces: Vec<Value>) -> Vec<ProtocolEvent> {
    let events = |piece| (namespace.to_owned(), "messages", json!({"data": piece, "node": node}));
    pieces.into_iter().map(events).collect()
}

fn lifecycle(namespace: &str, data: Value) -> ProtocolEvent {
    (namespace.to_owned(), "lifecycle", json!({"data": data}))
}

/// The last pieces of a message in chunks.
fn end(sum: &Value) -> Vec<Value> {
    let message = messages::of_chunks(sum);
    let mut pieces = vec![block_finish(0, &json!({"type": "text", "text": message["content"]}))];
    for (at, call) in calls(&message).into_iter().enumerate() {
        pieces.push(block_start(at + 1, &emptied(&call)));
        pieces.push(block_finish(at + 1, &call));
    }
    pieces.push(finish(&message));
    pieces
}

/// The message's tool calls as content blocks.
fn calls(message: &Value) -> Vec<Value> {
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    calls
        .map(|call| json!({"type": "tool_call", "name": call["name"], "args": call["args"], "id": call["id"]}))
        .collect()
}

fn emptied(call: &Value) -> Value {
    json!({"type": "tool_call", "id": call["id"], "name": call["name"], "args": {}})
}

fn block_start(index: usize, content: &Value) -> Value {
    json!({"event": "content-block-start", "index": index, "content": content})
}

fn text_delta(index: usize, text: &str) -> Value {
    json!({"event": "content-block-delta", "index": index, "delta": {"type": "text-delta", "text": text}})
}

fn block_finish(index: usize, content: &Value) -> Value {
    json!({"event": "content-block-finish", "index": index, "content": content})
}

fn finish(message: &Value) -> Value {
    let mut piece = json!({"event": "message-finish"});
    if !message["usage_metadata"].is_null() {
        piece["usage"] = message["usage_metadata"].clone();
    }
    if message["response_metadata"].as_object().is_some_and(|metadata| !metadata.is_empty()) {
        piece["metadata"] = message["response_metadata"].clone();
    }
    piece
}
