#![doc = include_str!("../README.md")]
//!
//! # Tenancy, time and ids
//!
//! Every row belongs to a [`Tenant`], and every call names the [`Scope`] in which it acts. Time and ids come from
//! [`Clock`] and [`IdSource`], so tests can control both.

#![forbid(unsafe_code)]

#[macro_use]
mod setters;

pub mod auth;
mod backend;
pub mod clock;
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
pub mod run_service;
pub mod run_state;
pub mod schedule;
pub mod signals;
pub mod storage;
pub mod telemetry;
pub mod tenant;
pub mod user_interface;
pub mod webhook;

pub use backend::Backend;
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
