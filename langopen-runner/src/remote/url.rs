//! Addresses of runners.

use std::fmt;
use std::str::FromStr;

use langopen_core::Tenant;
use url::Url;

/// Where a runner is: `tcp://host:port`, or `tls://host:port` for one with certificates.
///
/// A name that stands for several addresses stands for as many runners. `?deployment=organization/project/deployment` takes nobody else's runner for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerUrl {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) tenant: Option<Tenant>,
}

/// An address that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the address of a runner: write tcp://host:port or tls://host:port")]
pub struct InvalidRunnerUrl(String);

impl RunnerUrl {
    /// Reads a list with commas between.
    ///
    /// # Errors
    /// The first that is none.
    pub fn list(text: &str) -> Result<Vec<Self>, InvalidRunnerUrl> {
        text.split(',').map(str::trim).filter(|each| !each.is_empty()).map(str::parse).collect()
    }

    /// Whether it takes certificates to connect.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }
}

impl FromStr for RunnerUrl {
    type Err = InvalidRunnerUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidRunnerUrl(text.to_owned());
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
        let mut tenant = None;
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "deployment" => tenant = Some(Tenant::parse(&value).map_err(|_| invalid())?),
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
        let list = RunnerUrl::list("tcp://a:1, tls://[::1]:7002?deployment=o/p/d,").unwrap();
        assert_eq!(list.iter().map(ToString::to_string).collect::<Vec<_>>(), ["tcp://a:1", "tls://[::1]:7002"]);
        assert_eq!((list[1].host.as_str(), list[1].tenant.as_ref().map(Tenant::as_str)), ("::1", Some("o/p/d")));
        assert!(!list[0].is_tls() && list[1].is_tls());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["a:1", "http://a:1", "tcp://a", "tcp://u@a:1", "tcp://a:1/x", "tcp://a:1?x=y", "tls://a:1?deployment=d"]
        {
            assert!(RunnerUrl::list(text).is_err_and(|error| error.to_string().contains(text)), "{text}");
        }
    }
}
