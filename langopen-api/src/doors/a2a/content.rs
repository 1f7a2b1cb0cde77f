//! Converts between the content of chat messages and the protocol's parts.

use serde_json::{Value, json};

use super::dialect::{Dialect, FileContent, FilePart};
use super::shapes::Part;

/// A part of a message's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    File(FilePart),
}

/// The content of a chat message with these pieces: a string if all of them are texts.
pub(super) fn content(pieces: Vec<Piece>) -> Value {
    if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
        let texts: Vec<_> = pieces
            .into_iter()
            .filter_map(|piece| if let Piece::Text(text) = piece { Some(text) } else { None })
            .collect();
        return texts.join("\n").into();
    }
    pieces.into_iter().map(block).collect()
}

fn block(piece: Piece) -> Value {
    let file = match piece {
        Piece::Text(text) => return json!({"type": "text", "text": text}),
        Piece::File(file) => file,
    };
    let media = file.media_type.as_deref().unwrap_or_default().split('/').next().unwrap_or_default();
    let kind = if ["image", "audio", "video"].contains(&media) { media } else { "file" };
    let mut block = match &file.content {
        FileContent::Bytes(bytes) => json!({"type": kind, "base64": bytes}),
        FileContent::Uri(uri) => json!({"type": kind, "url": uri}),
    };
    if let Some(media_type) = &file.media_type {
        block["mime_type"] = media_type.as_str().into();
    }
    if let Some(name) = &file.name {
        block["extras"] = json!({"filename": name});
    }
    block
}

/// The parts of a chat message's content. They leave out blocks that are neither text nor file, e.g. reasoning.
pub(super) fn parts(dialect: Dialect, content: Option<&Value>) -> Vec<Part> {
    let part = |block: &Value| match block.as_str().or_else(|| text_of(block)) {
        Some("") => None,
        Some(text) => Some(dialect.text(text)),
        None => file_of(block).map(|file| dialect.file(file)),
    };
    match content {
        Some(Value::Array(blocks)) => blocks.iter().filter_map(part).collect(),
        Some(text) => part(text).into_iter().collect(),
        None => Vec::new(),
    }
}

fn text_of(block: &Value) -> Option<&str> {
    block["text"].as_str().filter(|_| block["type"] == "text")
}

fn file_of(block: &Value) -> Option<FilePart> {
    let kind = block["type"].as_str()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if kind == "image_url" {
        let uri = text(&block["image_url"]["url"]).or_else(|| text(&block["image_url"]))?;
        return Some(FilePart { name: None, media_type: None, content: FileContent::Uri(uri) });
    }
    if !["file", "image", "audio", "video"].contains(&kind) {
        return None;
    }
    let bytes = text(&block["base64"]).or_else(|| text(&block["data"])).map(FileContent::Bytes);
    let content = bytes.or_else(|| text(&block["url"]).map(FileContent::Uri))?;
    Some(FilePart { name: text(&block["extras"]["filename"]), media_type: text(&block["mime_type"]), content })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: FileContent) -> Piece {
        Piece::File(FilePart { name: Some("a.png".to_owned()), media_type: Some("image/png".to_owned()), content })
    }

    #[test]
    fn texts_alone_are_a_text_and_files_are_blocks() {
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(content(vec![text("a"), text("b")]), "a\nb");
        let blocks = content(vec![text("look"), file(FileContent::Bytes("aGk=".to_owned()))]);
        let image =
            json!({"type": "image", "base64": "aGk=", "mime_type": "image/png", "extras": {"filename": "a.png"}});
        assert_eq!(blocks, json!([{"type": "text", "text": "look"}, image]));
        let by_address = content(vec![Piece::File(FilePart {
            name: None,
            media_type: Some("application/pdf".to_owned()),
            content: FileContent::Uri("https://a.example/b.pdf".to_owned()),
        })]);
        let expected = json!([{"type": "file", "url": "https://a.example/b.pdf", "mime_type": "application/pdf"}]);
        assert_eq!(by_address, expected);
    }

    #[test]
    fn content_converts_back_to_the_same_parts() {
        for pieces in
            [file(FileContent::Bytes("aGk=".to_owned())), file(FileContent::Uri("https://a.example".to_owned()))]
        {
            let said = content(vec![Piece::Text("look".to_owned()), pieces.clone()]);
            let Piece::File(sent) = pieces else { panic!("a file") };
            let parts = serde_json::to_value(parts(Dialect::V1, Some(&said))).unwrap();
            let expected = serde_json::to_value([Dialect::V1.text("look"), Dialect::V1.file(sent)]).unwrap();
            assert_eq!(parts, expected);
        }
        let odd = json!(["a", {"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": ""}, 3]);
        assert_eq!(
            serde_json::to_value(parts(Dialect::V03, Some(&odd))).unwrap(),
            json!([{"kind": "text", "text": "a"}])
        );
        assert!(parts(Dialect::V03, Some(&json!(""))).is_empty() && parts(Dialect::V03, None).is_empty());
    }
}
