//! Checks whether a caller still sees a thread.
//!
//! The log of a thread does not record its owner, and a client may subscribe before the thread exists. So the server
//! sends no events until the caller has seen the thread's row once. After a long silence it reads the row again,
//! because not only requests delete threads.

use std::time::Duration;

use langopen_core::{Result, Scope, ThreadId};
use tokio::time::Instant;

use crate::agent::App;

/// The minimum time between two reads of the row during silence.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A caller's view of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The caller sees the thread.
    Visible,
    /// The thread exists, but the caller's filter hides it.
    Hidden,
    /// The thread does not exist.
    Missing,
}

/// Watches one thread's row for a caller.
pub(crate) struct Watch {
    app: App,
    scope: Scope,
    thread_id: ThreadId,
    admitted: bool,
    looked: Instant,
}

impl Watch {
    pub(crate) fn new(app: &App, scope: Scope, thread_id: ThreadId) -> Self {
        Self { app: app.clone(), scope, thread_id, admitted: false, looked: Instant::now() }
    }

    /// Whether the caller has seen the thread.
    pub(crate) fn admitted(&self) -> bool {
        self.admitted
    }

    /// Checks whether the caller sees the thread.
    pub(crate) async fn look(&mut self) -> Result<Sight> {
        self.looked = Instant::now();
        let storage = &self.app.storage;
        if storage.thread(&self.scope, self.thread_id).await?.is_some() {
            self.admitted = true;
            return Ok(Sight::Visible);
        }
        let everything = Scope::tenant(self.scope.tenant.clone());
        if self.scope.filter.is_some() && storage.thread(&everything, self.thread_id).await?.is_some() {
            return Ok(Sight::Hidden);
        }
        Ok(Sight::Missing)
    }

    /// Whether the caller no longer sees a thread that it has seen. It reads the row only if the last read is some time
    /// ago.
    pub(crate) async fn is_gone(&mut self) -> bool {
        if !self.admitted || self.looked.elapsed() < LOOK_AGAIN {
            return false;
        }
        match self.look().await {
            Ok(sight) => sight != Sight::Visible,
            Err(error) => {
                tracing::warn!(thread.id = %self.thread_id, error = %error, "a thread's row cannot be read");
                false
            }
        }
    }
}
