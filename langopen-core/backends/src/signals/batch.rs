//! Collects the signals that wait to be sent, without duplicates, and encodes them as JSON messages.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::error::Result;
use langopen_core::ids::ThreadId;
use langopen_core::queue::CancelSignal;
use langopen_core::signals::Signal;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;

/// The maximum number of threads and of cancels that wait. Beyond it, the batch sends [`Signal::Missed`] instead.
const MOST: usize = 2000;

/// An upper bound for the length of a thread's id in a message, with its quotes and comma. `AROUND` is the same for the
/// rest of the message.
const THREAD: usize = 40;
const AROUND: usize = 256;

/// The pause after a failure to send.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Message {
    /// The party that sends the message.
    from: Uuid,
    #[serde(skip_serializing_if = "is_false")]
    missed: bool,
    #[serde(skip_serializing_if = "is_false")]
    runs: bool,
    #[serde(skip_serializing_if = "is_false")]
    crons: bool,
    #[serde(skip_serializing_if = "is_false")]
    deliveries: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cancels: Vec<CancelSignal>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    threads: Vec<ThreadId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Default)]
struct Pending {
    message: Message,
    threads: HashSet<ThreadId>,
    waiting: bool,
}

/// The signals that one party has to send.
pub(crate) struct Outbound {
    from: Uuid,
    /// The maximum length of a message, in bytes.
    limit: usize,
    pending: Mutex<Pending>,
    rung: Notify,
}

impl Outbound {
    pub(crate) fn new(from: Uuid, limit: usize) -> Self {
        Self { from, limit, pending: Mutex::default(), rung: Notify::new() }
    }

    /// Adds a signal to the batch.
    pub(crate) fn add(&self, signal: Signal) {
        let mut pending = self.pending.lock();
        let Pending { message, threads, waiting } = &mut *pending;
        match signal {
            Signal::RunsReady => message.runs = true,
            Signal::CronsChanged => message.crons = true,
            Signal::DeliveriesReady => message.deliveries = true,
            Signal::Missed => message.missed = true,
            Signal::Cancel(cancel) if message.cancels.len() < MOST => {
                if !message.cancels.contains(&cancel) {
                    message.cancels.push(cancel);
                }
            }
            Signal::Events(thread_id) if threads.len() < MOST => {
                threads.insert(thread_id);
            }
            // This message cannot carry the signal, so receivers must look at everything.
            Signal::Cancel(_) | _ => message.missed = true,
        }
        *waiting = true;
        drop(pending);
        self.rung.notify_one();
    }

    /// Empties the batch and returns its messages.
    fn take(&self) -> Vec<String> {
        let Pending { message, threads, waiting } = std::mem::take(&mut *self.pending.lock());
        if !waiting {
            return Vec::new();
        }
        let from = self.from;
        let mut messages = Vec::new();
        for cancel in &message.cancels {
            let cancels = vec![cancel.clone()];
            messages.push(Message { from, cancels, ..Message::default() });
        }
        let most = (self.limit.saturating_sub(AROUND) / THREAD).max(1);
        let threads: Vec<_> = threads.into_iter().collect();
        for threads in threads.chunks(most) {
            messages.push(Message { from, threads: threads.to_vec(), ..Message::default() });
        }
        let rest = Message { from, cancels: Vec::new(), threads: Vec::new(), ..message };
        if rest.missed || rest.runs || rest.crons || rest.deliveries {
            match messages.last_mut() {
                Some(last) => {
                    *last = Message {
                        cancels: last.cancels.drain(..).collect(),
                        threads: last.threads.drain(..).collect(),
                        ..rest
                    }
                }
                None => messages.push(rest),
            }
        }
        // A cancel whose reason is too long for a message is dropped here; the worker reads it with its heartbeat.
        let texts = messages.iter().filter_map(|message| serde_json::to_string(message).ok());
        texts.filter(|text| text.len() <= self.limit).collect()
    }

