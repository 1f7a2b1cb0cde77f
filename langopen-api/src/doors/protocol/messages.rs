//! Converts messages of runs that do not stream content blocks. Their events carry a message's content so far, or a
//! chunk of it. The protocol's events carry only the added part.

use langopen_core::JsonMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::chunks;
use super::event::{Body, Method, Namespace};
use super::out::Out;
use crate::agent::wire::message_text;

/// A message whose model is still streaming.
#[derive(Debug)]
struct Open {
    origin: Origin,
    id: String,
    text: String,
    /// The message as of the last event.
    message: JsonMap,
}

/// The graph that a message comes from, and the node if the event names it.
#[derive(Debug, Clone, Default)]
struct Origin {
    namespace: Namespace,
    node: Option<String>,
}

/// The messages of one run whose models are still streaming.
#[derive(Debug, Default)]
pub(super) struct OpenMessages(Vec<Open>);

/// Pieces of messages with their graphs and nodes.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<(Origin, Value)>);

impl Pieces {
    /// Appends the pieces to the output.
    pub(super) fn push(&self, out: &mut Out) {
        #[derive(Serialize)]
        struct Members<'a> {
            data: &'a Value,
            node: &'a str,
        }
        for (origin, data) in &self.0 {
            let body = match &origin.node {
                Some(node) => Body::members(&Members { data, node }),
                None => Body::of(data),
            };
            out.push(Method::Messages, &origin.namespace, body);
        }
    }

    fn add(&mut self, origin: &Origin, data: impl IntoIterator<Item = Value>) {
        self.0.extend(data.into_iter().map(|data| (origin.clone(), data)));
    }
}

impl OpenMessages {
    /// Converts a `messages/partial` or `messages/complete` event. Such an event names neither graph nor node.
    pub(super) fn take(&mut self, data: &[u8], complete: bool) -> Pieces {
        let messages: Vec<JsonMap> = serde_json::from_slice(data).unwrap_or_default();
        let mut pieces = Pieces::default();
        for message in messages {
            self.add(&Origin::default(), message, complete, &mut pieces);
        }
        pieces
    }

    /// Converts a `messages` event: a pair of a message, or a chunk of one, and its metadata.
    pub(super) fn take_pair(&mut self, namespace: &Namespace, data: &[u8]) -> Pieces {
        let mut pieces = Pieces::default();
        let Ok((message, metadata)) = serde_json::from_slice::<(JsonMap, Value)>(data) else { return pieces };
        let node = metadata["langgraph_node"].as_str().map(str::to_owned);
        let origin = Origin { namespace: namespace.clone(), node };
        if message.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("Chunk")) {
            self.add_chunk(&origin, message, &mut pieces);
        } else {
            self.add(&origin, message, true, &mut pieces);
        }
        pieces
    }

    fn add(&mut self, origin: &Origin, message: JsonMap, complete: bool, pieces: &mut Pieces) {
        // A message that arrives whole was not streamed by a model. As in the reference, clients read it from the
        // state.
        if complete && self.position(&message).is_none() {
            return;
        }
        let Some(at) = self.open(origin, &message, pieces) else { return };
        let text = message_text(message.get("content"));
        let open = &mut self.0[at];
        // If the text has changed instead of grown, only the message's last piece carries the new text.
        if let Some(added) = text.strip_prefix(open.text.as_str()) {
            pieces.add(origin, delta(added));
        }
        (open.text, open.message) = (text, message);
        if complete {
            let open = self.0.remove(at);
            pieces.add(&open.origin, end(&open));
        }
    }

    fn add_chunk(&mut self, origin: &Origin, chunk: JsonMap, pieces: &mut Pieces) {
        let Some(at) = self.open(origin, &chunk, pieces) else { return };
        let added = message_text(chunk.get("content"));
        pieces.add(origin, delta(&added));
        let last = chunk.get("chunk_position").and_then(Value::as_str) == Some("last");
        let open = &mut self.0[at];
        open.text.push_str(&added);
        chunks::add(&mut open.message, chunk);
        if last {
            let open = self.0.remove(at);
            pieces.add(&open.origin, end(&open));
        }
    }

    /// The index of the message, which is opened if it is new; `None` for messages of other kinds.
    fn open(&mut self, origin: &Origin, message: &JsonMap, pieces: &mut Pieces) -> Option<usize> {
        let role = match message.get("type").and_then(Value::as_str) {
            Some("human" | "HumanMessageChunk") => "human",
            Some("system" | "SystemMessageChunk") => "system",
            Some("ai" | "AIMessageChunk") => "ai",
            // Tools' results have their own channel.
            _ => return None,
        };
        if let Some(at) = self.position(message) {
            return Some(at);
        }
        let id = message.get("id").and_then(Value::as_str).unwrap_or_default();
        pieces.add(
            origin,
            [
                json!({"event": "message-start", "role": role, "id": id}),
                json!({"event": "content-block-start", "index": 0, "content": {"type": "text", "text": ""}}),
            ],
        );
        self.0.push(Open { origin: origin.clone(), id: id.to_owned(), text: String::new(), message: JsonMap::new() });
        Some(self.0.len() - 1)
    }

    /// The index of the message among the open ones.
    fn position(&self, message: &JsonMap) -> Option<usize> {
        let id = message.get("id").and_then(Value::as_str).unwrap_or_default();
        self.0.iter().position(|open| open.id == id)
    }

    /// Closes messages when the graph at `namespace` makes progress: those of its subgraphs, and those of its nodes for
    /// which `over` is true. A message without a node counts as over.
    pub(super) fn end(&mut self, namespace: &Namespace, over: impl Fn(&str) -> bool) -> Pieces {
        let mut pieces = Pieces::default();
        self.0.retain(|open| {
            let Origin { namespace: own, node } = &open.origin;
            let ended = own.0.starts_with(&namespace.0)
                && (own.0.len() > namespace.0.len() || node.as_deref().is_none_or(&over));
            if ended {
                pieces.add(&open.origin, end(open));
            }
            !ended
        });
        pieces
    }

    /// Closes every open message.
    pub(super) fn end_all(&mut self) -> Pieces {
        self.end(&Namespace::default(), |_| true)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn delta(added: &str) -> Option<Value> {
    let delta = || json!({"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": added}});
    (!added.is_empty()).then(delta)
}

