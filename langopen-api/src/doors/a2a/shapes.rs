//! The objects that the server sends. A field is absent if the dialect does not have it.

use langopen_core::{RawJson, Timestamp};
use serde::Serialize;

use super::dialect::Dialect;

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<File>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) raw: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filename: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mime_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    pub(super) role: &'static str,
    pub(super) parts: Vec<Part>,
    pub(super) message_id: String,
    pub(super) task_id: String,
    pub(super) context_id: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) state: &'static str,
    pub(super) timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Message>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Artifact {
    pub(super) artifact_id: String,
    pub(super) name: &'static str,
    pub(super) description: String,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    pub(super) id: String,
    pub(super) context_id: String,
    pub(super) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) artifacts: Option<Vec<Artifact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) history: Option<Vec<Message>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    pub(super) task_id: String,
    pub(super) context_id: String,
    pub(super) status: Status,
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArtifactUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    pub(super) task_id: String,
    pub(super) context_id: String,
    pub(super) artifact: Artifact,
    /// Whether to append the parts to the earlier ones, or to replace those.
    pub(super) append: bool,
    pub(super) last_chunk: bool,
}

/// An event of a stream, or the answer to a message. In 1.0 it is under a key that names its type.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Event {
    Task(Task),
    Status(StatusUpdate),
    Artifact(ArtifactUpdate),
}

/// An event under its key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Keyed<'a> {
    Task(&'a Task),
    StatusUpdate(&'a StatusUpdate),
    ArtifactUpdate(&'a ArtifactUpdate),
}

impl Event {
    /// The result in the dialect of the client.
    pub(super) fn result(&self, dialect: Dialect) -> serde_json::Result<RawJson> {
        match dialect {
            Dialect::V03 => RawJson::of(self),
            Dialect::V1 => RawJson::of(&match self {
                Self::Task(task) => Keyed::Task(task),
                Self::Status(update) => Keyed::StatusUpdate(update),
                Self::Artifact(update) => Keyed::ArtifactUpdate(update),
            }),
        }
    }
}
