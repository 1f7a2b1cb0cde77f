use async_trait::async_trait;
use futures::FutureExt;
use langopen_core::error::Result;
use langopen_core::storage::Health;

use super::Sqlite;
use super::columns::Context;

#[async_trait]
impl Health for Sqlite {
    async fn check_health(&self) -> Result<()> {
        const OPERATION: &str = "health.check";
        let now = self.now().as_micros();
        self.write_whole(OPERATION, move |db| {
            async move {
                let write =
                    "INSERT INTO health (one, checked_at) VALUES (1, ?1) ON CONFLICT DO UPDATE SET checked_at = ?1";
                sqlx::query(write).bind(now).execute(db).await.context(OPERATION).map(drop)
            }
            .boxed()
        })
        .await
    }
}
