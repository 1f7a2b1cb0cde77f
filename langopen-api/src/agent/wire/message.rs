//! Messages of chat models.

use serde_json::Value;

/// The text of a message's content: a text, or blocks of which some are.
pub(crate) fn message_text(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => {
            blocks.iter().filter_map(|block| block.as_str().or_else(|| block["text"].as_str())).collect()
        }
        _ => String::new(),
    }
}
