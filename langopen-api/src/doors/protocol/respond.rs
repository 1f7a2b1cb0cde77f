//! `input.respond`.

use std::time::Duration;

use futures::StreamExt;
use langopen_core::event_log::ReadFrom;
use langopen_core::model::{MultitaskStrategy, Thread, ThreadStatus};
use langopen_core::run_plan::RunRequest;
use langopen_core::{JsonMap, RawJson, RawObject};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::command::Commander;
use super::envelope::{Answer, ErrorCode, Refusal, answer, params};
use super::start::{command, config};

/// The most time an answer waits for a run in flight to end: that run may be the one that raises the interrupt.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

/// The time to wait for a run's end before the thread's row is read again.
const LISTEN: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
struct One {
    interrupt_id: String,
    #[serde(default)]
    response: RawJson,
    #[serde(default, rename = "namespace")]
    _namespace: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Respond {
    interrupt_id: Option<String>,
    response: RawJson,
    responses: Option<Vec<One>>,
    update: Option<RawJson>,
    goto: Option<RawJson>,
    #[serde(deserialize_with = "config")]
    config: Option<JsonMap>,
    metadata: Option<JsonMap>,
    #[serde(rename = "namespace")]
    _namespace: Option<Vec<String>>,
}

/// Answers one or more open interrupts of the thread, and starts the run that continues.
pub(super) async fn respond(commander: &Commander, given: &RawJson) -> Answer {
    let given: Respond = params("input.respond", given)?;
    let mut resume = RawObject::default();
    let mut ids = Vec::new();
    let mut add = |id: String, response| {
        ids.push(id.clone());
        resume.insert(id, response);
    };
    match (given.interrupt_id, given.responses) {
        (Some(id), None) => add(id, given.response),
        (None, Some(each)) if !each.is_empty() => {
            each.into_iter().for_each(|one| add(one.interrupt_id, one.response));
        }
        _ => return Err(Refusal::invalid("input.respond requires an interrupt_id or a non-empty responses array.")),
    }
    check(&given.update, &["{"], "update must be an object.")?;
    check(&given.goto, &["{", "[", "\""], "goto must be a node, a send, or an array of them.")?;
    let steering =
        [("update", given.update), ("goto", given.goto)].into_iter().filter_map(|(key, value)| Some((key, value?)));
    let command = command([("resume", answer(&resume)?)].into_iter().chain(steering))?;
    let begun = Instant::now();
    loop {
        let busy = commander.settled(begun).await?;
        let open = commander.thread().await?.as_ref().map(open_interrupts).unwrap_or_default();
        if let Some(unknown) = ids.iter().find(|id| !open.contains(id)) {
            let message = format!("Unknown or already-consumed interrupt: {unknown}");
            return Err(Refusal::new(ErrorCode::NoSuchInterrupt, message));
        }
        // Of two concurrent answers, the server rejects the second.
        let strategy = if busy { MultitaskStrategy::Enqueue } else { MultitaskStrategy::Reject };
        let request = RunRequest::default()
            .with_command(Some(command.clone()))
            .with_config(given.config.clone())
            .with_metadata(given.metadata.clone())
            .with_multitask_strategy(Some(strategy));
        let assistant_id = commander.assistant_of_thread().await?;
        match commander.run(assistant_id, request).await {
            Ok(_) => return answer(&json!({})),
            Err(refusal) if refusal.message.starts_with("409:") && begun.elapsed() < SETTLES_WITHIN => {}
            Err(refusal) => return Err(refusal),
        }
    }
}

fn check(given: &Option<RawJson>, begins: &[&str], reason: &str) -> Result<(), Refusal> {
    match given {
        Some(value) if !begins.iter().any(|begin| value.as_str().starts_with(begin)) => {
            Err(Refusal::invalid(format!("input.respond: {reason}")))
        }
        _ => Ok(()),
    }
}

/// The ids of a thread's open interrupts.
fn open_interrupts(thread: &Thread) -> Vec<String> {
    #[derive(Deserialize)]
    struct Open {
        id: String,
    }
    let by_task: Option<std::collections::HashMap<String, Vec<Open>>> =
        thread.interrupts.as_ref().and_then(|open| open.decode().ok());
    by_task.unwrap_or_default().into_values().flatten().map(|open| open.id).collect()
}

impl Commander {
    /// Waits for a limited time until no run is in flight, and returns whether one still is.
    async fn settled(&self, begun: Instant) -> Result<bool, Refusal> {
        let busy = |thread: Option<Thread>| thread.is_some_and(|thread| thread.status == ThreadStatus::Busy);
        if !busy(self.thread().await?) {
            return Ok(false);
        }
        let mut events = self.app.events.read_thread(self.thread_id, ReadFrom::Now).await?;
        while busy(self.thread().await?) {
            if begun.elapsed() >= SETTLES_WITHIN {
                return Ok(true);
            }
            // An event without a run id is about the thread, e.g. that a run is over.
            let over = async {
                while events.next().await.is_some_and(|event| event.is_ok_and(|event| event.run_id.is_some())) {}
            };
            let _ = timeout(LISTEN, over).await;
        }
        Ok(false)
    }
}
