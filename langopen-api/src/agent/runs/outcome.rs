//! The outcome of a run, as `wait` and `join` return it.

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use langopen_core::event_log::{Event, LogKey};
use langopen_core::model::{Run, RunError};
use langopen_core::run_service::{Completeness, RunRead, RunReader};
use langopen_core::{RawJson, RunStatus, Scope};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use std::convert::Infallible;
use tokio::time::Instant;

use super::on_disconnect::CancelOnDrop;
use crate::agent::App;
use crate::agent::wire::{self, Entries};

const EMPTY: Bytes = Bytes::from_static(b"{}");

/// The outcome as the events have shown it so far. Data stays JSON text.
#[derive(Default)]
pub(crate) struct Outcome {
    values: Option<Bytes>,
    error: Option<Bytes>,
    interrupts: Vec<Box<RawValue>>,
    /// The number of interrupts in the last values.
    in_values: usize,
}

#[derive(Deserialize)]
struct WithInterrupts {
    #[serde(default, rename = "__interrupt__")]
    interrupts: Vec<Box<RawValue>>,
}

#[derive(Serialize)]
struct OnlyInterrupts<'a> {
    #[serde(rename = "__interrupt__")]
    interrupts: &'a [Box<RawValue>],
}

#[derive(Serialize)]
struct OnlyError<'a, E: Serialize> {
    #[serde(rename = "__error__")]
    error: &'a E,
}

impl Outcome {
    pub(crate) fn absorb(&mut self, event: &Event) {
        match event.name.as_ref() {
            // A new attempt begins, so the events of earlier attempts no longer count.
            "metadata" => *self = Self::default(),
            "values" => {
                self.in_values = self.note_interrupts(&event.data);
                self.values = Some(event.data.clone());
            }
            "error" => self.error = Some(event.data.clone()),
            _ => {}
        }
    }

    fn note_interrupts(&mut self, data: &Bytes) -> usize {
        if memchr::memmem::find(data, b"\"__interrupt__\"").is_none() {
            return 0;
        }
        let Ok(WithInterrupts { interrupts }) = serde_json::from_slice(data) else { return 0 };
        let count = interrupts.len();
        for interrupt in interrupts {
            if self.interrupts.iter().all(|held| held.get() != interrupt.get()) {
                self.interrupts.push(interrupt);
            }
        }
        count
    }

    /// The answer, if the events contain an outcome.
    pub(super) fn body(self) -> Option<Bytes> {
        if let Some(error) = self.error {
            return Some([b"{\"__error__\":", error.as_ref(), b"}"].concat().into());
        }
        let values = self.values?;
        // If the last values contain all interrupts, they are the answer; otherwise the interrupts alone are.
        if self.interrupts.len() == self.in_values {
            return Some(values);
        }
        serde_json::to_vec(&OnlyInterrupts { interrupts: &self.interrupts }).ok().map(Bytes::from)
    }
}

impl Outcome {
    /// The answer. The rows of run and thread supply an outcome that the events lack.
    pub(crate) fn settle(self, app: &App, reader: &RunReader) -> impl Future<Output = Bytes> + Send {
        let (scope, log, completeness) = (reader.scope(), reader.log(), reader.completeness());
        async move {
            match (self.body(), completeness) {
                // The last values that the reader received need not be the run's last values.
                (_, Completeness::Unknown) => only_error(&unknown_outcome()),
                (Some(body), Completeness::Complete) => body,
                // The lost events may include the last values.
                (Some(body), Completeness::Partial) => {
                    Some(from_rows(app, scope, log).await).filter(|rows| *rows != EMPTY).unwrap_or(body)
                }
                (None, _) => from_rows(app, scope, log).await,
            }
        }
    }
}

/// The error for a run whose row is gone and whose events were not all received.
pub(super) fn unknown_outcome() -> RunError {
    let message = "The run is over, but its outcome is unknown".to_owned();
    RunError { error: "InternalError".to_owned(), message }
}

/// The source of the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The outcome from the events, or from the rows of run and thread if the events have none.
    Outcome {
        /// Whether the run has feedback keys.
        feedback: bool,
    },
    /// The outcome from the events, or an empty object if the events have none.
    Events,
}

