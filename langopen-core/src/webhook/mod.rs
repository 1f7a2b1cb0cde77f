//! Where webhooks may go.
//!
//! The same rules are asked when a run is created and again when its webhook is sent: by then its host's name may stand for another address.

mod address;
mod policy;

pub use address::{AddressRules, is_always_blocked};
pub use policy::{Blocked, Target, UrlPolicy};
