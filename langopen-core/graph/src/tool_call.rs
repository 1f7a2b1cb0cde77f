//! Tool calls, as nodes carry them out.

use std::future::Future;

use serde_json::{Value, json};

use super::context::NodeContext;
use super::error::{Cause, NodeError};

impl NodeContext {
    /// Carries out one of a message's `tool_calls`, and gives the tool message with the result, for the state. Readers of `tools` hear when it begins and
    /// what came of it. A result that is no text becomes JSON.
    ///
    /// # Errors
    /// What `work` fails with.
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
                // One that asks has not failed: it is carried out again with the answer.
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
