//! A task's stream: a translation of its last run's log.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use langopen_core::run_service::{RunRead, RunReader};
use langopen_core::{RawJson, Result, Scope};
use tokio::time::Instant;

use super::chain::Chain;
use super::cursor::Cursor;
use super::dialect::{Dialect, State};
use super::shapes::{Artifact, ArtifactUpdate, Event, Status, StatusUpdate, Task};
use super::task::{self, response};
use super::translate::{Translator, Update};
use crate::agent::App;
use crate::agent::runs::Outcome;
use crate::doors::json_rpc::{Reply, failed};
use crate::http::sse::{self, HEARTBEAT, frame_at, locations};

/// One reader of a task's stream.
pub(super) struct TaskStream {
    pub(super) app: App,
    /// The deployment's rows. The caller is already authorized for this task.
    pub(super) rows: Scope,
    pub(super) dialect: Dialect,
    /// The id of the request that every event answers.
    pub(super) id: RawJson,
    pub(super) chain: Chain,
    pub(super) reader: RunReader,
    /// The first event: a snapshot of the task.
    pub(super) first: Option<Task>,
    /// The reader's position.
    pub(super) after: Option<Cursor>,
}

/// The state of the events read so far.
struct Read {
    translator: Translator,
    outcome: Outcome,
}

impl TaskStream {
    pub(super) fn response(self) -> Response {
        let translator = Translator::new(self.app.settings.a2a_tool_results.clone());
        let state = Some((self, Read { translator, outcome: Outcome::default() }, Instant::now()));
        let frames = futures::stream::unfold(state, |state| async move {
            let (mut stream, mut read, sent) = state?;
            let (bytes, ended) = stream.next(&mut read, sent).await;
            // A reader that is at the end gets an empty stream.
            let rest = (!ended).then(|| (stream, read, Instant::now()));
            (!bytes.is_empty()).then_some((Ok::<_, Infallible>(bytes), rest))
        });
        sse::response(Body::from_stream(frames), locations(None, None))
    }

    /// The next bytes to send, and whether they are the last.
    async fn next(&mut self, read: &mut Read, sent: Instant) -> (Bytes, bool) {
        if let Some(task) = self.first.take() {
            return (self.frame(Cursor::BEGIN, &Event::Task(task)), false);
        }
        loop {
            let events = match self.reader.next().await {
                Some(RunRead::Events(events)) => events,
                Some(RunRead::Idle) => return (HEARTBEAT, false),
                // The last event repeats the whole answer, so a gap loses nothing.
                Some(RunRead::Gap) => continue,
                None => return (self.end(std::mem::take(&mut read.outcome)).await, true),
            };
            let mut out = BytesMut::new();
            for event in events {
                read.outcome.absorb(&event);
                let update = read.translator.take(&event);
                let cursor = Cursor { id: event.id, nth: 0 };
                if let Some(update) = update.filter(|_| self.after.is_none_or(|after| cursor > after)) {
                    out.extend_from_slice(&self.frame(cursor, &self.update(update)));
                }
            }
            match out.is_empty() {
                false => return (out.freeze(), false),
                true if sent.elapsed() >= self.reader.heartbeat() => return (HEARTBEAT, false),
                true => {}
            }
        }
    }

    fn update(&self, update: Update) -> Event {
        match update {
            Update::Begun(timestamp) => {
                let state = State::Working.name(self.dialect);
                self.status(Status { state, timestamp, message: None }, false)
            }
            Update::Tool { timestamp, message_id, answer } => {
                let state = State::Working.name(self.dialect);
                let parts = vec![self.dialect.data(answer)];
                let message = task::agent_message(self.dialect, self.chain.run(), self.chain.task, message_id, parts);
                self.status(Status { state, timestamp, message: Some(message) }, false)
            }
            Update::Text { text, append } => {
                let run = self.chain.run();
                let artifact = response(run, run.assistant_id, vec![self.dialect.text(text)]);
                self.artifact(artifact, append, false)
            }
        }
    }

    /// The last frames: the whole answer, and the task's status.
    async fn end(&mut self, outcome: Outcome) -> Bytes {
        match self.ending(outcome).await {
            Ok(events) => {
                let events = (0..).map(Cursor::end).zip(events);
                let unseen = events.filter(|(cursor, _)| self.after.is_none_or(|after| *cursor > after));
                unseen
                    .flat_map(|(cursor, event)| event.map(|event| self.frame(cursor, &event)))
                    .fold(BytesMut::new(), join)
                    .freeze()
            }
            Err(error) => {
                let reply = Reply::new(self.id.clone(), Err(failed(error)));
                frame_at(b"message", &serde_json::to_vec(&reply).unwrap_or_default(), &Cursor::end(1))
            }
        }
    }

    async fn ending(&mut self, outcome: Outcome) -> Result<[Option<Event>; 2]> {
        let body = outcome.settle(&self.app, &self.reader).await;
        let picture = task::ended(&self.app, &self.rows, self.dialect, &mut self.chain, &body).await?;
        let artifact = picture.artifact.map(|artifact| self.artifact(artifact, false, true));
        Ok([artifact, Some(self.status(picture.status, picture.state.rests()))])
    }

    fn status(&self, status: Status, last: bool) -> Event {
        let task = self.chain.task;
        Event::Status(StatusUpdate {
            kind: self.dialect.kind("status-update"),
            task_id: task.to_string(),
            context_id: task.thread_id.to_string(),
            status,
            last: self.dialect.choose(Some(last), None),
        })
    }

    fn artifact(&self, artifact: Artifact, append: bool, last_chunk: bool) -> Event {
        let task = self.chain.task;
        Event::Artifact(ArtifactUpdate {
            kind: self.dialect.kind("artifact-update"),
            task_id: task.to_string(),
            context_id: task.thread_id.to_string(),
            artifact,
            append,
            last_chunk,
        })
    }

    fn frame(&self, cursor: Cursor, event: &Event) -> Bytes {
        let answer = event.result(self.dialect).map_err(failed);
        let reply = serde_json::to_vec(&Reply::new(self.id.clone(), answer));
        frame_at(b"message", &reply.unwrap_or_default(), &cursor)
    }
}

fn join(mut all: BytesMut, frame: Bytes) -> BytesMut {
    all.extend_from_slice(&frame);
    all
}