fn end(open: &Open) -> Vec<Value> {
    let mut pieces =
        vec![json!({"event": "content-block-finish", "index": 0, "content": {"type": "text", "text": open.text}})];
    let calls = match open.message.get("tool_calls") {
        Some(Value::Array(calls)) => calls.clone(),
        _ => chunks::tool_calls(&open.message),
    };
    for (index, call) in (1..).zip(&calls) {
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

    fn names(pieces: &Pieces) -> Vec<&str> {
        pieces.0.iter().map(|(_, piece)| piece["event"].as_str().unwrap()).collect()
    }

    #[test]
    fn events_carry_only_the_added_text() {
        let mut messages = OpenMessages::default();
        let partial = |text: &str| {
            json!([{"type": "ai", "id": "m", "content": text, "usage_metadata": {"total_tokens": 3}}]).to_string()
        };
        assert_eq!(
            names(&messages.take(partial("He").as_bytes(), false)),
            ["message-start", "content-block-start", "content-block-delta"]
        );
        let more = messages.take(partial("Hello").as_bytes(), false);
        assert_eq!(more.0[0].1["delta"], json!({"type": "text-delta", "text": "llo"}));
        assert!(names(&messages.take(partial("Hello").as_bytes(), false)).is_empty());
        let ended = messages.end_all();
        assert_eq!(ended.0[0].1["content"]["text"], "Hello");
        assert_eq!(ended.0[1].1, json!({"event": "message-finish", "usage": {"total_tokens": 3}}));
        assert!(messages.is_empty());
    }

    #[test]
    fn a_complete_message_ends_a_streamed_one_and_is_otherwise_skipped() {
        let mut messages = OpenMessages::default();
        let call = json!({"id": "c", "name": "add", "args": {"a": 1}});
        let data = json!([{"type": "ai", "id": "m", "content": [{"type": "text", "text": "x"}], "tool_calls": [call]}])
            .to_string();
        assert!(names(&messages.take(data.as_bytes(), true)).is_empty(), "no model streamed it");
        let pair = json!([{"type": "human", "id": "h", "content": "x"}, {"langgraph_node": "n"}]).to_string();
        assert!(names(&messages.take_pair(&Namespace::default(), pair.as_bytes())).is_empty());
        messages.take(json!([{"type": "ai", "id": "m", "content": ""}]).to_string().as_bytes(), false);
        let pieces = messages.take(data.as_bytes(), true);
        assert_eq!(
            names(&pieces),
            [
                "content-block-delta",
                "content-block-finish",
                "content-block-start",
                "content-block-finish",
                "message-finish"
            ]
        );
        assert_eq!(pieces.0[3].1["content"], json!({"type": "tool_call", "id": "c", "name": "add", "args": {"a": 1}}));
        assert!(
            names(&messages.take(json!([{"type": "tool", "content": "1"}]).to_string().as_bytes(), true)).is_empty()
        );
    }

    #[test]
    fn chunks_carry_their_graph_and_end_with_their_node() {
        let mut messages = OpenMessages::default();
        let inner = Namespace(vec!["inner:1".to_owned()]);
        let mut chunk = |namespace: &Namespace, node: &str, text: &str, calls: Value| {
            let message = json!({"type": "AIMessageChunk", "id": node, "content": text, "tool_call_chunks": calls});
            messages.take_pair(namespace, json!([message, {"langgraph_node": node}]).to_string().as_bytes())
        };
        let first = chunk(&inner, "deep", "He", json!([]));
        assert_eq!(names(&first), ["message-start", "content-block-start", "content-block-delta"]);
        assert_eq!((&first.0[0].0.namespace, first.0[0].0.node.as_deref()), (&inner, Some("deep")));
        assert_eq!(chunk(&inner, "deep", "llo", json!([])).0[0].1["delta"]["text"], "llo");
        chunk(&Namespace::default(), "left", "", json!([{"index": 0, "id": "c", "name": "add", "args": "{}"}]));
        chunk(&Namespace::default(), "right", "r", json!([]));
        let ended = messages.end(&Namespace::default(), |node| node == "left");
        // Messages of subgraphs are closed too.
        assert_eq!(
            names(&ended),
            [
                "content-block-finish",
                "message-finish",
                "content-block-finish",
                "content-block-start",
                "content-block-finish",
                "message-finish"
            ]
        );
        assert_eq!(ended.0[0].1["content"]["text"], "Hello");
        assert_eq!(ended.0[4].1["content"]["args"], json!({}));
        assert_eq!(names(&messages.end_all()).len(), 2);
    }
}
