//! The names that differ between the two dialects.

use langopen_core::{RawJson, RawObject};

use super::shapes::{File, Message, Part};

/// A dialect of the protocol. The method's name decides which dialect a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Version 0.3: objects name their type in `kind`.
    V03,
    /// Version 1.0: JSON as protocol buffers encode it.
    V1,
}

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Submitted,
    Working,
    InputRequired,
    Completed,
    Canceled,
    Failed,
}

/// The sender of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Agent,
}

/// A file in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilePart {
    pub(super) name: Option<String>,
    pub(super) media_type: Option<String>,
    pub(super) content: FileContent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileContent {
    /// Base64.
    Bytes(String),
    Uri(String),
}

impl State {
    const ALL: [Self; 6] =
        [Self::Submitted, Self::Working, Self::InputRequired, Self::Completed, Self::Canceled, Self::Failed];

    /// Whether the task's state changes only if a client sends a message.
    pub(super) fn rests(self) -> bool {
        !matches!(self, Self::Submitted | Self::Working)
    }

    /// Whether the task's state never changes again.
    pub(super) fn is_terminal(self) -> bool {
        self.rests() && self != Self::InputRequired
    }

    pub(super) fn name(self, dialect: Dialect) -> &'static str {
        let (old, new) = match self {
            Self::Submitted => ("submitted", "TASK_STATE_SUBMITTED"),
            Self::Working => ("working", "TASK_STATE_WORKING"),
            Self::InputRequired => ("input-required", "TASK_STATE_INPUT_REQUIRED"),
            Self::Completed => ("completed", "TASK_STATE_COMPLETED"),
            Self::Canceled => ("canceled", "TASK_STATE_CANCELED"),
            Self::Failed => ("failed", "TASK_STATE_FAILED"),
        };
        dialect.choose(old, new)
    }

    /// Parses a state's name in either dialect.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name(Dialect::V03) == name || state.name(Dialect::V1) == name)
    }
}

impl Role {
    pub(super) fn name(self, dialect: Dialect) -> &'static str {
        match self {
            Self::User => dialect.choose("user", "ROLE_USER"),
            Self::Agent => dialect.choose("agent", "ROLE_AGENT"),
        }
    }
}

impl Dialect {
    pub(super) fn choose<T>(self, old: T, new: T) -> T {
        match self {
            Self::V03 => old,
            Self::V1 => new,
        }
    }

    /// The value of `kind`, if the dialect has this field.
    pub(super) fn kind(self, kind: &'static str) -> Option<&'static str> {
        self.choose(Some(kind), None)
    }

    pub(super) fn text(self, text: impl Into<String>) -> Part {
        Part { kind: self.kind("text"), text: Some(text.into()), ..Part::default() }
    }

    /// A data part. In the older dialect, data is always an object.
    pub(super) fn data(self, data: RawJson) -> Part {
        let data = match self {
            Self::V03 if !data.as_str().starts_with('{') => {
                let mut object = RawObject::default();
                object.insert("value", data);
                RawJson::of(&object).unwrap_or_default()
            }
            _ => data,
        };
        Part { kind: self.kind("data"), data: Some(data), ..Part::default() }
    }

    pub(super) fn file(self, file: FilePart) -> Part {
        let FilePart { name, media_type, content } = file;
        let (bytes, uri) = match content {
            FileContent::Bytes(bytes) => (Some(bytes), None),
            FileContent::Uri(uri) => (None, Some(uri)),
        };
        match self {
            Self::V03 => {
                let file = File { bytes, uri, mime_type: media_type, name };
                Part { kind: Some("file"), file: Some(file), ..Part::default() }
            }
            Self::V1 => Part { raw: bytes, url: uri, media_type, filename: name, ..Part::default() },
        }
    }

    pub(super) fn message(self, role: Role, message_id: String, parts: Vec<Part>) -> Message {
        Message {
            kind: self.kind("message"),
            role: role.name(self),
            parts,
            message_id,
            task_id: String::new(),
            context_id: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn parts_are_written_as_each_dialect_has_them() {
        let written = |part: Part| serde_json::to_value(part).unwrap();
        let raw = |value: Value| RawJson::from(value);
        assert_eq!(written(Dialect::V03.text("a")), json!({"kind": "text", "text": "a"}));
        assert_eq!(written(Dialect::V1.text("a")), json!({"text": "a"}));
        assert_eq!(written(Dialect::V03.data(raw(json!([1])))), json!({"kind": "data", "data": {"value": [1]}}));
        assert_eq!(written(Dialect::V1.data(raw(json!([1])))), json!({"data": [1]}));
        let file = FilePart {
            name: Some("a.png".to_owned()),
            media_type: Some("image/png".to_owned()),
            content: FileContent::Bytes("aGk=".to_owned()),
        };
        let old = json!({"kind": "file", "file": {"bytes": "aGk=", "mimeType": "image/png", "name": "a.png"}});
        assert_eq!(written(Dialect::V03.file(file.clone())), old);
        let new = json!({"raw": "aGk=", "mediaType": "image/png", "filename": "a.png"});
        assert_eq!(written(Dialect::V1.file(file)), new);
    }

    #[test]
    fn states_have_a_name_in_each_dialect() {
        for state in State::ALL {
            assert_eq!(State::parse(state.name(Dialect::V03)), Some(state));
            assert_eq!(State::parse(state.name(Dialect::V1)), Some(state));
        }
        assert_eq!(State::parse("asleep"), None);
    }
}
