use async_trait::async_trait;
use langopen_core::error::Result;
use langopen_core::storage::Health;

use super::Postgres;
use super::columns::Context;

#[async_trait]
impl Health for Postgres {
    async fn check_health(&self) -> Result<()> {
        const OPERATION: &str = "health.check";
        let mut db = self.session(OPERATION).await?;
        let write = "INSERT INTO health (one, checked_at) VALUES (TRUE, $1) ON CONFLICT (one) DO UPDATE SET checked_at = excluded.checked_at";
        sqlx::query(write).bind(self.now().as_micros()).execute(&mut *db).await.context(OPERATION)?;
        db.done(OPERATION).await
    }
}
