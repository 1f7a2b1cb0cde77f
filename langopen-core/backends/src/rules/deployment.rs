//! The rules for rows of deployments, and the check of their limits.

use std::collections::BTreeSet;

use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::model::{Deployment, DeploymentSpec};
use langopen_core::tenant::Tenant;

const PUT: &str = "deployments.put";

/// The row after a put. `earlier` is the creation time of the existing row, if any.
pub fn row(tenant: &Tenant, spec: DeploymentSpec, earlier: Option<Timestamp>, now: Timestamp) -> Result<Deployment> {
    let hosts = spec.hosts.iter().map(|host| host_name(host)).collect::<Result<BTreeSet<_>>>()?;
    if spec.limits.max_requests_per_second == Some(0) {
        return Err(Error::invalid(PUT, "max_requests_per_second must be at least 1; leave it out for no limit"));
    }
    Ok(Deployment {
        tenant: tenant.clone(),
        hosts: hosts.into_iter().collect(),
        limits: spec.limits,
        created_at: earlier.unwrap_or(now),
        updated_at: now,
    })
}

fn host_name(host: &str) -> Result<String> {
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    };
    if host.len() <= 253 && host.split('.').all(label) {
        return Ok(host.to_ascii_lowercase());
    }
    let message =
        format!("{host:?} is not a host name: write labels of a-z, 0-9 and '-' with dots between them, without a port");
    Err(Error::invalid(PUT, message))
}

/// Refuses the row if another deployment has one of its hosts. The error does not name that deployment, because the
/// caller may have no access to it.
pub fn check_hosts<'a>(row: &Deployment, others: impl IntoIterator<Item = &'a Deployment>) -> Result<()> {
    let others = others.into_iter().filter(|other| other.tenant != row.tenant);
    match others.flat_map(|other| &other.hosts).find(|host| row.hosts.contains(host)) {
        Some(host) => Err(Error::conflict(PUT, format!("another deployment has the host {host} already"))),
        None => Ok(()),
    }
}

/// The error for a deployment that does not exist.
pub fn not_found(operation: &'static str, tenant: &Tenant) -> Error {
    Error::not_found(operation, format!("there is no deployment {tenant}"))
}

/// Refuses a new run if the deployment already has its maximum of runs in flight.
pub fn check_room(operation: &'static str, in_flight: u64, limit: u32) -> Result<()> {
    if in_flight < u64::from(limit) {
        return Ok(());
    }
    let message = format!(
        "the deployment has {in_flight} runs in flight, and max_runs_in_flight is {limit}: wait until some have ended, cancel some, or raise the limit"
    );
    Err(Error::new(ErrorKind::LimitReached, operation, message))
}