    /// Sends batches with `publish`, forever. It sends the first signal at once, and all signals of the `gap` after it
    /// together. A batch that cannot be sent is lost; the next batch then contains [`Signal::Missed`].
    pub(crate) async fn run<F>(self: Arc<Self>, gap: Duration, publish: impl Fn(Vec<String>) -> F)
    where
        F: Future<Output = Result<()>>,
    {
        loop {
            self.rung.notified().await;
            let messages = self.take();
            if messages.is_empty() {
                continue;
            }
            match publish(messages).await {
                Ok(()) => tokio::time::sleep(gap).await,
                Err(error) => {
                    tracing::debug!(%error, "cannot send signals to other processes; they will poll instead");
                    tokio::time::sleep(PAUSE).await;
                    self.add(Signal::Missed);
                }
            }
        }
    }
}

/// The signals in a message, unless the party `own` sent it. A message that cannot be decoded may come from a newer
/// version, so it counts as [`Signal::Missed`].
pub(crate) fn received(own: Uuid, text: &[u8]) -> Vec<Signal> {
    let Ok(message) = serde_json::from_slice::<Message>(text) else { return vec![Signal::Missed] };
    if message.from == own {
        return Vec::new();
    }
    let flags = [
        (message.missed, Signal::Missed),
        (message.runs, Signal::RunsReady),
        (message.crons, Signal::CronsChanged),
        (message.deliveries, Signal::DeliveriesReady),
    ];
    let flags = flags.into_iter().filter(|(set, _)| *set).map(|(_, signal)| signal);
    let cancels = message.cancels.into_iter().map(Signal::Cancel);
    flags.chain(cancels).chain(message.threads.into_iter().map(Signal::Events)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use langopen_core::ids::RunId;
    use langopen_core::model::{CancelAction, CancelRequest};

    const OWN: Uuid = Uuid::from_u128(1);

    fn cancel(n: u128, reason: &str) -> Signal {
        let request = CancelRequest { action: CancelAction::Rollback, reason: reason.to_owned() };
        Signal::Cancel(CancelSignal { run_id: RunId(Uuid::from_u128(n)), request })
    }

    fn heard(messages: &[String]) -> Vec<Signal> {
        messages.iter().flat_map(|text| received(Uuid::from_u128(2), text.as_bytes())).collect()
    }

    #[test]
    fn equal_signals_become_one_and_none_comes_back() {
        let outbound = Outbound::new(OWN, 8000);
        for n in 0..1000 {
            outbound.add(Signal::RunsReady);
            outbound.add(Signal::CronsChanged);
            outbound.add(cancel(n % 2, "it's \"over\"\n"));
            outbound.add(Signal::Events(ThreadId(Uuid::from_u128(n % 3))));
        }
        let messages = outbound.take();
        assert!(messages.len() <= 3, "{messages:?}");
        let signals = heard(&messages);
        assert_eq!(signals.len(), 2 + 2 + 3, "{signals:?}");
        assert!(signals.contains(&cancel(1, "it's \"over\"\n")));
        assert!(messages.iter().all(|text| received(OWN, text.as_bytes()).is_empty()));
        assert!(outbound.take().is_empty());
    }

    #[test]
    fn messages_have_a_limit_and_too_many_signals_are_one() {
        let outbound = Outbound::new(OWN, 1000);
        for n in 0..MOST as u128 {
            outbound.add(Signal::Events(ThreadId(Uuid::from_u128(n))));
        }
        outbound.add(cancel(1, &"long ".repeat(1000)));
        let messages = outbound.take();
        assert!(messages.iter().all(|text| text.len() <= 1000));
        assert_eq!(heard(&messages).len(), MOST, "all threads, and no cancel that is too long");
        (0..=MOST as u128).for_each(|n| outbound.add(Signal::Events(ThreadId(Uuid::from_u128(n)))));
        assert!(heard(&outbound.take()).contains(&Signal::Missed));
        assert_eq!(heard(&["{\"from\":7}".to_owned(), "no JSON".to_owned()]), [Signal::Missed, Signal::Missed]);
    }
}
