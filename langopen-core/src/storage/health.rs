use async_trait::async_trait;

use crate::error::Result;

/// Checks whether the storage works. The health checks of servers use it.
#[async_trait]
pub trait Health: Send + Sync {
    /// Writes a row and commits it.
    ///
    /// A read is not sufficient: it also succeeds with a full disk, on a read-only replica, or while the writing
    /// connection is broken.
    ///
    /// # Errors
    /// - `Unavailable`: the storage accepts no writes now.
    async fn check_health(&self) -> Result<()>;
}
