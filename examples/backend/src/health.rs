use async_trait::async_trait;
use langopen_core::Result;
use langopen_core::storage::Health;

use crate::MyBackend;

#[async_trait]
impl Health for MyBackend {
    /// Memory always accepts a write. A backend with a database writes a row here.
    async fn check_health(&self) -> Result<()> {
        Ok(())
    }
}
