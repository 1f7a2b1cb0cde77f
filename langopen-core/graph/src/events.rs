//! The stream mode `events`: the start and end of graphs, nodes and streamed messages.

use langopen_core::error::Result;
use serde_json::{Value, json};

use super::stream::Emitter;

/// The subject of an event.
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) run_id: &'a str,
    /// The ids of the parents, outermost first.
    pub(super) parents: &'a [&'a str],
    pub(super) metadata: &'a Value,
}

impl Emitter {
    /// Sends an event record, if the run streams this mode.
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
