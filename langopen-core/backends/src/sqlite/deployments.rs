use async_trait::async_trait;
use futures::FutureExt;
use langopen_core::error::Result;
use langopen_core::model::{Deployment, DeploymentLimits, DeploymentSpec};
use langopen_core::storage::Deployments;
use langopen_core::tenant::Tenant;
use sqlx::sqlite::{SqliteExecutor, SqliteRow};

use super::Sqlite;
use super::columns::{self, Context, text, time};
use crate::rules::deployment;

fn row(row: &SqliteRow) -> Result<Deployment> {
    Ok(Deployment {
        tenant: columns::tenant(row)?,
        hosts: columns::json(row, "hosts")?,
        limits: DeploymentLimits::default()
            .with_max_running_runs(columns::limit(row, "max_running_runs")?)
            .with_max_runs_in_flight(columns::limit(row, "max_runs_in_flight")?)
            .with_max_requests_per_second(columns::limit(row, "max_requests_per_second")?),
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

async fn all<'e>(operation: &'static str, db: impl SqliteExecutor<'e>) -> Result<Vec<Deployment>> {
    let rows = sqlx::query("SELECT * FROM deployments ORDER BY tenant").fetch_all(db).await.context(operation)?;
    rows.iter().map(row).collect()
}

#[async_trait]
impl Deployments for Sqlite {
    async fn put_deployment(&self, tenant: &Tenant, spec: DeploymentSpec) -> Result<Deployment> {
        const OPERATION: &str = "deployments.put";
        let (tenant, now) = (tenant.clone(), self.now());
        let put = self.write(OPERATION, move |db| {
            async move {
                let others = all(OPERATION, &mut *db).await?;
                let earlier = others.iter().find(|other| other.tenant == tenant).map(|row| row.created_at);
                let row = deployment::row(&tenant, spec, earlier, now)?;
                deployment::check_hosts(&row, &others)?;
                sqlx::query(
                    "INSERT OR REPLACE INTO deployments (tenant, hosts, max_running_runs, max_runs_in_flight,
                        max_requests_per_second, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                )
                .bind(row.tenant.as_str())
                .bind(text(&row.hosts)?)
                .bind(row.limits.max_running_runs)
                .bind(row.limits.max_runs_in_flight)
                .bind(row.limits.max_requests_per_second)
                .bind(row.created_at.as_micros())
                .bind(row.updated_at.as_micros())
                .execute(db)
                .await
                .context(OPERATION)?;
                Ok(row)
            }
            .boxed()
        });
        let row = put.await?;
        // A higher limit lets waiting runs start.
        self.wake_if(true);
        Ok(row)
    }

    async fn deployment(&self, tenant: &Tenant) -> Result<Option<Deployment>> {
        let found = sqlx::query("SELECT * FROM deployments WHERE tenant = ?").bind(tenant.as_str());
        let found = found.fetch_optional(self.readers()).await.context("deployments.get")?;
        found.as_ref().map(row).transpose()
    }

    async fn list_deployments(&self) -> Result<Vec<Deployment>> {
        all("deployments.list", self.readers()).await
    }

    async fn delete_deployment(&self, tenant: &Tenant) -> Result<()> {
        const OPERATION: &str = "deployments.delete";
        let named = tenant.clone();
        let removed = self.write(OPERATION, move |db| {
            async move {
                let delete = sqlx::query("DELETE FROM deployments WHERE tenant = ?").bind(named.as_str());
                Ok(delete.execute(db).await.context(OPERATION)?.rows_affected() > 0)
            }
            .boxed()
        });
        if !removed.await? {
            return Err(deployment::not_found(OPERATION, tenant));
        }
        self.wake_if(true);
        Ok(())
    }
}
