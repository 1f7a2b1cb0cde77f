//! `langopen deployments`.

use std::str::FromStr;

use clap::{Args, Subcommand};
use langopen_core::model::{Deployment, DeploymentSpec};
use langopen_core::storage::Deployments;
use langopen_core::{ErrorKind, Tenant};
use serde_json::{Value, json};

use super::store::StoreOptions;
use super::{DeploymentName, table};
use crate::error::CommandError;

#[derive(Debug, Subcommand)]
pub(crate) enum DeploymentsCommand {
    /// List the deployments in the installation's database.
    List(ListOptions),
    /// Create a deployment, or change the settings that are named. The change takes effect within seconds.
    Set(SetOptions),
    /// Delete a deployment's host names and limits. Its threads, runs and other data stay.
    Delete(DeleteOptions),
}

/// Options of `langopen deployments list`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    store: StoreOptions,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Options of `langopen deployments set`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SetOptions {
    /// organization/project/deployment, or a name in default/default.
    name: DeploymentName,
    /// A host name of the deployment, without a port; may be repeated. The new list replaces the earlier host names.
    #[arg(long = "host", value_name = "HOST", conflicts_with = "no_hosts")]
    hosts: Vec<String>,
    /// Remove all host names.
    #[arg(long)]
    no_hosts: bool,
    /// The limit on running runs, or `none`. Further runs wait.
    #[arg(long, value_name = "RUNS")]
    max_running_runs: Option<Limit>,
    /// The limit on runs in flight, or `none`. The API refuses further runs.
    #[arg(long, value_name = "RUNS")]
    max_runs_in_flight: Option<Limit>,
    /// The limit on requests per second to each API server, or `none`. The API refuses further requests.
    #[arg(long, value_name = "REQUESTS")]
    max_requests_per_second: Option<Limit>,
    #[command(flatten)]
    store: StoreOptions,
}

/// Options of `langopen deployments delete`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeleteOptions {
    /// organization/project/deployment, or a name in default/default.
    name: DeploymentName,
    #[command(flatten)]
    store: StoreOptions,
}

/// A number, or `none`.
#[derive(Debug, Clone, Copy)]
struct Limit(Option<u32>);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            number => {
                number.parse().map(|number| Self(Some(number))).map_err(|_| "expected a number or `none`".to_owned())
            }
        }
    }
}

pub(crate) async fn run(command: DeploymentsCommand) -> Result<(), CommandError> {
    match command {
        DeploymentsCommand::List(options) => {
            let store = options.store.open().await?;
            let listed = store.deployments().list_deployments().await;
            store.close().await;
            show(&listed?, options.json)
        }
        DeploymentsCommand::Set(options) => {
            let store = options.store.open().await?;
            let set = set(&*store.deployments(), options).await;
            store.close().await;
            show(&[set?], false)
        }
        DeploymentsCommand::Delete(DeleteOptions { name: DeploymentName(tenant), store }) => {
            let store = store.open().await?;
            let deleted = store.deployments().delete_deployment(&tenant).await;
            store.close().await;
            deleted.map_err(|error| missing(error, &tenant))?;
            println!("The host names and limits of {tenant} are deleted. Its data stays.");
            Ok(())
        }
    }
}

async fn set(deployments: &dyn Deployments, options: SetOptions) -> Result<Deployment, CommandError> {
    let DeploymentName(tenant) = options.name;
    let before = deployments.deployment(&tenant).await?;
    let mut spec =
        before.map_or_else(DeploymentSpec::default, |row| DeploymentSpec { hosts: row.hosts, limits: row.limits });
    if options.no_hosts || !options.hosts.is_empty() {
        spec.hosts = options.hosts;
    }
    let limits = &mut spec.limits;
    for (given, limit) in [
        (options.max_running_runs, &mut limits.max_running_runs),
        (options.max_runs_in_flight, &mut limits.max_runs_in_flight),
        (options.max_requests_per_second, &mut limits.max_requests_per_second),
    ] {
        if let Some(Limit(given)) = given {
            *limit = given;
        }
    }
    Ok(deployments.put_deployment(&tenant, spec).await?)
}

fn missing(error: langopen_core::Error, tenant: &Tenant) -> CommandError {
    match error.kind() {
        ErrorKind::NotFound => CommandError::NoDeployment(tenant.clone()),
        _ => error.into(),
    }
}

fn show(deployments: &[Deployment], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        println!("{}", serde_json::to_string(&deployments.iter().map(json).collect::<Vec<_>>())?);
        return Ok(());
    }
    let limit = |limit: Option<u32>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    let row = |row: &Deployment| {
        let limits = row.limits;
        [
            row.tenant.to_string(),
            row.hosts.join(","),
            limit(limits.max_running_runs),
            limit(limits.max_runs_in_flight),
            limit(limits.max_requests_per_second),
        ]
    };
    let rows: Vec<_> = deployments.iter().map(row).collect();
    let head = ["DEPLOYMENT", "HOSTS", "RUNNING RUNS", "RUNS IN FLIGHT", "REQUESTS/S"];
    table::print(head, &rows, "There are no deployments except the default one.");
    Ok(())
}

fn json(row: &Deployment) -> Value {
    json!({
        "deployment": row.tenant.as_str(), "hosts": row.hosts, "max_running_runs": row.limits.max_running_runs,
        "max_runs_in_flight": row.limits.max_runs_in_flight,
        "max_requests_per_second": row.limits.max_requests_per_second,
        "created_at": row.created_at, "updated_at": row.updated_at,
    })
}
