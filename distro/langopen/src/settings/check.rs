//! Checks rules that involve several settings, before anything starts.

use std::collections::BTreeMap;
use std::time::Duration;

use langopen_core::Tenant;
use langopen_runner::config::Secret;
use langopen_runner::{ClientTls, RunnerSetSettings, RunnerUrl, ServerTls};

use super::{ApiSettings, RequireApiKeys, RunnerSettings, RunnersSettings, Settings, WorkerSection};
use crate::app::KeysNeeded;
use crate::database::DataStore;
use crate::error::CommandError;

fn wrong<T>(name: &'static str, why: &str) -> Result<T, CommandError> {
    Err(CommandError::Setting { name, why: why.to_owned() })
}

impl Settings {
    /// The shared Postgres of a platform's API servers and workers.
    pub(crate) fn backend(&self) -> Result<DataStore, CommandError> {
        let Some(url) = &self.database.url else {
            return wrong("database.url", "name the Postgres that the platform's processes share, with --database");
        };
        match DataStore::of(Some(url.expose()), self.redis.url.as_ref().map(|url| url.expose()))? {
            DataStore::Postgres(shared) => {
                let shared = shared.with(self.database.connections, &self.redis.prefix);
                Ok(DataStore::Postgres(shared.with_direct(self.database.direct_url.clone())?))
            }
            _ => wrong("database.url", "processes of one platform can only share a Postgres: postgres://..."),
        }
    }
}

impl RunnersSettings {
    /// The settings of a client of runners. `name` identifies the client in the runners' logs.
    pub(crate) fn client(&self, name: String) -> Result<RunnerSetSettings, CommandError> {
        let urls = RunnerUrl::list(&self.urls).or_else(|error| wrong("runners.urls", &error.to_string()))?;
        if urls.is_empty() {
            return wrong("runners.urls", "name at least one runner, with --runner-urls");
        }
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            (None, None) => None,
            _ => return wrong("runners.cert", "a certificate and its key go together"),
        };
        let tls = match &self.ca {
            Some(ca) => Some(ClientTls { ca: ca.clone(), identity }),
            None if urls.iter().any(RunnerUrl::is_tls) || identity.is_some() => {
                return wrong("runners.ca", "name the CA of the runners' certificates, with --runner-ca");
            }
            None => None,
        };
        let settings = RunnerSetSettings::default()
            .with_urls(urls)
            .with_token(self.token.clone())
            .with_tokens(self.tokens()?)
            .with_shared(self.shared)
            .with_tls(tls)
            .with_name(name)
            .with_serves_api(false)
            .with_delivers_webhooks(false);
        settings.check()?;
        Ok(settings)
    }

    /// Parses `deployment=token` pairs, separated by commas or newlines. Error messages never show a token.
    fn tokens(&self) -> Result<BTreeMap<Tenant, Secret>, CommandError> {
        let text = self.tokens.as_ref().map(Secret::expose).unwrap_or_default();
        let entries =
            text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty() && !entry.starts_with('#'));
        let mut tokens = BTreeMap::new();
        for (number, entry) in (1..).zip(entries) {
            let pair = entry.split_once('=').map(|(name, token)| (Tenant::parse(name.trim()), token.trim()));
            let Some((Ok(tenant), token)) = pair.filter(|(_, token)| !token.is_empty()) else {
                return wrong(
                    "runners.tokens",
                    &format!("entry {number} is not organization/project/deployment=TOKEN"),
                );
            };
            tokens.insert(tenant, Secret::from(token.to_owned()));
        }
        Ok(tokens)
    }
}

impl ApiSettings {
    /// The deployment of requests that name no deployment.
    pub(crate) fn tenant(&self) -> Result<Option<Tenant>, CommandError> {
        let parse = |text: &String| Tenant::parse(text).or_else(|error| wrong("api.deployment", error.message()));
        self.deployment.as_ref().map(parse).transpose()
    }

