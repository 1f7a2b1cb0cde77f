//! What a run's events mean for its task.

use langopen_core::event_log::Event;
use langopen_core::{RawJson, Timestamp};

use super::tools::{Calls, Shown, Turn};
use crate::agent::wire::message_text;

/// Something to tell.
#[derive(Debug, PartialEq)]
pub(super) enum News {
    /// An attempt of the run has begun.
    Begun(Timestamp),
    /// Text of the agent's answer, to be added to what was told of it, or in its place.
    Text { text: String, append: bool },
    /// A tool's answer.
    Tool { timestamp: Timestamp, message_id: Option<String>, answer: RawJson },
}

/// The events of one run as news of its task. What it tells of an event depends on those before alone, so every reader is told the same.
#[derive(Debug, Default)]
pub(super) struct Translator {
    /// The message that is being told.
    message: Option<String>,
    calls: Calls,
    tools: Shown,
}

impl Translator {
    /// One that tells what these tools answer.
    pub(super) fn new(tools: Shown) -> Self {
        Self { tools, ..Self::default() }
    }

    pub(super) fn take(&mut self, event: &Event) -> Option<News> {
        match event.name.as_ref() {
            "metadata" => {
                // What an earlier attempt said does not count.
                self.message = None;
                Some(News::Begun(moment(event)))
            }
            "messages" => {
                let (turn, _): (Turn, serde::de::IgnoredAny) = serde_json::from_slice(&event.data).ok()?;
                self.calls.note(&turn);
                match self.calls.answer(&turn, &self.tools) {
                    Some(answer) => Some(News::Tool { timestamp: moment(event), message_id: turn.id, answer }),
                    None => self.add(turn),
                }
            }
            _ => None,
        }
    }

    fn add(&mut self, chunk: Turn) -> Option<News> {
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
        Some(News::Text { text, append })
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
    fn each_message_takes_the_place_of_the_one_before() {
        let mut translator = Translator::default();
        let mut take = |name: &str, data: Value| {
            let id = EventId { millis: 7, sequence: 0 };
            translator.take(&Event { id, run_id: None, name: name.into(), data: data.to_string().into() })
        };
        let chunk = |id: &str, text: &str| json!([{"type": "AIMessageChunk", "id": id, "content": text}, {"langgraph_node": "n"}]);
        let text = |text: &str, append| Some(News::Text { text: text.to_owned(), append });
        assert_eq!(take("metadata", json!({})), Some(News::Begun(Timestamp::from_micros(7000))));
        assert_eq!(take("messages", chunk("a", "")), None);
        assert_eq!(take("messages", chunk("a", "He")), text("He", false));
        assert_eq!(take("messages", chunk("a", "llo")), text("llo", true));
        let called = json!([{"type": "AIMessageChunk", "id": "a", "content": "", "tool_call_chunks": [{"id": "c", "name": "add"}]}, {}]);
        assert_eq!(take("messages", called), None);
        let answered = json!([{"type": "tool", "id": "t", "tool_call_id": "c", "content": "42"}, {}]);
        let answer = json!({"tool_call_id": "c", "name": "add", "content": "42", "status": "success"}).into();
        let timestamp = Timestamp::from_micros(7000);
        let told = News::Tool { timestamp, message_id: Some("t".to_owned()), answer };
        assert_eq!(take("messages", answered), Some(told));
        assert_eq!(take("messages", chunk("b", "Bye")), text("Bye", false));
        assert_eq!(
            take("messages", json!([{"type": "ai", "id": "b", "content": [{"type": "text", "text": "Bye."}]}, {}])),
            text("Bye.", false)
        );
        assert_eq!(take("values", json!({"messages": []})), None);
        take("metadata", json!({}));
        assert_eq!(take("messages", chunk("b", "By")), text("By", false), "another attempt begins anew");
        assert_eq!(take("messages", json!("odd")), None);
    }
}
