//! Where webhooks may go.
//!
//! The rules are checked when a run is created and again when its webhook is sent, because the host's name may resolve
//! to another address by then.

mod address;
mod policy;

pub use address::{AddressRules, is_always_blocked};
pub use policy::{Blocked, Target, UrlPolicy};
