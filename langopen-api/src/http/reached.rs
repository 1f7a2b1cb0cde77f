//! The deployment that a request has reached.

use std::sync::Arc;

use http::{StatusCode, Uri};
use langopen_core::Tenant;
use langopen_core::auth::Identity;

use super::rate::Rate;
use crate::http::error::{Failure, Result};

/// The deployment that a request has reached. An [`Installation`](crate::Installation) adds it to the extensions of
/// every request that it passes on.
#[derive(Clone)]
pub(crate) struct Reached {
    pub(crate) tenant: Tenant,
    /// The part of the path that names the deployment, e.g. `/d/prod`; empty if the path names none.
    pub(crate) prefix: Arc<str>,
    /// Whether the request names the deployment, by path or by host.
    pub(crate) named: bool,
    /// Whether it is the default deployment of the installation.
    pub(crate) default: bool,
    pub(crate) rate: Option<Arc<Rate>>,
}

impl Reached {
    /// Refuses a caller of another deployment, even if the login admits it.
    pub(crate) fn check(&self, identity: &Identity) -> Result<()> {
        match identity.tenant == self.tenant {
            true => Ok(()),
            false => Err(Failure::new(StatusCode::FORBIDDEN, "These credentials are not for that deployment")),
        }
    }

    /// Whether the request names the deployment by its host.
    pub(crate) fn is_by_host(&self) -> bool {
        self.named && self.prefix.is_empty()
    }

    /// Counts a request of an authenticated caller. It refuses the request if the rate limit is reached.
    pub(crate) fn count(&self) -> Result<()> {
        let Some(rate) = &self.rate else { return Ok(()) };
        rate.check().map_err(|wait| {
            let detail = format!(
                "the deployment accepts {} requests per second (max_requests_per_second): wait, send fewer requests, or raise the limit",
                rate.limit()
            );
            Failure::too_many(detail, wait)
        })
    }

    /// A path as the client wrote it, changed so that it reaches this deployment without an API key. The key may have
    /// supplied the deployment that the path does not name.
    pub(crate) fn without_credentials(&self, path: &str) -> String {
        match path.strip_prefix(&*self.prefix) {
            Some(below) if !self.prefix.is_empty() || !(self.named || self.default) => {
                format!("/d/{}{below}", self.tenant.to_string().replace('/', "."))
            }
            _ => path.to_owned(),
        }
    }

    /// The URI as the client wrote it, from a URI without the prefix.
    pub(crate) fn whole(&self, uri: &Uri) -> Option<Uri> {
        with_path(uri, &format!("{}{}", self.prefix, uri.path()))
    }

    /// The URI without the prefix.
    pub(crate) fn below(&self, uri: &Uri) -> Option<Uri> {
        below(uri, &self.prefix)
    }
}

/// The URI without the prefix of its path; `None` if the path does not begin with the prefix.
fn below(uri: &Uri, prefix: &str) -> Option<Uri> {
    match uri.path().strip_prefix(prefix)? {
        "" => with_path(uri, "/"),
        path => with_path(uri, path),
    }
}

/// The URI with another path.
fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("{path}{query}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_taken_off() {
        let below = |uri: &str, prefix| below(&uri.parse().unwrap(), prefix).map(|uri| uri.to_string());
        assert_eq!(below("/d/x/threads?a=%2F", "/d/x").as_deref(), Some("/threads?a=%2F"));
        assert_eq!(below("/d/x", "/d/x").as_deref(), Some("/"));
        assert_eq!(below("/d/x?a", "/d/x").as_deref(), Some("/?a"));
        assert_eq!(below("http://h:1/d/x/ok", "/d/x").as_deref(), Some("http://h:1/ok"));
    }
}
