//! What this process appended to Redis in the last moments.
//!
//! When Redis goes, readers in other processes may not have heard of it yet, and Redis may not have it on disk. It is copied to where the log moves, in its places, so that they miss nothing.

use std::collections::VecDeque;
use std::time::Duration;

use langopen_core::event_log::EventId;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::shared_log::{Appended, Write};

/// How long a reader may be behind: it looks every second, and is told at once.
const MOMENTS: Duration = Duration::from_secs(3);

/// The same for what is kept, of which a reader that was held up must miss nothing either.
const KEPT: Duration = Duration::from_secs(8);

/// How many bytes are remembered.
const MOST: usize = 16 * 1024 * 1024;

#[derive(Debug, Default)]
struct State {
    writes: VecDeque<(Instant, Write)>,
    bytes: usize,
}

/// The last appended records, oldest first.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<State>);

impl Tail {
    /// Remembers a record that was appended.
    pub(super) fn add(&self, write: &Write, appended: Appended) {
        // What nobody reads now, and nobody can read later, is over.
        let Appended::At { before, last, kept, read, .. } = appended else { return };
        if !read && !kept {
            return;
        }
        let sequence = (last.sequence + 1).saturating_sub(u64::from(write.count));
        let first = EventId { millis: last.millis, sequence };
        let now = Instant::now();
        let mut state = self.0.lock();
        state.bytes += write.bytes.len();
        let copy = Write { keep: kept, first, again: true, copy_after: Some(before), ..write.clone() };
        state.writes.push_back((now, copy));
        while let Some((at, oldest)) = state.writes.front()
            && (state.bytes > MOST || now.duration_since(*at) > KEPT)
        {
            state.bytes -= oldest.bytes.len();
            state.writes.pop_front();
        }
    }

    /// Takes what is remembered.
    pub(super) fn take(&self) -> Vec<Write> {
        let State { writes, .. } = std::mem::take(&mut *self.0.lock());
        let now = Instant::now();
        let is_recent =
            |(at, write): &(Instant, Write)| now.duration_since(*at) <= if write.keep { KEPT } else { MOMENTS };
        writes.into_iter().filter(is_recent).map(|(_, write)| write).collect()
    }
}
