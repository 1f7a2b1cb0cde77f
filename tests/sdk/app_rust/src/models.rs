//! Chat models without a network: they stream fixed words, or call a tool once.

use std::time::Duration;

use langopen_core::Result;
use langopen_graph::{MessageStream, NodeContext};
use serde_json::{Value, json};

/// A model's answer on its way, with what every model tells of itself.
fn begin(run: &NodeContext) -> MessageStream {
    run.message().metadata("ls_provider", "words").metadata("ls_model_type", "chat")
}

/// Answers with `text`, one piece per word; the last piece carries the usage.
pub(crate) async fn answer_with(run: &NodeContext, text: &str, delay: Duration) -> Result<Value> {
    let mut answer = begin(run);
    let words: Vec<_> = text.split(' ').collect();
    for (at, word) in words.iter().enumerate() {
        tokio::time::sleep(delay).await;
        let content = if at == 0 { (*word).to_owned() } else { format!(" {word}") };
        let mut piece = json!({"content": content});
        if at == words.len() - 1 {
            let usage = json!({"input_tokens": 2, "output_tokens": words.len(), "total_tokens": 2 + words.len()});
            piece["response_metadata"] = json!({"finish_reason": "stop"});
            piece["usage_metadata"] = usage;
        }
        answer.piece(piece).await?;
    }
    answer.finish().await
}

/// Asks for the tool `multiply` first, and tells its result once it is there.
pub(crate) async fn use_tool(run: &NodeContext) -> Result<Value> {
    let last = run.values()["messages"].as_array().and_then(|messages| messages.last());
    if let Some(result) = last.filter(|last| last["type"] == "tool") {
        let text = format!("The product is {}", result["content"].as_str().unwrap_or_default());
        return answer_with(run, &text, Duration::ZERO).await;
    }
    let mut answer = begin(run);
    for (name, id, args) in [(Some("multiply"), Some("call-1"), r#"{"a": 6,"#), (None, None, r#" "b": 7}"#)] {
        let call = json!({"name": name, "args": args, "id": id, "index": 0, "type": "tool_call_chunk"});
        answer.piece(json!({"tool_call_chunks": [call]})).await?;
    }
    answer.finish().await
}
