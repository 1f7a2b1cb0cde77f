//! Tools' answers, as other agents see them.

use std::collections::HashMap;
use std::sync::Arc;

use langopen_core::{RawJson, RawObject};
use serde::Deserialize;
use serde_json::Value;

/// The fields of a chat message, or of a chunk of one, that concern tools.
#[derive(Deserialize)]
pub(super) struct Turn {
    #[serde(rename = "type", alias = "role")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) content: Value,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    tool_call_id: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
    #[serde(default)]
    tool_call_chunks: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

/// The tools whose answers are shown; all of them if `None`.
pub(super) type Shown = Option<Arc<[String]>>;

/// The names of the called tools, by the calls' ids.
#[derive(Debug, Default)]
pub(super) struct Calls(HashMap<String, String>);

impl Calls {
    /// Records the calls of a message.
    pub(super) fn note(&mut self, turn: &Turn) {
        for call in turn.tool_calls.iter().chain(&turn.tool_call_chunks).flatten() {
            // Later chunks of a call have no name.
            if let (Some(id), Some(name)) = (&call.id, &call.name) {
                self.0.insert(id.clone(), name.clone());
            }
        }
    }

    /// A message's content as `{tool_call_id, name, content, status}`, if it is the answer of a tool to show.
    pub(super) fn answer(&self, turn: &Turn, shown: &Shown) -> Option<RawJson> {
        let id = turn.tool_call_id.as_ref().filter(|_| is_tool(&turn.kind))?;
        let name = turn.name.as_ref().or_else(|| self.0.get(id))?;
        if shown.as_ref().is_some_and(|shown| !shown.contains(name)) {
            return None;
        }
        let text = |text: &str| RawJson::from(Value::from(text));
        let mut answer = RawObject::default();
        answer.insert("tool_call_id", text(id));
        answer.insert("name", text(name));
        answer.insert("content", content(&turn.content));
        answer.insert("status", text(turn.status.as_deref().unwrap_or("success")));
        RawJson::of(&answer).ok()
    }
}

pub(super) fn is_tool(kind: &str) -> bool {
    matches!(kind, "tool" | "ToolMessageChunk")
}

/// LangChain writes an answer that is not a string as JSON text; this decodes it.
fn content(content: &Value) -> RawJson {
    let structured = content.as_str().filter(|text| text.trim_start().starts_with(['{', '[']));
    let structured = structured.and_then(|text| RawJson::from_text(text.to_owned()).ok());
    structured.unwrap_or_else(|| content.clone().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_carry_the_name_of_their_tool() {
        let turn = |value: Value| serde_json::from_value::<Turn>(value).unwrap();
        let mut calls = Calls::default();
        calls.note(&turn(json!({"type": "ai", "tool_calls": [{"id": "1", "name": "add", "args": {}}]})));
        let chunks = json!([{"id": "2", "name": "ask", "args": ""}, {"id": null, "name": null, "args": "{"}]);
        calls.note(&turn(json!({"type": "AIMessageChunk", "tool_calls": null, "tool_call_chunks": chunks})));
        let answer = |value: Value, shown: &[&str]| {
            let shown: Vec<_> = shown.iter().map(|name| (*name).to_owned()).collect();
            let shown = (!shown.is_empty()).then(|| shown.into());
            calls.answer(&turn(value), &shown).map(|answer| answer.as_str().to_owned())
        };
        let result = json!({"type": "tool", "tool_call_id": "1", "name": null, "content": "42", "status": "error"});
        let told = r#"{"tool_call_id":"1","name":"add","content":"42","status":"error"}"#;
        assert_eq!(answer(result.clone(), &[]).as_deref(), Some(told));
        assert_eq!(answer(result.clone(), &["ask", "add"]).as_deref(), Some(told));
        assert_eq!(answer(result, &["ask"]), None);
        let structured = json!({"role": "tool", "tool_call_id": "2", "content": "{\"price\": 1.50}"});
        let told = r#"{"tool_call_id":"2","name":"ask","content":{"price": 1.50},"status":"success"}"#;
        assert_eq!(answer(structured, &[]).as_deref(), Some(told));
        let own =
            json!({"type": "tool", "tool_call_id": "3", "name": "own", "content": [{"type": "text", "text": "a"}]});
        assert!(answer(own, &[]).unwrap().contains(r#""content":[{"type":"text","text":"a"}]"#));
        for odd in [
            json!({"type": "tool", "tool_call_id": "3", "content": "nobody's"}),
            json!({"type": "tool", "content": "no call's"}),
            json!({"type": "human", "tool_call_id": "1", "content": "no tool's"}),
        ] {
            assert_eq!(answer(odd, &[]), None);
        }
    }
}
