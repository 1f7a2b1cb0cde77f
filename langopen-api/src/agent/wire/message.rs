//! Messages of chat models.

use serde_json::Value;

/// The text of a message's content, which is a text or an array of blocks. Blocks without text count as empty.
pub(crate) fn message_text(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => {
            blocks.iter().filter_map(|block| block.as_str().or_else(|| block["text"].as_str())).collect()
        }
        _ => String::new(),
    }
}
