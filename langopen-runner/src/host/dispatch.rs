//! Handles the frames of a host, in order. Nothing here waits for the reader of a run, so a run that nobody reads does
//! not stop the frames of others.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::SplitStream;
use tokio::io::AsyncRead;
use tokio_util::codec::Framed;
use tracing::warn;

use super::ending::{Aboard, Ending, Guilt, Lost};
use super::health::Status;
use super::message::RunMessage;
use super::{Host, handed_back, logs, serve, spans, web};
use crate::frame::payload::from_json;
use crate::frame::{Frame, FrameCodec, Kind};

/// Reads and handles the frames of a host until the connection closes.
pub(super) async fn receive<S>(host: Arc<Host>, mut source: SplitStream<Framed<S, FrameCodec>>)
where
    S: AsyncRead,
{
    let (calls, outputs) = (Arc::clone(&host.calls), Arc::clone(&host.outputs));
    loop {
        let next = async {
            outputs.room().await;
            calls.room().await;
            source.next().await
        };
        // A connection that was cut has priority: a host that floods is cut off at once.
        let frame = tokio::select! {
            biased;
            () = host.cut.cancelled() => None,
            frame = next => frame,
        };
        match frame {
            None => break,
            Some(Ok(frame)) => dispatch(&host, frame),
            Some(Err(error)) => {
                warn!(host = host.number, %error, "the connection to a graph host broke");
                break;
            }
        }
    }
    host.closed.send_replace(true);
    host.cut.cancel();
    // The watcher of a process buries its host, because it knows the exit status.
    if host.is_runner() {
        host.runs.lock().clear();
        host.waiting.lock().clear();
        host.exchanges.lock().clear();
    }
}

/// Handles an event or the end of a run.
fn take_output(host: &Arc<Host>, frame: Frame) {
    let (handle, length, last) = (frame.stream, frame.payload.len(), frame.kind == Kind::Done);
    let mut runs = host.runs.lock();
    let Some(run) = runs.get(&handle) else {
        drop(runs);
        if last {
            host.fitness().has_ended(handle);
        }
        return;
    };
    if !last && !run.credit.spend(length) {
        drop(runs);
        return overdrawn(host, handle);
    }
    let share = host.share(&frame);
    // If the reader has stopped, it has already withdrawn the run.
    let _ = run.messages.send(RunMessage::Frame(frame, share));
    if last {
        runs.remove(&handle);
    }
}

/// Handles a run that sent more events than its credit allows.
fn overdrawn(host: &Arc<Host>, handle: u32) {
    let ending = Ending::new(Guilt::Run(handle), "the run sent more events than its credit allows");
    if !host.is_runner() {
        return host.convict(ending);
    }
    // The runner's other hosts are not to blame. The runner should have closed its connection to this host.
    if let Some(run) = host.runs.lock().remove(&handle) {
        let _ = run.messages.send(RunMessage::Lost(ending.loss(handle, &Aboard::default())));
    }
    if let Ok(cancel) = serde_json::to_vec(&handed_back()) {
        host.send(Frame::new(Kind::Cancel, handle, cancel));
    }
}

fn dispatch(host: &Arc<Host>, frame: Frame) {
    if let (Some(relay), true) = (&host.owner.relay, !matches!(frame.kind, Kind::Pong | Kind::Status)) {
        relay.take(host, frame);
        return;
    }
    match frame.kind {
        Kind::Event | Kind::Done => take_output(host, frame),
        Kind::Call => serve::serve(host, frame),
        Kind::Reply | Kind::Error => {
            if let Some(waiting) = host.waiting.lock().remove(&frame.stream) {
                let _ = waiting.answer.send(frame);
            }
        }
        Kind::HttpRequest
        | Kind::HttpResponse
        | Kind::HttpBody
        | Kind::HttpEnd
        | Kind::HttpCredit
        | Kind::HttpAbort => web::receive(host, frame),
        Kind::Log => logs::write(host, frame.stream, &frame.payload),
        Kind::Span => spans::report(host, frame.stream, &frame.payload),
        Kind::Pong => {
            if let Ok(mark) = <[u8; 8]>::try_from(&frame.payload[..]) {
                host.health.answered(u64::from_be_bytes(mark));
            }
        }
        // A host of the runner died. Callers detect it, because removing the call closes its channel.
        Kind::Lost => {
            let run = host.runs.lock().remove(&frame.stream);
            if let (Some(run), Ok(lost)) = (run, from_json::<Lost>("runner.lost", &frame.payload)) {
                let _ = run.messages.send(RunMessage::Lost(lost.into()));
            }
            host.waiting.lock().remove(&frame.stream);
        }
        Kind::Status => match from_json::<Status>("runner.status", &frame.payload) {
            Ok(status) if host.is_runner() => {
                *host.status.lock() = status;
                host.owner.changed.notify_waiters();
            }
            Ok(status) if status.draining => host.fitness().asks_to_be_replaced(),
            Ok(_) => {}
            Err(error) => warn!(host = host.number, %error, "cannot decode a STATUS frame"),
        },
        other => {
            warn!(host = host.number, kind = ?other, "a graph host sent a frame of a kind that hosts must not send")
        }
    }
}
