//! The check of a caller's role.

use http::StatusCode;
use langopen_core::auth::Role;

use crate::http::error::{Failure, Result};

/// Refuses a role that is lower than `least`. A caller without a role has no such bound.
pub(crate) fn check_role(role: Option<Role>, least: Role) -> Result<()> {
    match role {
        Some(role) if role < least => {
            let detail = format!("This needs the role {least} or more; the API key has the role {role}");
            Err(Failure::new(StatusCode::FORBIDDEN, detail))
        }
        _ => Ok(()),
    }
}
