//! A server that lags behind the event log and misses some of a run's events.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use futures::StreamExt;
use langopen_backends::memory::MemoryEventLog;
use langopen_core::event_log::{EventStream, LogKey, NewEvent, ReadFrom};
use langopen_core::{EventLog, Result, ThreadId};
use serde_json::{Value, json};

use crate::harness::{quick, server_over};
use crate::streams::frames;

/// A log that delivers only the first events of a new run to its readers.
struct LossyLog(Arc<MemoryEventLog>, usize);

#[async_trait]
impl EventLog for LossyLog {
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
async fn missed_events_of_a_resumable_run_are_read_again() {
    for heard in [0, 2] {
        let log = |events| Arc::new(LossyLog(events, heard)) as Arc<dyn EventLog>;
        let server = server_over(log, |server| server.with_settings(quick())).await;
        let thread = server.thread().await;
        let body = json!({"assistant_id": "echo", "input": {"log": []}, "stream_mode": ["values", "custom"], "stream_resumable": true});
        let answer = server.post(&format!("/threads/{thread}/runs/stream"), body).await;
        let names: Vec<_> = frames(&answer.text).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(
            names,
            ["metadata", "values", "custom", "values"],
            "each once, although the reader received only {heard}"
        );
    }
}

/// When a temporary run is gone, the last values that the reader received are not its result: there may have been later
/// ones.
#[tokio::test(start_paused = true)]
async fn the_result_of_a_deleted_run_is_not_guessed() {
    let log = |events| Arc::new(LossyLog(events, 2)) as Arc<dyn EventLog>;
    let server = server_over(log, |server| server.with_settings(quick())).await;
    let body = json!({"assistant_id": "echo", "input": {"log": []}});
    let answer = server.open("POST", "/runs/wait", &[], Body::from(body.to_string())).await;
    let answer = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["__error__"]["error"], "InternalError", "{answer}");
}

/// A stream that missed a run's end completes it from the rows. Otherwise clients would take the stream for a complete
/// one.
#[tokio::test(start_paused = true)]
async fn a_stream_that_missed_the_end_is_completed_from_the_rows() {
    for (graph, path, modes, heard, expected) in [
        ("fail", "/threads/{}/runs/stream", json!("values"), 1, &["metadata", "error"][..]),
        ("fail", "/threads/{}/runs/stream", json!("custom"), 1, &["metadata", "error"]),
        ("echo", "/threads/{}/runs/stream", json!(["values", "custom"]), 1, &["metadata", "values"]),
        (
            "echo",
            "/threads/{}/runs/stream",
            json!(["values", "custom"]),
            3,
            &["metadata", "values", "custom", "values"],
        ),
        (
            "echo",
            "/threads/{}/runs/stream",
            json!(["values", "custom"]),
            4,
            &["metadata", "values", "custom", "values"],
        ),
        ("echo", "/threads/{}/runs/stream", json!("custom"), 1, &["metadata"]),
        ("echo", "/runs/stream", json!("values"), 2, &["metadata", "values", "error"]),
    ] {
        let log = |events| Arc::new(LossyLog(events, heard)) as Arc<dyn EventLog>;
        let server = server_over(log, |server| server.with_settings(quick())).await;
        let thread = server.thread().await;
        let body = json!({"assistant_id": graph, "input": {"log": []}, "stream_mode": modes});
        let answer = server.open("POST", &path.replace("{}", &thread), &[], Body::from(body.to_string())).await;
        let answer = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let told = frames(&String::from_utf8_lossy(&answer));
        let names: Vec<_> = told.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, expected, "{graph} {modes} {heard}");
        let last = &told[told.len() - 1];
        match last.0.as_str() {
            "error" if path == "/runs/stream" => assert_eq!(last.1["error"], "InternalError"),
            "error" => assert!(last.1["message"].as_str().unwrap().ends_with("boom"), "{last:?}"),
            "values" => assert_eq!(last.1["log"], json!(["echo"])),
            _ => {}
        }
    }
}

/// A reader that joins after a run's end gets no events, as with a run whose events were all delivered.
#[tokio::test]
async fn joining_an_ended_run_yields_no_events() {
    let server = server_over(|events| events, |server| server.with_settings(quick())).await;
    let thread = server.thread().await;
    for graph in ["echo", "fail"] {
        let body = json!({"assistant_id": graph, "input": {"log": []}});
        let run = server.post(&format!("/threads/{thread}/runs"), body).await.ok();
        let at = format!("/threads/{thread}/runs/{}", run["run_id"].as_str().unwrap());
        server.get(&format!("{at}/join")).await;
        assert_eq!(frames(&server.get(&format!("{at}/stream")).await.text), [], "{graph}");
    }
}
