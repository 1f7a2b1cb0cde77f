use async_trait::async_trait;

use crate::error::Result;

/// Whether the storage works. Health checks of servers ask it.
#[async_trait]
pub trait Health: Send + Sync {
    /// Writes a row and commits it.
    ///
    /// An answer to a read is not enough: a full disk, a read-only replica and a broken writing connection all let
    /// reads through.
    ///
    /// # Errors
    /// `Unavailable` when the storage takes no writes now.
    async fn check_health(&self) -> Result<()>;
}
