//! Commands that manage API keys and deployments in the database of an installation.

mod deployments;
mod keys;
mod store;
mod table;

pub(crate) use deployments::{DeploymentsCommand, run as deployments};
pub(crate) use keys::{KeysCommand, NewKeyOptions, run as keys};

use std::str::FromStr;

use langopen_core::Tenant;

/// A deployment as a command-line argument: `organization/project/deployment`, or a name in `default/default`.
#[derive(Debug, Clone)]
pub(crate) struct DeploymentName(pub(crate) Tenant);

impl FromStr for DeploymentName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let default = Tenant::default();
        let tenant = match text.contains('/') {
            true => Tenant::parse(text),
            false => Tenant::new(default.organization(), default.project(), text),
        };
        tenant.map(Self).map_err(|error| error.message().to_owned())
    }
}
