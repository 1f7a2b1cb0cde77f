use async_trait::async_trait;

use super::Memory;
use crate::error::Result;
use crate::storage::Health;

#[async_trait]
impl Health for Memory {
    async fn check_health(&self) -> Result<()> {
        Ok(())
    }
}
