//! The platform's stored data, as traits: one per resource, and [`Storage`] for those of the tenants together.
//!
//! [`Deployments`] and [`ApiKeys`] belong to the installation and not to a tenant, so they are no part of [`Storage`].
//! A server without stored keys and limits needs neither. They describe their own parameters.
//!
//! Every other call names its [`Scope`](crate::tenant::Scope). Every implementation promises:
//!
//! - Isolation: a row outside of the scope behaves as if it did not exist. Reads do not find it, and changes fail with
//!   [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
//! - Ids: creating a row with the id of a row outside of the scope fails with
//!   [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists), whatever `if_exists` is. The ids of assistants are
//!   an exception: they are unique only within a tenant.
//! - Atomicity: each call takes effect completely or not at all.
//! - Visibility: when a call returns, every later call from any process sees its effect.
//!
//! [`Queue`](crate::queue::Queue) changes runs in flight; it uses the same tables.

mod api_keys;
mod assistants;
mod checkpoints;
mod crons;
mod deployments;
mod health;
mod runs;
mod store_items;
mod threads;

pub use api_keys::ApiKeys;
pub use assistants::{Assistants, DeletedAssistant};
pub use checkpoints::Checkpoints;
pub use crons::Crons;
pub use deployments::Deployments;
pub use health::Health;
pub use runs::Runs;
pub use store_items::StoreItems;
pub use threads::Threads;

/// The stored data of the tenants. Every type with these traits has this one too.
pub trait Storage:
    Assistants + Threads + Runs + Checkpoints + StoreItems + Crons + Health + Send + Sync + 'static
{
}

impl<T> Storage for T where
    T: Assistants + Threads + Runs + Checkpoints + StoreItems + Crons + Health + Send + Sync + 'static
{
}
