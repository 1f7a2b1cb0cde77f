//! Messages from clients, in either dialect.

use langopen_core::{JsonMap, RawJson};
use rmcp::model::ErrorData;
use serde::Deserialize;

use super::content::Piece;
use super::dialect::{FileContent, FilePart};
use crate::doors::json_rpc::invalid;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GivenMessage {
    parts: Vec<GivenPart>,
    message_id: String,
    #[serde(default)]
    pub(super) context_id: Option<String>,
    #[serde(default)]
    pub(super) task_id: Option<String>,
    #[serde(default)]
    pub(super) metadata: Option<JsonMap>,
}

/// A part. The older dialect puts a file under `file`, the newer one directly into the part.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenPart {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    data: Option<RawJson>,
    #[serde(default)]
    file: Option<GivenFile>,
    #[serde(default)]
    raw: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    filename: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GivenFile {
    #[serde(default)]
    bytes: Option<String>,
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    mime_type: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

/// The content of a message.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) message_id: String,
    /// Texts and files, in order.
    pub(super) pieces: Vec<Piece>,
    /// Data, in order.
    pub(super) data: Vec<RawJson>,
}

impl GivenMessage {
    /// Reads the message's content.
    ///
    /// # Errors
    /// If the message has no content, or a part has no or several kinds.
    pub(super) fn said(self) -> Result<Said, ErrorData> {
        if self.message_id.is_empty() {
            return Err(invalid("message.messageId must not be empty"));
        }
        if self.parts.is_empty() {
            return Err(invalid("message.parts must not be empty"));
        }
        let mut said = Said { message_id: self.message_id, ..Said::default() };
        for (at, part) in self.parts.into_iter().enumerate() {
            let wrong = |why: &str| invalid(format!("message.parts[{at}] {why}"));
            match part {
                GivenPart { text: Some(text), data: None, file: None, raw: None, url: None, .. } => {
                    said.pieces.push(Piece::Text(text));
                }
                GivenPart { data: Some(data), text: None, file: None, raw: None, url: None, .. } => {
                    said.data.push(data)
                }
                GivenPart { file, raw, url, media_type, filename, text: None, data: None } => {
                    let file = file.map(|file| (file.bytes, file.uri, file.mime_type, file.name));
                    let (bytes, uri, media_type, name) = file.unwrap_or((raw, url, media_type, filename));
                    let content = match (bytes, uri) {
                        (Some(bytes), None) if is_base64(&bytes) => FileContent::Bytes(bytes),
                        (Some(_), None) => return Err(wrong("holds a file whose bytes are not base64")),
                        (None, Some(uri)) => FileContent::Uri(uri),
                        _ => {
                            return Err(wrong("must hold one of a text, data, or a file with either bytes or a URI"));
                        }
                    };
                    said.pieces.push(Piece::File(FilePart { name, media_type, content }));
                }
                _ => return Err(wrong("must hold one of a text, data, or a file")),
            }
        }
        Ok(said)
    }
}

fn is_base64(text: &str) -> bool {
    let letters = text.trim_end_matches('=');
    text.len() - letters.len() <= 2
        && letters.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(parts: Value) -> Result<Said, ErrorData> {
        let message: GivenMessage = serde_json::from_value(json!({"messageId": "m", "parts": parts})).unwrap();
        message.said()
    }

    #[test]
    fn both_dialects_say_the_same() {
        let old = json!([{"kind": "text", "text": "a"}, {"kind": "data", "data": {"b": 1.50}},
            {"kind": "file", "file": {"bytes": "aGk=", "mimeType": "image/png", "name": "c.png"}}, {"kind": "file", "file": {"uri": "https://d"}}]);
        let new = json!([{"text": "a"}, {"data": {"b": 1.50}}, {"raw": "aGk=", "mediaType": "image/png", "filename": "c.png"}, {"url": "https://d"}]);
        let (old, new) = (read(old).unwrap(), read(new).unwrap());
        assert_eq!((&old.pieces, &old.data), (&new.pieces, &new.data));
        assert_eq!((new.pieces.len(), new.data[0].as_str()), (3, r#"{"b":1.5}"#));
    }

    #[test]
    fn messages_without_content_are_refused() {
        for (parts, said) in [
            (json!([]), "message.parts must not be empty"),
            (json!([{"text": "a"}, {}]), "message.parts[1] must hold one of"),
            (json!([{"text": "a", "data": {}}]), "message.parts[0] must hold one of"),
            (json!([{"kind": "file", "file": {}}]), "message.parts[0] must hold one of"),
            (json!([{"raw": "not base64!"}]), "message.parts[0] holds a file whose bytes are not base64"),
        ] {
            let refused = read(parts).unwrap_err();
            assert!(refused.message.starts_with(said), "{}", refused.message);
        }
    }
}
