//! A run on a host, as a stream of its outputs.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use langopen_core::executor::{AttemptLost, Blame, RunJob, RunOutput, RunResult, RunResultStatus, a_quiet_round};
use langopen_core::model::{CancelAction, CancelRequest, ThreadStatus};
use langopen_core::{Error, RawJson, Result};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Span;

use super::Host;
use super::connection::InFlight;
use super::credit::Credit;
use super::message::{Marks, RunMessage};
use super::serve::{Reach, StorageFailure};
use super::spans::{self, Traced};
use crate::frame::payload::{self, RunRequest};
use crate::frame::{Frame, Kind};

/// The runner returns credit in portions of at least this much, a quarter of a run's initial credit.
const CREDIT_PORTION: usize = 256 * 1024;

/// How long a cancelled run may take to end before the runner continues without it. It is slightly longer than the host
/// itself allows. A host with a blocked event loop cannot answer.
pub(crate) const CANCEL_GRACE: Duration = Duration::from_secs(12);

struct Execution {
    host: Arc<Host>,
    handle: u32,
    messages: mpsc::UnboundedReceiver<RunMessage>,
    credit: Arc<Credit>,
    /// Why a call of the run failed, if the storage did not answer it.
    storage: StorageFailure,
    /// Checkpoints that wait until all earlier events are in the log.
    marks: Vec<oneshot::Sender<()>>,
    cancel: watch::Receiver<Option<CancelRequest>>,
    /// The deadline for the run's own end; set once CANCEL was sent.
    give_up: Option<tokio::time::Instant>,
    unpaid: usize,
    names: Names,
    over: bool,
    /// Held until the run ends.
    _reservation: Option<Reservation>,
}

/// A resource that a run holds until it ends, such as a host of its own.
pub(crate) type Reservation = Box<dyn Any + Send>;

/// The name of the last event; its allocation is reused while the name repeats.
#[derive(Default)]
struct Names(Option<Arc<str>>);

impl Names {
    fn get(&mut self, name: &[u8]) -> Result<Arc<str>> {
        match &self.0 {
            Some(held) if held.as_bytes() == name => Ok(Arc::clone(held)),
            _ => {
                let text = std::str::from_utf8(name).map_err(|error| {
                    Error::internal("host.event", "an event's name is not UTF-8").with_source(error)
                })?;
                let text: Arc<str> = text.into();
                self.0 = Some(Arc::clone(&text));
                Ok(text)
            }
        }
    }
}

impl Host {
    /// Starts a run; the stream yields its outputs. The run holds `reservation` until it ends.
    ///
    /// # Errors
    /// `Unavailable` if the connection to the host is closed. The run has then not begun.
    pub(crate) async fn execute(
        self: &Arc<Self>,
        job: RunJob,
        reservation: Option<Reservation>,
    ) -> Result<BoxStream<'static, Result<RunOutput>>> {
        let traced = Traced::of(&job);
        let request = RunRequest {
            run_id: job.run.run_id.to_string(),
            thread_id: job.run.thread_id.to_string(),
            graph_id: &job.run.graph_id,
            assistant_id: job.run.assistant_id.to_string(),
            attempt: job.run.attempt,
            temporary: job.run.temporary,
            fresh_thread: job.fresh_thread,
            metadata: &job.run.metadata,
            kwargs: &job.run.kwargs,
            trace: spans::of_run(&job, traced.as_ref()),
        };
        let request = serde_json::to_vec(&request)
            .map_err(|error| Error::internal("host.execute", "the run cannot be encoded as JSON").with_source(error))?;
        let handle = self.next_handle()?;
        let (sender, messages) = mpsc::unbounded_channel();
        // Without a resumable stream, no reader needs the events that precede a checkpoint.
        let marks = job.run.resumable.then(|| Marks::of(&sender));
        let reach = Reach::new(job.context).with_marks(marks);
        let (credit, storage, suspect) = (Arc::<Credit>::default(), reach.storage_failure(), job.suspect);
        let span = Span::current();
        let in_flight = InFlight { messages: sender, credit: Arc::clone(&credit), suspect, reach, span, traced };
        self.runs.lock().insert(handle, in_flight);
        self.count(1);
        let execution = Execution {
            host: Arc::clone(self),
            handle,
            messages,
            credit,
            storage,
            marks: Vec::new(),
            cancel: job.cancel,
            give_up: None,
            unpaid: 0,
            names: Names::default(),
            over: false,
            _reservation: reservation,
        };
        // A runner chooses the host itself, so it must know that the run needs a host of its own.
        let kind = if suspect && self.is_runner() { Kind::Suspect } else { Kind::Run };
        if !self.send(Frame::new(kind, handle, request)) {
            return Err(AttemptLost::new(Blame::Bystander, "the graph host died before the run began").into());
        }
        let outputs = stream::unfold(execution, |mut execution| async move {
            let output = execution.next().await?;
            Some((output, execution))
        });
        Ok(outputs.boxed())
    }
}

