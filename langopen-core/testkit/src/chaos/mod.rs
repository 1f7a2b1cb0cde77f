//! Injects failures into the parts of an installation, from a seed.
//!
//! [`Chaos`] is the plan: which failures happen, and how often. [`Chaos::around`] wraps a part; the [`Chaotic`] part
//! implements the same traits, so it can replace the part:
//!
//! ```
//! use std::sync::Arc;
//! use langopen_backends::memory::Memory;
//! use langopen_testkit::chaos::{Chaos, Rates};
//! use langopen_core::{Queue, Storage};
//!
//! let memory = Arc::new(Memory::new());
//! let chaos = Chaos::new(7, Rates { unanswered: 0.1, ..Rates::default() });
//! let queue: Arc<dyn Queue> = chaos.around(memory.clone());
//! let storage: Arc<dyn Storage> = chaos.around(memory);
//! # let _ = (queue, storage);
//! ```
//!
//! The plan injects every failure that a caller must tolerate:
//!
//! - A call fails and does nothing ([`Rates::refused`]).
//! - A call does its work, but its answer is lost ([`Rates::unanswered`]). The caller receives `Unavailable` and cannot
//!   know the outcome.
//! - A call takes long and takes effect late ([`Rates::delayed`]).
//! - A hint is lost ([`Rates::lost_hint`]): wake-ups, cancels, signals between processes.
//! - A stream breaks off ([`Rates::broken`]): a reader must reconnect, or the executor loses an execution.
//!
//! No injected failure breaks a promise of the traits. So code above them must still keep its own promises: no run is
//! lost or ended twice, and no event is shown twice.
//!
//! The same seed makes the same plan. The failure of a call depends on the seed, the operation and the number of its
//! earlier calls, but not on other operations. [`Chaos::calm`] ends the plan, so that a test can wait until all runs
//! have ended.

mod auth;
mod calls;
mod event_log;
mod executor;
mod hints;
mod outbox;
mod plan;
mod queue;
mod signals;
mod storage;
mod streams;

pub use calls::Chaotic;
pub use plan::{Chaos, Counts, Rates};
