//! What a client of runners needs to know.

use std::collections::BTreeMap;

use langopen_core::Tenant;

use super::RunnerUrl;
use crate::config::Secret;
use crate::tls::{ClientTls, TlsError};

/// What a client of runners needs to know.
#[derive(Debug, Clone, Default)]
pub struct RunnerSetSettings {
    /// Where the runners are.
    pub urls: Vec<RunnerUrl>,
    /// The token of the one deployment that `urls` name; of all of them, with `shared`.
    pub token: Option<Secret>,
    /// Tokens by deployment. They stand over `token`.
    pub tokens: BTreeMap<Tenant, Secret>,
    /// Trusts all runners alike: they may have one `token`, and a URL without a deployment takes a runner of any.
    ///
    /// Then whoever controls one runner can serve, and see, the runs of every deployment. Without it a URL that names no
    /// deployment stands for `default/default/default`.
    pub shared: bool,
    /// For `tls://` addresses.
    pub tls: Option<ClientTls>,
    /// The client's name in the runners' logs.
    pub name: String,
    /// Whether this client serves the requests that an application makes of the API by itself; see
    /// [`HostPool::connect`](crate::HostPool::connect).
    pub serves_api: bool,
    /// Whether runners send this client the headers of webhooks, which may be secrets.
    pub delivers_webhooks: bool,
}

/// Why runners cannot be reached with some settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerSetError {
    /// The certificates cannot be used.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// Runners of one deployment could pass for those of another.
    #[error(
        "one token is given for the runners of {0} and of {1}; give each deployment a token, or share it explicitly"
    )]
    SharedToken(Tenant, Tenant),
}

impl RunnerSetSettings {
    /// Whether each deployment has a token of its own, or all share one explicitly.
    ///
    /// # Errors
    /// `SharedToken` names two deployments that would have the same token.
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

    /// The deployment that a runner at `url` must be of; `None` for any.
    pub(super) fn expected(&self, url: &RunnerUrl) -> Option<Tenant> {
        match &url.tenant {
            Some(tenant) => Some(tenant.clone()),
            None if self.shared => None,
            None => Some(Tenant::default()),
        }
    }

    /// The token for runners of a deployment.
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
