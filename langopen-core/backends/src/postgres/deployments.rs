use async_trait::async_trait;
use langopen_core::error::Result;
use langopen_core::model::{Deployment, DeploymentLimits, DeploymentSpec};
use langopen_core::signals::Signal;
use langopen_core::storage::Deployments;
use langopen_core::tenant::Tenant;
use sqlx::postgres::PgRow;

use super::Postgres;
use super::columns::{self, Context, text, time};
use super::session::{Db, transaction};
use crate::rules::deployment;

const ALL: &str = "SELECT tenant, hosts, max_running_runs, max_runs_in_flight, max_requests_per_second, created_at, updated_at FROM deployments
     WHERE $1::TEXT IS NULL OR tenant = $1 ORDER BY tenant";

fn deployment(row: &PgRow) -> Result<Deployment> {
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

/// The rows of all deployments, or only the row of one tenant.
async fn rows(operation: &'static str, db: &mut Db, tenant: Option<&Tenant>) -> Result<Vec<Deployment>> {
    let rows = sqlx::query(ALL).bind(tenant.map(Tenant::as_str)).fetch_all(db).await.context(operation)?;
    rows.iter().map(deployment).collect()
}

#[async_trait]
impl Deployments for Postgres {
    async fn put_deployment(&self, tenant: &Tenant, spec: DeploymentSpec) -> Result<Deployment> {
        const OPERATION: &str = "deployments.put";
        let now = self.now();
        let put = transaction!(self, OPERATION, |db| {
            // This lock prevents two transactions from taking the same host. Other transactions can still read.
            sqlx::query("LOCK TABLE deployments IN SHARE ROW EXCLUSIVE MODE")
                .execute(&mut *db)
                .await
                .context(OPERATION)?;
            let others = rows(OPERATION, db, None).await?;
            let earlier = others.iter().find(|other| other.tenant == *tenant).map(|row| row.created_at);
            let row = deployment::row(tenant, spec.clone(), earlier, now)?;
            deployment::check_hosts(&row, &others)?;
            sqlx::query(
                "INSERT INTO deployments (tenant, hosts, max_running_runs, max_runs_in_flight, max_requests_per_second, created_at,
                    updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (tenant) DO UPDATE SET hosts = excluded.hosts, max_running_runs = excluded.max_running_runs,
                    max_runs_in_flight = excluded.max_runs_in_flight, max_requests_per_second = excluded.max_requests_per_second,
                    updated_at = excluded.updated_at",
            )
            .bind(row.tenant.as_str())
            .bind(text(&row.hosts)?)
            .bind(row.limits.max_running_runs.map(i64::from))
            .bind(row.limits.max_runs_in_flight.map(i64::from))
            .bind(row.limits.max_requests_per_second.map(i64::from))
            .bind(row.created_at.as_micros())
            .bind(row.updated_at.as_micros())
            .execute(&mut *db)
            .await
            .context(OPERATION)?;
            Ok(row)
        });
        let row = put.await?;
        // A higher limit lets waiting runs start.
        self.hint(Signal::RunsReady);
        Ok(row)
    }

    async fn deployment(&self, tenant: &Tenant) -> Result<Option<Deployment>> {
        const OPERATION: &str = "deployments.get";
        Ok(rows(OPERATION, &mut *self.session(OPERATION).await?, Some(tenant)).await?.pop())
    }

    async fn list_deployments(&self) -> Result<Vec<Deployment>> {
        const OPERATION: &str = "deployments.list";
        rows(OPERATION, &mut *self.session(OPERATION).await?, None).await
    }

    async fn delete_deployment(&self, tenant: &Tenant) -> Result<()> {
        const OPERATION: &str = "deployments.delete";
        let mut db = self.session(OPERATION).await?;
        let delete = sqlx::query("DELETE FROM deployments WHERE tenant = $1").bind(tenant.as_str());
        if delete.execute(&mut *db).await.context(OPERATION)?.rows_affected() == 0 {
            return Err(deployment::not_found(OPERATION, tenant));
        }
        db.done(OPERATION).await?;
        self.hint(Signal::RunsReady);
        Ok(())
    }
}
