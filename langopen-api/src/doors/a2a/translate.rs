//! Translates a run's events to updates of its task.

use langopen_core::event_log::Event;
use langopen_core::{RawJson, Timestamp};

use super::tools::{Calls, Shown, Turn};
use crate::agent::wire::message_text;

/// An update of a task.
#[derive(Debug, PartialEq)]
pub(super) enum Update {
    /// An attempt of the run has begun.
    Begun(Timestamp),
    /// Text of the agent's answer. With `append` it extends the earlier text, otherwise it replaces that.
    Text { text: String, append: bool },
    /// A tool's answer.
    Tool { timestamp: Timestamp, message_id: Option<String>, answer: RawJson },
}

/// Translates the events of one run. The result for an event depends only on earlier events, so every reader gets the
/// same updates.
#[derive(Debug, Default)]
pub(super) struct Translator {
    /// The id of the message that is streaming.
    message: Option<String>,
    calls: Calls,
    tools: Shown,
}

impl Translator {
    /// A translator that includes the answers of these tools.
    pub(super) fn new(tools: Shown) -> Self {
        Self { tools, ..Self::default() }
    }

    pub(super) fn take(&mut self, event: &Event) -> Option<Update> {
        match event.name.as_ref() {
            "metadata" => {
                // Text of an earlier attempt is void.
                self.message = None;
                Some(Update::Begun(moment(event)))
            }
            "messages" => {
                let (turn, _): (Turn, serde::de::IgnoredAny) = serde_json::from_slice(&event.data).ok()?;
                self.calls.note(&turn);
                match self.calls.answer(&turn, &self.tools) {
                    Some(answer) => Some(Update::Tool { timestamp: moment(event), message_id: turn.id, answer }),
                    None => self.add(turn),
                }
            }
            _ => None,
        }
    }

    fn add(&mut self, chunk: Turn) -> Option<Update> {
        let part = match chunk.kind.as_str() {
            "AIMessageChunk" => true,
            "ai" => false,
            _ => return None,
        };
        let text = message_text(Some(&chunk.content));
        if text.is_empty() {
            return None;
        }
        let id = chunk.id.unwrap_or_default();
        let append = part && self.message.as_ref() == Some(&id);
        self.message = Some(id);
        Some(Update::Text { text, append })
    }
}

fn moment(event: &Event) -> Timestamp {
    Timestamp::from_micros(i64::try_from(event.id.millis.saturating_mul(1000)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use langopen_core::event_log::EventId;
    use serde_json::{Value, json};

    #[test]
    fn each_message_replaces_the_previous_one() {
        let mut translator = Translator::default();
        let mut take = |name: &str, data: Value| {
            let id = EventId { millis: 7, sequence: 0 };
            translator.take(&Event { id, run_id: None, name: name.into(), data: data.to_string().into() })
        };
        let chunk = |id: &str, text: &str| json!([{"type": "AIMessageChunk", "id": id, "content": text}, {"langgraph_node": "n"}]);
        let text = |text: &str, append| Some(Update::Text { text: text.to_owned(), append });
        assert_eq!(take("metadata", json!({})), Some(Update::Begun(Timestamp::from_micros(7000))));
        assert_eq!(take("messages", chunk("a", "")), None);
        assert_eq!(take("messages", chunk("a", "He")), text("He", false));
        assert_eq!(take("messages", chunk("a", "llo")), text("llo", true));
        let called = json!([{"type": "AIMessageChunk", "id": "a", "content": "", "tool_call_chunks": [{"id": "c", "name": "add"}]}, {}]);
        assert_eq!(take("messages", called), None);
        let answered = json!([{"type": "tool", "id": "t", "tool_call_id": "c", "content": "42"}, {}]);
        let answer = json!({"tool_call_id": "c", "name": "add", "content": "42", "status": "success"}).into();
        let timestamp = Timestamp::from_micros(7000);
        let told = Update::Tool { timestamp, message_id: Some("t".to_owned()), answer };
        assert_eq!(take("messages", answered), Some(told));
        assert_eq!(take("messages", chunk("b", "Bye")), text("Bye", false));
        assert_eq!(
            take("messages", json!([{"type": "ai", "id": "b", "content": [{"type": "text", "text": "Bye."}]}, {}])),
            text("Bye.", false)
        );
        assert_eq!(take("values", json!({"messages": []})), None);
        take("metadata", json!({}));
        assert_eq!(take("messages", chunk("b", "By")), text("By", false), "another attempt starts a new answer");
        assert_eq!(take("messages", json!("odd")), None);
    }
}
