//! A server that was held up, and heard only a part of what was said meanwhile.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use futures::StreamExt;
use langopen_core::backend::memory::MemoryEventLog;
use langopen_core::event_log::{EventStream, LogKey, NewEvent, ReadFrom};
use langopen_core::{EventLog, Result, ThreadId};
use serde_json::{Value, json};

use crate::harness::{quick, server_over};
use crate::streams::frames;

/// A log whose readers hear so many events of a run that begins, and nothing more.
struct HardOfHearing(Arc<MemoryEventLog>, usize);

#[async_trait]
impl EventLog for HardOfHearing {
    async fn append(&self, log: LogKey, attempt: u32, resumable: bool, events: Vec<NewEvent>) -> Result<()> {
        self.0.append(log, attempt, resumable, events).await
    }

    async fn append_to_thread(&self, thread_id: ThreadId, events: Vec<NewEvent>) -> Result<()> {
        self.0.append_to_thread(thread_id, events).await
    }

    async fn end(&self, log: LogKey) -> Result<()> {
        self.0.end(log).await
    }

    async fn read(&self, log: LogKey, from: ReadFrom) -> Result<EventStream> {
        self.0.read(log, from).await
    }

    async fn begin(&self, log: LogKey) -> Result<EventStream> {
        Ok(self.0.begin(log).await?.take(self.1).chain(futures::stream::pending()).boxed())
    }

    async fn read_thread(&self, thread_id: ThreadId, from: ReadFrom) -> Result<EventStream> {
        self.0.read_thread(thread_id, from).await
    }

    async fn remove_threads(&self, threads: &[ThreadId]) -> Result<()> {
        self.0.remove_threads(threads).await
    }

    async fn sweep(&self) -> Result<u64> {
        self.0.sweep().await
    }
}

#[tokio::test]
async fn what_a_resumable_run_said_meanwhile_is_read_again() {
    for heard in [0, 2] {
        let log = |events| Arc::new(HardOfHearing(events, heard)) as Arc<dyn EventLog>;
        let server = server_over(log, |server| server.with_settings(quick())).await;
        let thread = server.thread().await;
        let body = json!({"assistant_id": "echo", "input": {"log": []}, "stream_mode": ["values", "custom"], "stream_resumable": true});
        let answer = server.post(&format!("/threads/{thread}/runs/stream"), body).await;
        let names: Vec<_> = frames(&answer.text).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["metadata", "values", "custom", "values"], "each once, though {heard} were heard");
    }
}

/// The values that were heard last are not told as what a run came to that is gone: it may have said more.
#[tokio::test(start_paused = true)]
async fn what_a_run_came_to_that_is_gone_is_not_guessed() {
    let log = |events| Arc::new(HardOfHearing(events, 2)) as Arc<dyn EventLog>;
    let server = server_over(log, |server| server.with_settings(quick())).await;
    let body = json!({"assistant_id": "echo", "input": {"log": []}});
    let answer = server.open("POST", "/runs/wait", &[], Body::from(body.to_string())).await;
    let answer = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["__error__"]["error"], "InternalError", "{answer}");
}
