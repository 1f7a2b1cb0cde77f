//! Whose row it is, and which rows a caller may see.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::filter::MetadataFilter;

/// The deployment that a row belongs to, with the project and organization above it.
///
/// It is written `organization/project/deployment`; backends store that text with every row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// A tenant from its three names, each 1 to 63 characters of `a-z`, `0-9` and `-`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) names the part that breaks the rule.
    pub fn new(organization: &str, project: &str, deployment: &str) -> Result<Self> {
        for (part, name) in [("organization", organization), ("project", project), ("deployment", deployment)] {
            let fits = (1..=63).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !fits {
                return Err(Error::invalid(
                    "tenant.new",
                    format!("{part} {name:?} must be 1 to 63 characters of a-z, 0-9 and '-'"),
                ));
            }
        }
        Ok(Self(format!("{organization}/{project}/{deployment}").into()))
    }

    /// Reads the form that [`Tenant::as_str`] writes.
    ///
    /// # Errors
    /// As [`Tenant::new`], and when there are not three parts.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(organization), Some(project), Some(deployment), None) => Self::new(organization, project, deployment),
            _ => Err(Error::invalid("tenant.parse", format!("{text:?} is not organization/project/deployment"))),
        }
    }

    /// `organization/project/deployment`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The organization's name.
    pub fn organization(&self) -> &str {
        self.part(0)
    }

    /// The project's name.
    pub fn project(&self) -> &str {
        self.part(1)
    }

    /// The deployment's name.
    pub fn deployment(&self) -> &str {
        self.part(2)
    }

    fn part(&self, index: usize) -> &str {
        self.0.split('/').nth(index).unwrap_or_default()
    }
}

impl Default for Tenant {
    /// The one tenant of a single-application server.
    fn default() -> Self {
        Self("default/default/default".into())
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a caller may reach: one tenant, and within it the rows whose metadata passes the filter.
///
/// Every storage call takes one. An implementor must behave towards rows outside of the scope as if they did not exist.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The tenant.
    pub tenant: Tenant,
    /// Further narrowing by the authorization of the caller.
    pub filter: Option<MetadataFilter>,
}

impl Scope {
    /// Everything of one tenant.
    pub fn tenant(tenant: Tenant) -> Self {
        Self { tenant, filter: None }
    }
}
