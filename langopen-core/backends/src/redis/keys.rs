//! The names of keys, and places as Redis writes them.

use std::ops::RangeInclusive;

use langopen_core::error::{Error, Result};
use langopen_core::event_log::EventId;
use langopen_core::ids::{RunId, ThreadId};

/// The names of keys under one prefix:
///
/// - `thread:<id>`: a hash with the thread's `last` place, `run:<id>` for each run of which something is kept, `ended:<id>` with the milliseconds
///   when it ended, and the `bytes` that the live stream took.
/// - `thread:<id>:live`: a stream of what is not kept, for a minute; `thread:<id>:told`: one of what is said of the thread, and of the ends of kept runs;
///   `thread:<id>:run:<id>`: one of what a resumable run says.
/// - `thread:<id>:watched`: there while some process reads the thread. The channel `thread:<id>` carries what is appended.
/// - `ended` and `told`: sorted sets of what is to be removed, by the milliseconds since when. `epoch`: when the server was empty last.
///   `generation`: the last move of the log away from here that was seen to.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(super) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn thread(&self, thread_id: ThreadId) -> String {
        format!("{}thread:{thread_id}", self.prefix)
    }

    pub(super) fn of_thread(&self, thread_id: ThreadId, part: &str) -> String {
        format!("{}thread:{thread_id}:{part}", self.prefix)
    }

    pub(super) fn run(&self, thread_id: ThreadId, run_id: RunId) -> String {
        format!("{}thread:{thread_id}:run:{run_id}", self.prefix)
    }

    /// The thread that a channel is of.
    pub(super) fn thread_of(&self, channel: &str) -> Option<ThreadId> {
        channel.strip_prefix(&self.prefix)?.strip_prefix("thread:")?.parse().ok().map(ThreadId)
    }
}

/// Reads a place.
///
/// # Errors
/// `Internal` for anything else.
pub(super) fn place(text: &str) -> Result<EventId> {
    text.parse()
        .map_err(|error| Error::internal("event_log.read", "Redis holds a place that is none").with_source(error))
}

/// The bounds of `XRANGE` for what lies after one place and up to another.
pub(super) fn bounds(after: EventId, until: EventId) -> (String, String) {
    (format!("({after}"), until.to_string())
}

/// A place as the two numbers of a script's arguments. No clock goes beyond what a script can count.
pub(super) fn numbers(id: EventId) -> (u64, u64) {
    const COUNTED: RangeInclusive<u64> = 0..=1 << 53;
    (id.millis.min(*COUNTED.end()), id.sequence.min(*COUNTED.end()))
}
