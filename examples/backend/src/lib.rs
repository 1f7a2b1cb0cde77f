//! A complete backend of your own: it implements every trait of `langopen-core` that a backend may have.
//!
//! [`MyBackend`] is the database and [`MyEventLog`] is the event log. `Backend::new` joins the two for servers, workers
//! and the run service. The platform takes each part as a trait object, so you can also replace one part and leave the
//! others as they are.
//!
//! This example keeps its data in memory; put your database in its place. The file of a trait shows what one call must
//! do in one transaction. It uses only published crates:
//!
//! - `langopen-core` has the traits. Their documentation states what an implementation must promise.
//! - `langopen-backends` without features has the rules that all backends share, for example how a new row looks.
//! - `langopen-testkit` has the tests of these promises. `tests/conformance.rs` runs them.
//!
//! | file | what it has |
//! | --- | --- |
//! | `state.rs` | the tables, and the lookups that apply a scope or check a lease |
//! | `assistants.rs`, `threads.rs`, `runs.rs`, `checkpoints.rs` | the traits of these names |
//! | `store_items.rs`, `crons.rs`, `health.rs` | the other traits of `Storage` |
//! | `history.rs` | the checkpoints of one thread: their order, their blobs, and how pruning cuts them |
//! | `queue.rs` | `Queue` |
//! | `line.rs` | the order of runs: which run of a thread is the next one |
//! | `enqueue.rs`, `claim.rs`, `cancel.rs`, `finish.rs` | the steps of the queue |
//! | `outbox.rs` | `Outbox` |
//! | `event_log.rs`, `thread_log.rs` | `EventLog`, and the log of one thread |
//! | `api_keys.rs`, `deployments.rs` | `ApiKeys` and `Deployments`, the data of the installation |
//! | `hints.rs` | the notifications that spare callers a poll |

#![forbid(unsafe_code)]

mod api_keys;
mod assistants;
mod cancel;
mod checkpoints;
mod claim;
mod crons;
mod deployments;
mod enqueue;
mod event_log;
mod finish;
mod health;
mod hints;
mod history;
mod line;
mod outbox;
mod queue;
mod runs;
mod state;
mod store_items;
mod thread_log;
mod threads;

use std::sync::Arc;

use langopen_core::Clock;
use parking_lot::{Mutex, MutexGuard};

pub use event_log::MyEventLog;

use state::State;

/// The database: storage, queue, outbox, API keys and deployments.
///
/// One lock guards all tables. A call locks it once and never waits while it holds it, so each call takes effect
/// completely or not at all. In a database, a transaction has this role.
pub struct MyBackend {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl MyBackend {
    /// An empty database. The tests control the time through `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
