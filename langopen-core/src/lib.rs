//! The heart of LangOpen: what an agent platform keeps and does, without HTTP and without a particular database.
//!
//! - [`model`]: assistants, threads, runs, checkpoints, store items, crons, deployments, API keys; [`run_state`] holds the run state machine.
//! - [`run_plan`]: from what a client asked for to a run that the queue can take.
//! - [`storage`], [`queue`], [`event_log`], [`outbox`], [`signals`], [`executor`], [`auth`]: the traits. Implement one to bring your own part.
//! - [`webhook`]: where webhooks may go.
//! - [`backend`]: ready implementations, by feature: `memory`, `sqlite`, `postgres`, `redis`.
//! - `conformance` (feature): the suite that every backend here passes, and that yours can run.
//! - `chaos` (feature): a decorator over every trait that makes parts fail on purpose.
//!
//! Every row belongs to a [`Tenant`]; every call names the [`Scope`] it acts in. Time and ids come from [`Clock`] and [`IdSource`], so tests
//! can drive them.

pub mod auth;
pub mod backend;
#[cfg(feature = "chaos")]
pub mod chaos;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod embedder;
pub mod error;
pub mod event_log;
pub mod executor;
pub mod filter;
pub mod ids;
pub mod json;
pub mod model;
pub mod outbox;
pub mod queue;
pub mod run_plan;
pub mod run_state;
pub mod schedule;
pub mod signals;
pub mod storage;
pub mod telemetry;
pub mod tenant;
pub mod user_interface;
pub mod webhook;

pub use clock::{Clock, SystemClock, Timestamp};
pub use embedder::Embedder;
pub use error::{Error, ErrorKind, Result};
pub use event_log::EventLog;
pub use executor::Executor;
pub use ids::{ApiKeyId, AssistantId, CronId, IdSource, RunId, SystemIds, ThreadId};
pub use json::{JsonMap, RawJson, RawObject};
pub use outbox::Outbox;
pub use queue::Queue;
pub use run_state::RunStatus;
pub use signals::Signals;
pub use storage::Storage;
pub use tenant::{Scope, Tenant};
pub use user_interface::UserInterfaces;
