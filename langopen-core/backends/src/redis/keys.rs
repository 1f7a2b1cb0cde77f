//! The names of channels.

use langopen_core::ids::ThreadId;

/// The names of channels under one prefix: `signals`, and `thread:<id>` for the live copies of a thread.
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

    /// The thread that a channel belongs to.
    pub(super) fn thread_of(&self, channel: &str) -> Option<ThreadId> {
        channel.strip_prefix(&self.prefix)?.strip_prefix("thread:")?.parse().ok().map(ThreadId)
    }
}
