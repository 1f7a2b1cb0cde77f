use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::tenant::Tenant;

/// The deployments that a key covers. Written `organization/project/deployment`, `organization/project/*` or
/// `organization/*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyScope {
    /// One deployment.
    Deployment(Tenant),
    /// All deployments of a project, also future ones.
    Project {
        /// The organization's name.
        organization: String,
        /// The project's name.
        project: String,
    },
    /// All deployments of an organization, also future ones.
    Organization(String),
}

/// A placeholder for the names that a wider scope leaves open, so that the other names can be checked.
const ANY: &str = "any";

impl KeyScope {
    /// Reads the form that `Display` writes.
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.split('/').collect();
        match parts[..] {
            [organization, "*"] => {
                Tenant::new(organization, ANY, ANY).map(|_| Self::Organization(organization.to_owned()))
            }
            [organization, project, "*"] => Tenant::new(organization, project, ANY)
                .map(|_| Self::Project { organization: organization.to_owned(), project: project.to_owned() }),
            [organization, project, deployment] => Tenant::new(organization, project, deployment).map(Self::Deployment),
            _ => {
                let message = format!(
                    "{text:?} is none of organization/project/deployment, organization/project/* and organization/*"
                );
                Err(Error::invalid("key_scope.parse", message))
            }
        }
    }

    /// Whether it covers that deployment.
    pub fn covers(&self, tenant: &Tenant) -> bool {
        match self {
            Self::Deployment(own) => own == tenant,
            Self::Project { organization, project } => {
                organization == tenant.organization() && project == tenant.project()
            }
            Self::Organization(organization) => organization == tenant.organization(),
        }
    }

    /// Whether it covers every deployment of the other scope.
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Deployment(tenant)) => self.covers(tenant),
            (Self::Organization(own), Self::Project { organization, .. }) => own == organization,
            _ => self == other,
        }
    }

    /// The organization's name.
    pub fn organization(&self) -> &str {
        match self {
            Self::Deployment(tenant) => tenant.organization(),
            Self::Project { organization, .. } | Self::Organization(organization) => organization,
        }
    }

    /// The project's name, if it covers one project.
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::Deployment(tenant) => Some(tenant.project()),
            Self::Project { project, .. } => Some(project),
            Self::Organization(_) => None,
        }
    }

    /// The deployment, if it covers only one.
    pub fn deployment(&self) -> Option<&Tenant> {
        match self {
            Self::Deployment(tenant) => Some(tenant),
            _ => None,
        }
    }
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployment(tenant) => tenant.fmt(f),
            Self::Project { organization, project } => write!(f, "{organization}/{project}/*"),
            Self::Organization(organization) => write!(f, "{organization}/*"),
        }
    }
}

impl FromStr for KeyScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.message().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_contain_one_another() {
        let scopes = ["a/*", "a/b/*", "a/b/c", "x/*", "a/x/*", "a/b/x"];
        let contained = |outer: &str| -> Vec<&str> {
            let outer = KeyScope::parse(outer).unwrap();
            assert_eq!(KeyScope::parse(&outer.to_string()).unwrap(), outer);
            scopes.into_iter().filter(|inner| outer.contains(&KeyScope::parse(inner).unwrap())).collect()
        };
        assert_eq!(contained("a/*"), ["a/*", "a/b/*", "a/b/c", "a/x/*", "a/b/x"]);
        assert_eq!(contained("a/b/*"), ["a/b/*", "a/b/c", "a/b/x"]);
        assert_eq!(contained("a/b/c"), ["a/b/c"]);
        for wrong in ["", "*", "a", "a/b/c/d", "A/*", "*/b/c", "a/*/c", "a/b", "a//*"] {
            assert!(KeyScope::parse(wrong).is_err(), "{wrong}");
        }
    }
}