/// Whether the run has feedback keys.
pub(super) fn has_feedback(run: &Run) -> bool {
    #[derive(Deserialize)]
    struct Keys {
        feedback_keys: Option<Vec<IgnoredAny>>,
    }
    run.kwargs.decode::<Keys>().is_ok_and(|kwargs| kwargs.feedback_keys.is_some_and(|keys| !keys.is_empty()))
}

/// Adds an empty `__feedback__`, because no provider issues feedback URLs. Failures and values that are not objects
/// stay unchanged.
fn with_feedback(body: Bytes) -> Bytes {
    const FEEDBACK: &[u8] = b"\"__feedback__\":{}}";
    match body.trim_ascii().strip_suffix(b"}") {
        Some(b"{") => [b"{", FEEDBACK].concat().into(),
        Some(fields) if fields.starts_with(b"{") && !fields.starts_with(b"{\"__error__\":") => {
            [fields, b",", FEEDBACK].concat().into()
        }
        _ => body,
    }
}

/// Sends the headers at once, line breaks as heartbeats, and the outcome when the run is over.
pub(super) fn respond(
    app: &App,
    reader: RunReader,
    guard: CancelOnDrop,
    answer: Answer,
    locations: HeaderMap,
) -> axum::response::Response {
    let heartbeat = app.settings.heartbeat;
    let app = app.clone();
    let state = Some((reader, guard, Outcome::default(), Instant::now()));
    let body = futures::stream::unfold(state, move |state| {
        let app = app.clone();
        async move {
            let (mut reader, mut guard, mut outcome, mut sent) = state?;
            while let Some(read) = reader.next().await {
                if let RunRead::Events(events) = &read {
                    events.iter().for_each(|event| outcome.absorb(event));
                }
                if sent.elapsed() >= heartbeat {
                    sent = Instant::now();
                    let alive = Bytes::from_static(b"\n");
                    return Some((Ok::<_, Infallible>(alive), Some((reader, guard, outcome, sent))));
                }
            }
            guard.disarm();
            let body = match answer {
                Answer::Events => outcome.body().unwrap_or(EMPTY),
                Answer::Outcome { .. } => outcome.settle(&app, &reader).await,
            };
            let feedback = answer == Answer::Outcome { feedback: true };
            Some((Ok(if feedback { with_feedback(body) } else { body }), None))
        }
    });
    let mut response = wire::json(Body::from_stream(body));
    response.headers_mut().extend(locations);
    response
}

/// The outcome of a run that is over, from its rows.
async fn from_rows(app: &App, scope: &Scope, log: LogKey) -> Bytes {
    read_rows(app, scope, log).await.unwrap_or_else(|error| {
        tracing::error!(run.id = %log.run_id, error = %error, "the outcome of a run cannot be read");
        let error = RunError { error: "InternalError".to_owned(), message: "An internal error occurred".to_owned() };
        only_error(&error)
    })
}

async fn read_rows(app: &App, scope: &Scope, log: LogKey) -> langopen_core::Result<Bytes> {
    Ok(match stored_outcome(app, scope, log).await?.1 {
        StoredOutcome::Nothing => EMPTY,
        StoredOutcome::Failed(error) => only_error(&error),
        StoredOutcome::Values(values, open) if open.is_empty() => values.as_ref().map_or(EMPTY, text),
        StoredOutcome::Values(_, open) => {
            serde_json::to_vec(&OnlyInterrupts { interrupts: &open }).map_or(EMPTY, Bytes::from)
        }
    })
}

/// The outcome in the rows of a run that is over.
pub(super) enum StoredOutcome {
    /// The run or the thread is gone: it was rolled back, deleted or temporary.
    Nothing,
    Failed(RawJson),
    /// The values and the graph's open interrupts.
    Values(Option<RawJson>, Vec<Box<RawValue>>),
}

