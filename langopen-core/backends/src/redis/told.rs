//! What the server tells of what was appended, and whether it is to be taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use langopen_core::event_log::EventId;
use tokio::sync::mpsc::UnboundedSender;

use super::keys::Keys;
use super::renew::Renewal;
use super::subscriber::Heard;
use crate::shared_log::{News, Record};

/// Since when the log is here, if it can move between stores.
#[derive(Debug, Default)]
pub(super) struct Horizon {
    /// Counts the moves. What is told by one who knows of a later move is not taken, but looked up.
    pub(super) generation: AtomicU64,
    /// What has its place up to this millisecond is of an earlier time, and is told to nobody any more.
    pub(super) millis: AtomicU64,
}

impl Horizon {
    /// The last place of the earlier time.
    pub(super) fn last(&self) -> EventId {
        match self.millis.load(Ordering::Relaxed) {
            0 => EventId::ZERO,
            // As far as a script can count.
            millis => EventId { millis, sequence: u64::from(u32::MAX) },
        }
    }

    pub(super) fn is_beyond(&self, id: EventId) -> bool {
        let millis = self.millis.load(Ordering::Relaxed);
        millis > 0 && id.millis <= millis
    }
}

/// Passes on what is heard.
pub(super) struct Hearing {
    pub(super) keys: Keys,
    pub(super) horizon: Arc<Horizon>,
    pub(super) renewal: Arc<Renewal>,
    pub(super) tell: UnboundedSender<News>,
}

impl Hearing {
    pub(super) fn hear(&self, heard: Heard) {
        let news = match heard {
            Heard::Connected => {
                // An empty server has forgotten who reads.
                self.renewal.now();
                vec![News::LookEverywhere]
            }
            Heard::Channels(channels) => {
                channels.iter().filter_map(|channel| self.keys.thread_of(channel)).map(News::Look).collect()
            }
            Heard::Message(channel, bytes) => {
                let Some(thread_id) = self.keys.thread_of(&channel) else { return };
                let current = self.horizon.generation.load(Ordering::Relaxed);
                let is_due = |(of, record): &(u64, Record)| *of <= current && !self.horizon.is_beyond(record.before);
                match told(bytes).filter(is_due) {
                    Some((_, record)) => vec![News::Record(thread_id, record)],
                    None => vec![News::Look(thread_id)],
                }
            }
        };
        for news in news {
            // Without a receiver the log is going away.
            let _ = self.tell.send(news);
        }
    }
}

/// Reads what is told: the place before, the place and the generation on one line, then the record, if it is not too large.
fn told(mut bytes: Bytes) -> Option<(u64, Record)> {
    let line = bytes.iter().position(|byte| *byte == b'\n')?;
    let head = bytes.split_to(line + 1);
    let mut words = std::str::from_utf8(&head).ok()?.split_whitespace();
    let (before, last) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let generation = words.next()?.parse().ok()?;
    Some((generation, Record::decode(before, last, bytes).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_message_is_no_record() {
        for bytes in ["", "\n", "1-0\n", "1-0 2-0 x\n", "1-0 2-0 0\n", "1-0 2-0 0\nabc"] {
            assert!(told(Bytes::from(bytes)).is_none(), "{bytes:?}");
        }
    }
}
