//! The settings of a runners' client.

use std::collections::BTreeMap;

use langopen_core::Tenant;

use super::RunnerUrl;
use crate::config::Secret;
use crate::tls::{ClientTls, TlsError};

/// The settings of a runners' client.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RunnerSetSettings {
    /// The addresses of the runners.
    pub urls: Vec<RunnerUrl>,
    /// The token of the single deployment in `urls`, or, with `shared`, of all deployments.
    pub token: Option<Secret>,
    /// Tokens by deployment. They override `token`.
    pub tokens: BTreeMap<Tenant, Secret>,
    /// Trusts all runners equally: they may share one `token`, and a URL without a deployment accepts runners of any
    /// deployment.
    ///
    /// A party that controls one runner can then serve, and read, the runs of every deployment. Without `shared`, a URL
    /// without a deployment means `default/default/default`.
    pub shared: bool,
    /// The certificates for `tls://` addresses.
    pub tls: Option<ClientTls>,
    /// The client's name in the runners' logs.
    pub name: String,
    /// Whether this client serves the API requests that an application itself makes; see
    /// [`HostPool::connect`](crate::HostPool::connect).
    pub serves_api: bool,
    /// Whether this client delivers webhooks, so that runners send it their headers. The headers may contain secrets.
    pub delivers_webhooks: bool,
}

langopen_core::setters! {
    RunnerSetSettings {
        with_urls urls: Vec<RunnerUrl>,
        with_token token: Option<Secret>,
        with_tokens tokens: BTreeMap<Tenant, Secret>,
        with_shared shared: bool,
        with_tls tls: Option<ClientTls>,
        with_name name: String,
        with_serves_api serves_api: bool,
        with_delivers_webhooks delivers_webhooks: bool,
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerSetError {
    /// The certificates cannot be used.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// A runner of one deployment could impersonate a runner of another one.
    #[error("the runners of {0} and of {1} have the same token; give each deployment its own, or share it explicitly")]
    SharedToken(Tenant, Tenant),
}

impl RunnerSetSettings {
    /// Checks that each deployment has its own token, or that all explicitly share one.
    ///
    /// # Errors
    /// `SharedToken` names two deployments with the same token.
    pub fn check(&self) -> Result<(), RunnerSetError> {
        let mut seen: Vec<(Tenant, &Secret)> = Vec::new();
        for tenant in self.urls.iter().filter_map(|url| self.expected(url)) {
            let Some(token) = self.token_of(Some(&tenant)) else { continue };
            if let Some((other, _)) = seen.iter().find(|(other, same)| *other != tenant && *same == token)
                && !self.shared
            {
                return Err(RunnerSetError::SharedToken(other.clone(), tenant));
            }
            seen.push((tenant, token));
        }
        Ok(())
    }

    /// The deployment that a runner at `url` must have; `None` for any.
    pub(super) fn expected(&self, url: &RunnerUrl) -> Option<Tenant> {
        match &url.tenant {
            Some(tenant) => Some(tenant.clone()),
            None if self.shared => None,
            None => Some(Tenant::default()),
        }
    }

    /// The token for the runners of a deployment.
    pub(super) fn token_of(&self, tenant: Option<&Tenant>) -> Option<&Secret> {
        tenant.and_then(|tenant| self.tokens.get(tenant)).or(self.token.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(urls: &str, token: Option<&str>, tokens: &[(&str, &str)], shared: bool) -> RunnerSetSettings {
        let secret = |text: &str| Secret::from(text.to_owned());
        RunnerSetSettings {
            urls: RunnerUrl::list(urls).unwrap(),
            token: token.map(secret),
            tokens: tokens.iter().map(|(name, token)| (Tenant::parse(name).unwrap(), secret(token))).collect(),
            shared,
            ..RunnerSetSettings::default()
        }
    }

    #[test]
    fn one_token_is_for_one_deployment() {
        let two = "a/b/c=tcp://x:1,a/b/d=tcp://y:1";
        assert!(settings(two, Some("t"), &[], false).check().is_err_and(|error| error.to_string().contains("a/b/d")));
        assert!(settings("a/b/c=tcp://x:1,tcp://y:1", Some("t"), &[], false).check().is_err());
        let same = [("a/b/c", "t"), ("a/b/d", "t")];
        assert!(settings(two, None, &same, false).check().is_err(), "the same token under two names");
        for good in [
            settings(two, Some("t"), &[], true),
            settings(two, Some("t"), &[("a/b/d", "other")], false),
            settings(two, None, &[], false),
            settings("a/b/c=tcp://x:1,a/b/c=tcp://y:1", Some("t"), &[], false),
            settings("tcp://x:1,tcp://y:1", Some("t"), &[], false),
        ] {
            good.check().unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[test]
    fn a_url_stands_for_one_deployment() {
        let pinned = settings("a/b/c=tcp://x:1,tcp://y:1", None, &[("a/b/c", "own")], false);
        let of = |settings: &RunnerSetSettings, index: usize| {
            let tenant = settings.expected(&settings.urls[index]);
            let token = settings.token_of(tenant.as_ref()).map(|token| token.expose().to_owned());
            (tenant.map(|tenant| tenant.to_string()), token)
        };
        assert_eq!(of(&pinned, 0), (Some("a/b/c".to_owned()), Some("own".to_owned())));
        assert_eq!(of(&pinned, 1), (Some("default/default/default".to_owned()), None));
        let shared = RunnerSetSettings { shared: true, ..pinned };
        assert_eq!(of(&shared, 1), (None, None));
    }
}