    pub(crate) fn needed_keys(&self) -> KeysNeeded {
        match self.require_api_keys {
            RequireApiKeys::Auto if self.host.is_loopback() && self.api_keys.is_none() => KeysNeeded::FromFirst,
            RequireApiKeys::Auto | RequireApiKeys::Always => KeysNeeded::Always,
            RequireApiKeys::Never => KeysNeeded::Never,
        }
    }
}

impl WorkerSection {
    pub(crate) fn lease(&self) -> Result<Duration, CommandError> {
        match Duration::try_from_secs_f64(self.lease_seconds) {
            Ok(lease) if lease >= Duration::from_millis(100) => Ok(lease),
            _ => wrong("worker.lease_seconds", "it must be 0.1 or more"),
        }
    }
}

impl RunnerSettings {
    pub(crate) fn tenant(&self) -> Result<Tenant, CommandError> {
        Tenant::parse(&self.deployment).or_else(|error| wrong("runner.deployment", error.message()))
    }

    pub(crate) fn tls(&self) -> Result<Option<ServerTls>, CommandError> {
        match (&self.tls_cert, &self.tls_key, &self.tls_client_ca) {
            (Some(cert), Some(key), client_ca) => {
                Ok(Some(ServerTls { cert: cert.clone(), key: key.clone(), client_ca: client_ca.clone() }))
            }
            (None, None, None) => Ok(None),
            (None, None, Some(_)) => {
                wrong("runner.tls_client_ca", "it needs a certificate and a key of the runner's own")
            }
            _ => wrong("runner.tls_cert", "a certificate and its key go together"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Overrides, load};
    use super::*;

    fn settings(values: &[(&'static str, &str)]) -> Settings {
        let mut overrides = Overrides::default();
        for (key, value) in values {
            overrides.set(key, Some(*value));
        }
        load(None, overrides).unwrap()
    }

    fn refusal<T>(checked: Result<T, CommandError>) -> String {
        checked.map(|_| String::new()).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn what_belongs_together_is_asked_for_together() {
        let client = |values: &[(&'static str, &str)]| refusal(settings(values).runners.client(String::new()));
        assert_eq!(client(&[]), "");
        assert!(client(&[("runners.urls", "tls://a:1")]).contains("runners.ca"));
        assert!(client(&[("runners.ca", "a"), ("runners.key", "k")]).contains("runners.cert"));
        assert_eq!(client(&[("runners.urls", "tls://a:1"), ("runners.ca", "a")]), "");
        let two = ("runners.urls", "a/b/c=tcp://x:1,a/b/d=tcp://y:1");
        let shared = client(&[two, ("runners.token", "hush")]);
        assert!(shared.contains("a/b/d") && !shared.contains("hush"), "{shared}");
        assert_eq!(client(&[two, ("runners.token", "hush"), ("runners.shared", "true")]), "");
        assert_eq!(client(&[two, ("runners.tokens", "a/b/c=hush,\n# note\na/b/d = hush2\n")]), "");
        let wrong = client(&[two, ("runners.tokens", "a/b/c=hush,hush2")]);
        assert!(wrong.contains("entry 2") && !wrong.contains("hush"), "{wrong}");
        let server = |values| refusal(settings(values).runner.tls());
        assert!(server(&[("runner.tls_client_ca", "a")]).contains("tls_client_ca"));
        assert!(server(&[("runner.tls_key", "a")]).contains("tls_cert"));
        assert_eq!(server(&[("runner.tls_cert", "a"), ("runner.tls_key", "a")]), "");
        let backend = |values| refusal(settings(values).backend());
        assert!(backend(&[]).contains("--database") && backend(&[("database.url", "memory:")]).contains("Postgres"));
        assert_eq!(backend(&[("database.url", "postgres://a/b")]), "");
        assert!(refusal(settings(&[("worker.lease_seconds", "0")]).worker.lease()).contains("lease_seconds"));
        assert!(refusal(settings(&[("runner.deployment", "prod")]).runner.tenant()).contains("runner.deployment"));
    }
}
