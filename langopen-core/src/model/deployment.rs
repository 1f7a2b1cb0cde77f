use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::tenant::Tenant;

/// A deployment: one application with its own data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its name, with its project and organization.
    pub tenant: Tenant,
    /// Host names that route to it, in lower case, without a port.
    pub hosts: Vec<String>,
    /// Its limits.
    pub limits: DeploymentLimits,
    /// When the row was created.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// The settings of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentSpec {
    /// Host names that route to it.
    pub hosts: Vec<String>,
    /// Its limits.
    pub limits: DeploymentLimits,
}

/// The limits of one deployment. `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeploymentLimits {
    /// The most runs that may be running at once; 0 stops the deployment. Further runs wait in the queue.
    pub max_running_runs: Option<u32>,
    /// The most runs in flight, pending or running; 0 rejects every run. Further runs are rejected.
    pub max_runs_in_flight: Option<u32>,
    /// The most requests per second to each API server; at least 1.
    pub max_requests_per_second: Option<u32>,
}

setters! {
    DeploymentLimits {
        with_max_running_runs max_running_runs: Option<u32>,
        with_max_runs_in_flight max_runs_in_flight: Option<u32>,
        with_max_requests_per_second max_requests_per_second: Option<u32>,
    }
}
