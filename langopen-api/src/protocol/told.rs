//! Messages of graph hosts that do not speak in content blocks: each event carries a whole message so far, and here it becomes what was added.

use langopen_core::JsonMap;
use serde_json::{Value, json};

use crate::wire::message_text;

/// A message that is being told.
#[derive(Debug)]
struct Open {
    id: String,
    text: String,
    /// As it was told last.
    message: JsonMap,
}

/// The messages of one run that are being told.
#[derive(Debug, Default)]
pub(super) struct Told(Vec<Open>);

impl Told {
    /// The pieces that a `messages/partial` or `messages/complete` event becomes.
    pub(super) fn take(&mut self, data: &[u8], complete: bool) -> Vec<Value> {
        let messages: Vec<JsonMap> = serde_json::from_slice(data).unwrap_or_default();
        messages.into_iter().flat_map(|message| self.add(message, complete)).collect()
    }

    fn add(&mut self, message: JsonMap, complete: bool) -> Vec<Value> {
        let role = match message.get("type").and_then(Value::as_str) {
            Some("human") => "human",
            Some("system") => "system",
            Some("ai" | "AIMessageChunk") => "ai",
            // Results of tools are told as such.
            _ => return Vec::new(),
        };
        let id = message.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let text = message_text(message.get("content"));
        let known = self.0.iter().position(|open| open.id == id);
        let mut pieces = Vec::new();
        let at = known.unwrap_or_else(|| {
            pieces.push(json!({"event": "message-start", "role": role, "id": id}));
            pieces.push(json!({"event": "content-block-start", "index": 0, "content": {"type": "text", "text": ""}}));
            self.0.push(Open { id, text: String::new(), message: JsonMap::new() });
            self.0.len() - 1
        });
        let open = &mut self.0[at];
        // A text that was changed rather than added to is told at its end.
        if let Some(added) = text.strip_prefix(open.text.as_str()).filter(|added| !added.is_empty()) {
            pieces.push(
                json!({"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": added}}),
            );
        }
        (open.text, open.message) = (text, message);
        if complete {
            let open = self.0.remove(at);
            pieces.extend(end(&open));
        }
        pieces
    }

    /// The last pieces of every message: the graph has gone on.
    pub(super) fn end(&mut self) -> Vec<Value> {
        self.0.drain(..).flat_map(|open| end(&open)).collect()
    }
}

fn end(open: &Open) -> Vec<Value> {
    let mut pieces =
        vec![json!({"event": "content-block-finish", "index": 0, "content": {"type": "text", "text": open.text}})];
    let calls = open.message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    for (index, call) in (1..).zip(calls) {
        let content = |args: &Value| json!({"type": "tool_call", "id": call["id"], "name": call["name"], "args": args});
        pieces.push(json!({"event": "content-block-start", "index": index, "content": content(&json!({}))}));
        pieces.push(json!({"event": "content-block-finish", "index": index, "content": content(&call["args"])}));
    }
    let mut finish = json!({"event": "message-finish"});
    for (from, to) in [("usage_metadata", "usage"), ("response_metadata", "metadata")] {
        match open.message.get(from) {
            Some(Value::Object(found)) if !found.is_empty() => finish[to] = Value::Object(found.clone()),
            _ => {}
        }
    }
    pieces.push(finish);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pieces: &[Value]) -> Vec<&str> {
        pieces.iter().map(|piece| piece["event"].as_str().unwrap()).collect()
    }

    #[test]
    fn what_was_added_is_told() {
        let mut told = Told::default();
        let partial = |text: &str| {
            json!([{"type": "ai", "id": "m", "content": text, "usage_metadata": {"total_tokens": 3}}]).to_string()
        };
        assert_eq!(
            names(&told.take(partial("He").as_bytes(), false)),
            ["message-start", "content-block-start", "content-block-delta"]
        );
        let more = told.take(partial("Hello").as_bytes(), false);
        assert_eq!(more[0]["delta"], json!({"type": "text-delta", "text": "llo"}));
        assert!(told.take(partial("Hello").as_bytes(), false).is_empty());
        let ended = told.end();
        assert_eq!(ended[0]["content"]["text"], "Hello");
        assert_eq!(ended[1], json!({"event": "message-finish", "usage": {"total_tokens": 3}}));
        assert!(told.end().is_empty());
    }

    #[test]
    fn a_complete_message_is_told_at_once_and_a_tools_result_is_not() {
        let mut told = Told::default();
        let call = json!({"id": "c", "name": "add", "args": {"a": 1}});
        let data = json!([{"type": "ai", "id": "m", "content": [{"type": "text", "text": "x"}], "tool_calls": [call]}])
            .to_string();
        let pieces = told.take(data.as_bytes(), true);
        assert_eq!(names(&pieces).len(), 7);
        assert_eq!(pieces[5]["content"], json!({"type": "tool_call", "id": "c", "name": "add", "args": {"a": 1}}));
        assert!(told.take(json!([{"type": "tool", "content": "1"}]).to_string().as_bytes(), true).is_empty());
    }
}
