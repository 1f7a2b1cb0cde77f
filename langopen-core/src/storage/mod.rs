//! What the platform keeps, as traits: one per resource, and [`Storage`] for all of them together.
//!
//! Every call names the [`Scope`](crate::tenant::Scope) it acts in (those of [`Deployments`] and [`ApiKeys`] say what
//! they name instead). An implementor must behave towards rows outside of the scope as if they did not exist: reads
//! find nothing, changes fail with [`ErrorKind::NotFound`](crate::ErrorKind::NotFound), creating over a foreign row's
//! id fails with [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) whatever `if_exists` says (but for
//! assistants, whose ids are unique within a tenant only). Each call is atomic: it happens whole or not at all, and
//! when it returns, its effect is there for every later call from anywhere.
//!
//! What happens to runs in flight is not here but in [`Queue`](crate::queue::Queue), which shares the same tables.

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

/// Everything that the platform keeps.
pub trait Storage:
    Assistants + Threads + Runs + Checkpoints + StoreItems + Crons + Deployments + ApiKeys + Health + Send + Sync + 'static
{
}

impl<T> Storage for T where
    T: Assistants
        + Threads
        + Runs
        + Checkpoints
        + StoreItems
        + Crons
        + Deployments
        + ApiKeys
        + Health
        + Send
        + Sync
        + 'static
{
}
