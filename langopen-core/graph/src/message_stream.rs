//! Messages that are streamed piece by piece, as a model produces them.

use langopen_core::error::Result;
use serde_json::{Value, json};
use uuid::Uuid;

use super::context::NodeContext;
use super::events::Source;
use super::messages;

/// An AI message in progress; see [`NodeContext::message`]. Readers of the mode `messages` receive each piece at once.
pub struct MessageStream {
    run: NodeContext,
    id: String,
    metadata: Value,
    sum: Value,
    began: bool,
}

impl MessageStream {
    pub(super) fn new(run: NodeContext) -> Self {
        let id = format!("lc_run--{}", Uuid::now_v7());
        let sum = messages::chunk(&id, json!({}));
        Self { metadata: run.message_metadata(), run, id, sum, began: false }
    }

    /// The message's id. The default begins with `lc_run--`, as for every streamed message.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Sets the message's id, e.g. the id that the model assigned. Call it before the first piece.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self.sum["id"] = self.id.as_str().into();
        self
    }

    /// Adds metadata that readers receive with each piece, e.g. `ls_provider`, the vendor of the model.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.metadata[key] = value.into();
        self
    }

    /// Sends a piece of text.
    ///
    /// # Errors
    /// Fails if the run is over.
    pub async fn text(&mut self, text: &str) -> Result<()> {
        self.piece(json!({"content": text})).await
    }

    /// Sends a piece with fields of a message chunk, e.g. `content`, `tool_call_chunks`, `response_metadata`,
    /// `usage_metadata`.
    ///
    /// # Errors
    /// Fails if the run is over.
    pub async fn piece(&mut self, fields: Value) -> Result<()> {
        let chunk = messages::chunk(&self.id, fields);
        messages::merge(&mut self.sum, &chunk);
        let first = !std::mem::replace(&mut self.began, true);
        let shared = self.run.shared();
        shared.emitter.chunk(self.run.outer(), &chunk, &self.metadata).await?;
        if first {
            self.event("on_chat_model_start", json!({"input": {"messages": []}})).await?;
        }
        self.event("on_chat_model_stream", json!({"chunk": chunk})).await
    }

    /// Ends the message and returns it whole, for the state.
    ///
    /// # Errors
    /// Fails if the run is over.
    pub async fn finish(mut self) -> Result<Value> {
        self.piece(json!({"chunk_position": "last"})).await?;
        let whole = messages::of_chunks(&self.sum);
        self.event("on_chat_model_end", json!({"output": whole})).await?;
        Ok(whole)
    }

    async fn event(&self, event: &str, data: Value) -> Result<()> {
        let run_id = self.run.run().run_id.to_string();
        let parents = [run_id.as_str(), self.run.task_id()];
        let name = self.metadata["ls_provider"].as_str().unwrap_or("message");
        let source = Source { name, run_id: &self.id, parents: &parents, metadata: &self.metadata };
        self.run.shared().emitter.event(event, &source, data).await
    }
}
