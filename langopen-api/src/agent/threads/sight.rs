//! Whether a caller still sees a thread.
//!
//! The log of a thread does not know whose the thread is, and a client may listen before the thread is made. So nothing is passed on until the caller was seen
//! to see the thread's row; and when it has long been quiet, the row is looked at again, for threads go in more ways than by a request.

use std::time::Duration;

use langopen_core::{Result, Scope, ThreadId};
use tokio::time::Instant;

use crate::server::App;

/// How long it is quiet before the row is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What the caller sees of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Its row.
    Visible,
    /// Nothing, though it is there: the caller's filter does not let it pass.
    Hidden,
    /// There is none.
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

    /// Whether the caller was seen to see the thread.
    pub(crate) fn admitted(&self) -> bool {
        self.admitted
    }

    /// Looks whether the caller sees the thread.
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

    /// Whether the thread that was seen is no more. The row is looked at only when it was not for a while.
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
