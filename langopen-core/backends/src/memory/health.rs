use async_trait::async_trait;
use langopen_core::error::Result;
use langopen_core::storage::Health;

use super::Memory;

#[async_trait]
impl Health for Memory {
    async fn check_health(&self) -> Result<()> {
        Ok(())
    }
}
