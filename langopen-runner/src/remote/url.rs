//! Addresses of runners.

use std::fmt;
use std::str::FromStr;

use langopen_core::Tenant;
use url::Url;

/// The address of runners: `tcp://host:port`, or `tls://host:port` with certificates.
///
/// With `organization/project/deployment=tcp://host:port`, only runners of that deployment are accepted. The older form
/// `tcp://host:port?deployment=organization/project/deployment` means the same. If the name has several addresses,
/// there is one runner at each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerUrl {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) tenant: Option<Tenant>,
}

/// The error for a text that is not the address of a runner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the address of a runner: write organization/project/deployment=tcp://host:port, or tls:// with certificates"
)]
pub struct InvalidRunnerUrl(String);

impl RunnerUrl {
    /// Parses a comma-separated list of addresses.
    ///
    /// # Errors
    /// `InvalidRunnerUrl` for the first text that is not an address.
    pub fn list(text: &str) -> Result<Vec<Self>, InvalidRunnerUrl> {
        text.split(',').map(str::trim).filter(|each| !each.is_empty()).map(str::parse).collect()
    }

    /// Whether the connection uses TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }
}

impl FromStr for RunnerUrl {
    type Err = InvalidRunnerUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidRunnerUrl(text.to_owned());
        // An equals sign after the scheme belongs to the query.
        let named = text.split_once('=').filter(|(name, _)| !name.contains(':'));
        let (mut tenant, text) = match named {
            Some((name, url)) => (Some(Tenant::parse(name.trim()).map_err(|_| invalid())?), url.trim()),
            None => (None, text),
        };
        let url = Url::parse(text).map_err(|_| invalid())?;
        let tls = match url.scheme() {
            "tcp" => false,
            "tls" => true,
            _ => return Err(invalid()),
        };
        let plain = url.username().is_empty() && url.password().is_none() && matches!(url.path(), "" | "/");
        let (Some(host), Some(port), true, None) = (url.host_str(), url.port(), plain, url.fragment()) else {
            return Err(invalid());
        };
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "deployment" if tenant.is_none() => tenant = Some(Tenant::parse(&value).map_err(|_| invalid())?),
                _ => return Err(invalid()),
            }
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port, tls, tenant })
    }
}

impl fmt::Display for RunnerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "tls" } else { "tcp" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        let list = RunnerUrl::list("tcp://a:1, tls://[::1]:7002?deployment=o/p/d, o/p/e=tcp://b:2,").unwrap();
        let shown: Vec<_> = list.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["tcp://a:1", "tls://[::1]:7002", "tcp://b:2"]);
        assert_eq!((list[1].host.as_str(), list[1].tenant.as_ref().map(Tenant::as_str)), ("::1", Some("o/p/d")));
        assert_eq!(list[2].tenant.as_ref().map(Tenant::as_str), Some("o/p/e"));
        assert!(!list[0].is_tls() && list[1].is_tls());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "a:1",
            "http://a:1",
            "tcp://a",
            "tcp://u@a:1",
            "tcp://a:1/x",
            "tcp://a:1?x=y",
            "tls://a:1?deployment=d",
            "d=tcp://a:1",
            "o/p/d=tcp://a:1?deployment=o/p/e",
        ] {
            assert!(RunnerUrl::list(text).is_err_and(|error| error.to_string().contains(text)), "{text}");
        }
    }
}
