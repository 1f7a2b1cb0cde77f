//! The mode `events`: what begins and ends, graph and nodes and the messages that they stream.

use langopen_core::error::Result;
use serde_json::{Value, json};

use super::stream::Emitter;

/// Who an event is about.
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) run_id: &'a str,
    /// Who it is a part of, the outermost first.
    pub(super) parents: &'a [&'a str],
    pub(super) metadata: &'a Value,
}

impl Emitter {
    /// A record of an event, if they were asked for.
    pub(super) async fn event(&self, event: &str, source: &Source<'_>, data: Value) -> Result<()> {
        if !self.wants("events", "") {
            return Ok(());
        }
        let record = json!({
            "event": event, "name": source.name, "run_id": source.run_id, "tags": [], "metadata": source.metadata, "data": data,
            "parent_ids": source.parents,
        });
        self.emit("events", "", &record).await
    }
}