impl Execution {
    async fn next(&mut self) -> Option<Result<RunOutput>> {
        loop {
            if self.over {
                return None;
            }
            let give_up = self.give_up;
            // The cancel has priority: a host that floods must not prevent the run's end.
            tokio::select! {
                biased;
                request = wish(&mut self.cancel), if give_up.is_none() => {
                    self.give_up = Some(tokio::time::Instant::now() + CANCEL_GRACE);
                    self.send_cancel(&request);
                }
                () = tokio::time::sleep_until(give_up.unwrap_or_else(tokio::time::Instant::now)), if give_up.is_some() => {
                    self.over = true;
                    return Some(Ok(RunOutput::Done(Box::new(abandoned()))));
                }
                message = self.messages.recv() => match message {
                    Some(RunMessage::Frame(frame, _share)) => return Some(self.output(frame)),
                    Some(RunMessage::Mark(mark)) => self.marks.push(mark),
                    Some(RunMessage::Lost(lost)) => {
                        self.over = true;
                        return Some(Err(lost.into()));
                    }
                    None => {
                        self.over = true;
                        let why = "the connection to the graph host broke during the run";
                        return Some(Err(Error::unavailable("host.execute", why)));
                    }
                },
                () = a_quiet_round(), if !self.marks.is_empty() => {
                    // The waiting checkpoint may have been dropped.
                    for mark in self.marks.drain(..) {
                        let _ = mark.send(());
                    }
                }
            }
        }
    }

    fn output(&mut self, frame: Frame) -> Result<RunOutput> {
        if frame.kind == Kind::Done {
            self.over = true;
            self.give_up = None;
            return self.done(payload::done(frame.payload)?);
        }
        self.pay(Credit::cost(frame.payload.len()));
        let (name, data) = payload::event(frame.payload)?;
        Ok(RunOutput::Event { name: self.names.get(&name)?, data })
    }

    /// Ends the run. If it failed because the storage did not answer, the loss is not the run's fault.
    fn done(&self, result: RunResult) -> Result<RunOutput> {
        match self.storage.get() {
            Some(why) if result.retryable => Err(AttemptLost::new(Blame::Bystander, why).into()),
            _ => Ok(RunOutput::Done(Box::new(result))),
        }
    }

    /// Returns credit as the reader takes events.
    fn pay(&mut self, cost: usize) {
        self.unpaid += cost;
        if self.unpaid >= CREDIT_PORTION {
            let credit = u32::try_from(self.unpaid).unwrap_or(u32::MAX);
            self.unpaid = 0;
            self.credit.raise(credit as usize);
            // If the connection is closed, the stream ends by itself.
            self.host.send(Frame::new(Kind::Credit, self.handle, credit.to_be_bytes().to_vec()));
        }
    }

    fn send_cancel(&self, request: &CancelRequest) {
        if let Ok(request) = serde_json::to_vec(request) {
            self.host.send(Frame::new(Kind::Cancel, self.handle, request));
        }
    }
}

/// The cancel of a run whose reader has stopped.
pub(crate) fn handed_back() -> CancelRequest {
    CancelRequest { action: CancelAction::Interrupt, reason: "the run was handed back".to_owned() }
}

async fn wish(cancel: &mut watch::Receiver<Option<CancelRequest>>) -> CancelRequest {
    let request = match cancel.wait_for(Option::is_some).await {
        Ok(request) => request.clone(),
        Err(_) => None,
    };
    match request {
        Some(request) => request,
        // The sender was dropped, so no cancel can arrive.
        None => std::future::pending().await,
    }
}

/// The result of a run whose host did not answer the cancel.
fn abandoned() -> RunResult {
    RunResult {
        status: RunResultStatus::Cancelled,
        thread_status: ThreadStatus::Idle,
        error: None,
        detail: Some(format!(
            "the graph host did not stop the run within {} s; its code goes on without effect",
            CANCEL_GRACE.as_secs()
        )),
        retryable: false,
        interrupts: RawJson::from(serde_json::json!({})),
        state: None,
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.host.count(-1);
        if self.host.runs.lock().remove(&self.handle).is_none() {
            return;
        }
        // The host has not ended the run, and its reader has stopped.
        let until = self.give_up.unwrap_or_else(|| tokio::time::Instant::now() + CANCEL_GRACE);
        if !self.host.is_runner() {
            self.host.fitness().is_leaving(self.handle, until);
        }
        if self.give_up.is_none() {
            self.send_cancel(&handed_back());
        }
    }
}
