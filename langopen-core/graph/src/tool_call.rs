//! Tool calls that nodes execute.

use std::future::Future;

use serde_json::{Value, json};

use super::context::NodeContext;
use super::error::{Cause, NodeError};

impl NodeContext {
    /// Executes one of a message's `tool_calls` and returns the tool message with the result, for the state. Readers of
    /// the mode `tools` receive its start and its result. A result that is not a text is converted to JSON.
    ///
    /// # Errors
    /// The error of `work`.
    pub async fn tool_call(
        &self,
        call: &Value,
        work: impl Future<Output = Result<Value, NodeError>>,
    ) -> Result<Value, NodeError> {
        let (id, name) = (&call["id"], &call["name"]);
        let begun = json!({"event": "tool-started", "tool_call_id": id, "tool_name": name, "input": call["args"]});
        let emitter = &self.shared().emitter;
        emitter.emit("tools", self.outer(), &begun).await?;
        let output = match work.await {
            Ok(output) => output,
            Err(error) => {
                // A tool that asks a question has not failed: the node executes it again with the answer.
                if let NodeError(Cause::Failed(failure)) = &error {
                    let message = failure.public().message;
                    let failed = json!({"event": "tool-error", "tool_call_id": id, "message": message});
                    emitter.emit("tools", self.outer(), &failed).await?;
                }
                return Err(error);
            }
        };
        let content = output.as_str().map_or_else(|| output.to_string(), str::to_owned);
        let written = json!({"type": "tool", "content": content, "name": name, "tool_call_id": id});
        let message = super::messages::list(written)?.remove(0);
        let ended = json!({"event": "tool-finished", "tool_call_id": id, "output": message});
        emitter.emit("tools", self.outer(), &ended).await?;
        Ok(message)
    }
}
