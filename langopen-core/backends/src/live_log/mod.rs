//! Delivery of events to live readers in this process, which all event logs share.

#[cfg(any(feature = "memory", feature = "sqlite"))]
mod hub;
mod live;
#[cfg(any(feature = "memory", feature = "sqlite"))]
mod thread_log;

use std::time::Duration;

#[cfg(feature = "sqlite")]
pub(crate) use hub::Writing;
#[cfg(any(feature = "memory", feature = "sqlite"))]
pub(crate) use hub::{Hub, Refused};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use live::LiveEvents;
#[cfg(feature = "postgres")]
pub(crate) use live::{Home, Reader};
#[cfg(feature = "sqlite")]
pub(crate) use thread_log::place;

/// How long an ended log is kept, unless its options say otherwise.
pub(crate) const RETENTION: Duration = Duration::from_secs(120);
