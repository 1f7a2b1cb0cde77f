//! What a function sees of its run.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::executor::{ExecutionContext, RunJob, RunOutput};
use crate::json::JsonMap;
use crate::model::Run;

/// A run, as the function that executes it sees it. Clones share the run.
#[derive(Clone)]
pub struct FunctionContext {
    pub(super) values: Arc<JsonMap>,
    run: Arc<Run>,
    kwargs: Arc<JsonMap>,
    reach: ExecutionContext,
    events: mpsc::Sender<RunOutput>,
}

impl FunctionContext {
    pub(super) fn new(job: &RunJob, events: mpsc::Sender<RunOutput>) -> Self {
        let kwargs = job.run.kwargs.decode().unwrap_or_default();
        Self {
            values: Arc::default(),
            run: Arc::new(job.run.clone()),
            kwargs: Arc::new(kwargs),
            reach: job.context.clone(),
            events,
        }
    }

    /// The run's row.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The run's input; `null` without one.
    pub fn input(&self) -> &Value {
        self.kwargs.get("input").unwrap_or(&Value::Null)
    }

    /// The thread's values with the input merged into them.
    pub fn values(&self) -> &JsonMap {
        &self.values
    }

    /// The run's `config`.
    pub fn config(&self) -> &Value {
        self.kwargs.get("config").unwrap_or(&Value::Null)
    }

    /// The run's `context`.
    pub fn context(&self) -> &Value {
        self.kwargs.get("context").unwrap_or(&Value::Null)
    }

    /// The storage that the run may reach, e.g. for store items.
    pub fn reach(&self) -> &ExecutionContext {
        &self.reach
    }

    /// Sends a `custom` event, if the run asked for them.
    ///
    /// # Errors
    /// When `data` has no JSON form, or the run is over.
    pub async fn custom(&self, data: &impl Serialize) -> Result<()> {
        self.emit("custom", data).await
    }

    /// Sends a piece of a message as a `messages` event (a pair of message chunk and metadata), if the run asked for `messages-tuple`.
    ///
    /// # Errors
    /// As [`FunctionContext::custom`].
    pub async fn message(&self, chunk: &Value) -> Result<()> {
        if self.asked("messages-tuple") {
            let metadata = serde_json::json!({
                "run_id": self.run.run_id, "thread_id": self.run.thread_id, "langgraph_node": self.run.graph_id,
            });
            self.send("messages", &(chunk, metadata)).await?;
        }
        Ok(())
    }

    pub(super) async fn emit(&self, mode: &str, data: &impl Serialize) -> Result<()> {
        if self.asked(mode) { self.send(mode, data).await } else { Ok(()) }
    }

    fn asked(&self, mode: &str) -> bool {
        let modes = self.kwargs.get("stream_mode").and_then(Value::as_array);
        modes.is_some_and(|modes| modes.iter().any(|asked| asked == mode))
    }

    async fn send(&self, name: &str, data: &impl Serialize) -> Result<()> {
        let data = serde_json::to_vec(data)
            .map_err(|error| Error::invalid("executor.emit", "the event has no JSON form").with_source(error))?;
        let event = RunOutput::Event { name: name.into(), data: Bytes::from(data) };
        self.events
            .send(event)
            .await
            .map_err(|_| Error::unavailable("executor.emit", "the run is over; its events are no longer read"))
    }
}