/// Reads the rows of a run that is over, and of its thread.
pub(super) async fn stored_outcome(
    app: &App,
    scope: &Scope,
    LogKey { thread_id, run_id }: LogKey,
) -> langopen_core::Result<(Option<Run>, StoredOutcome)> {
    let Some(run) = app.storage.run(scope, thread_id, run_id).await? else { return Ok((None, StoredOutcome::Nothing)) };
    let Some(thread) = app.storage.thread(scope, thread_id).await? else { return Ok((None, StoredOutcome::Nothing)) };
    let outcome = match run.status {
        RunStatus::Error | RunStatus::Timeout => StoredOutcome::Failed(thread.error.unwrap_or_else(|| {
            let message = format!("The run ended with status {}", run.status.as_str());
            json!({"error": "RunError", "message": message}).into()
        })),
        RunStatus::Success => {
            let open = thread.interrupts.as_ref().map(flatten).unwrap_or_default();
            StoredOutcome::Values(thread.values, open)
        }
        _ => StoredOutcome::Values(thread.values, Vec::new()),
    };
    Ok((Some(run), outcome))
}

fn only_error(error: &impl Serialize) -> Bytes {
    serde_json::to_vec(&OnlyError { error }).map_or(EMPTY, Bytes::from)
}

fn text(values: &RawJson) -> Bytes {
    Bytes::copy_from_slice(values.as_str().as_bytes())
}

/// The interrupts of all tasks, in the tasks' order.
pub(crate) fn flatten(by_task: &RawJson) -> Vec<Box<RawValue>> {
    let tasks: Entries<'_> = by_task.decode().unwrap_or_default();
    let lists = tasks.0.iter().filter_map(|(_, list)| serde_json::from_str::<Vec<Box<RawValue>>>(list.get()).ok());
    lists.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use langopen_core::event_log::EventId;

    fn outcome(events: &[(&str, &'static str)]) -> Option<String> {
        let mut outcome = Outcome::default();
        for (name, data) in events {
            outcome.absorb(&Event {
                id: EventId::ZERO,
                run_id: None,
                name: (*name).into(),
                data: Bytes::from_static(data.as_bytes()),
            });
        }
        outcome.body().map(|body| String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn feedback_is_added_to_what_is_no_failure() {
        for (body, expected) in [
            ("{}", r#"{"__feedback__":{}}"#),
            (r#"{"a":{}}"#, r#"{"a":{},"__feedback__":{}}"#),
            (r#"{"__interrupt__":[]}"#, r#"{"__interrupt__":[],"__feedback__":{}}"#),
            (r#"{"__error__":{}}"#, r#"{"__error__":{}}"#),
            ("[{}]", "[{}]"),
            ("null", "null"),
        ] {
            assert_eq!(with_feedback(Bytes::from_static(body.as_bytes())), expected, "{body}");
        }
    }

    #[test]
    fn interrupts_and_errors_are_merged_as_clients_know_it() {
        let left = r#"{"log":["s"],"__interrupt__":[{"id":"l"}]}"#;
        let right = r#"{"log":["s"],"__interrupt__":[{"id":"r"}]}"#;
        for (events, expected) in [
            (&[("values", r#"{"a":1}"#), ("values", r#"{"a":2}"#)][..], Some(r#"{"a":2}"#)),
            (&[("values", r#"{"a":1}"#), ("values|sub:1", r#"{"b":2}"#)], Some(r#"{"a":1}"#)),
            (&[("values", left)], Some(left)),
            (&[("values", left), ("values", right)], Some(r#"{"__interrupt__":[{"id":"l"},{"id":"r"}]}"#)),
            (&[("values", left), ("values", r#"{"log":["s","t"]}"#)], Some(r#"{"__interrupt__":[{"id":"l"}]}"#)),
            (&[("values", r#"{"a":1}"#), ("error", r#"{"error":"E"}"#)], Some(r#"{"__error__":{"error":"E"}}"#)),
            (&[("values", left), ("metadata", "{}"), ("values", r#"{"a":1}"#)], Some(r#"{"a":1}"#)),
            (&[("metadata", "{}")], None),
        ] {
            assert_eq!(outcome(events).as_deref(), expected, "{events:?}");
        }
    }
}
