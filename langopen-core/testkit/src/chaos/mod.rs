//! Parts that fail on purpose: a decorator over every trait of this crate, driven by a seed.
//!
//! [`Chaos`] is the plan: what goes wrong, how often. [`Chaos::around`] puts it around any part; a [`Chaotic`] part implements the traits that
//! the part implements, so it goes wherever that one goes:
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
//! What a caller must bear, and what this makes happen:
//! - a call that fails before it does anything ([`Rates::refused`]);
//! - a call that does its work, and whose answer is lost ([`Rates::unanswered`]): the caller is told `Unavailable` and cannot know;
//! - a call that takes long, and then arrives late ([`Rates::delayed`]);
//! - a hint that never comes ([`Rates::lost_hint`]): wakes, cancels, signals between processes;
//! - a stream that breaks off ([`Rates::broken`]): a reader that is told to come back, an execution that is lost.
//!
//! Nothing here breaks a promise of the traits, so whatever is built on them must keep its own: no run lost, none ended twice, no event shown twice.
//!
//! The same seed makes the same plan: what befalls a call depends on the seed, the operation and how often that was called before, and not on what
//! other operations do meanwhile. [`Chaos::calm`] ends it, so that a test can wait until all has settled.

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
