use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::tenant::Tenant;

/// A deployment: one application with data of its own, among others in an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its name, with the project and organization above it.
    pub tenant: Tenant,
    /// Host names that reach it, in lower case, without a port.
    pub hosts: Vec<String>,
    /// What limits it.
    pub limits: DeploymentLimits,
    /// When the row was made.
    pub created_at: Timestamp,
    /// When it was last put.
    pub updated_at: Timestamp,
}

/// What can be said of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentSpec {
    /// Host names that reach it.
    pub hosts: Vec<String>,
    /// What limits it.
    pub limits: DeploymentLimits,
}

/// The limits of one deployment; `None` for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentLimits {
    /// How many of its runs may be running at once; 0 stops it. More wait.
    pub max_running_runs: Option<u32>,
    /// How many of its runs may be in flight, pending or running; 0 refuses every run. One more is not created.
    pub max_runs_in_flight: Option<u32>,
    /// How many requests each API server takes for it in a second; at least 1.
    pub max_requests_per_second: Option<u32>,
}
