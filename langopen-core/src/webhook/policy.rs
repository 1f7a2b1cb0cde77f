//! Which URLs a webhook may have.

use std::net::IpAddr;

use url::{Host, Url};

use super::address::{AddressRules, is_always_blocked};

/// Stands for this server when a relative URL is parsed; no host has this name.
const OWN: &str = "http://self.invalid/";

/// The longest URL unless the configuration says otherwise, in characters.
const MAX_URL_LENGTH: usize = 65_536;

/// Which URLs a webhook may have. The default admits every host except this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPolicy {
    /// Only `https`. Relative URLs stay allowed: they do not leave the machine.
    pub require_https: bool,
    /// Host names; `*.example.com` stands for every host below `example.com`. `None` for any.
    pub allowed_domains: Option<Vec<String>>,
    /// Ports. `None` for any.
    pub allowed_ports: Option<Vec<u16>>,
    /// Characters.
    pub max_url_length: usize,
    /// No relative URLs, and no address of this machine's own.
    pub disable_loopback: bool,
    /// No addresses of private networks, nor of this machine's own.
    pub disable_private_ips: bool,
}

impl Default for UrlPolicy {
    fn default() -> Self {
        Self {
            require_https: false,
            allowed_domains: None,
            allowed_ports: None,
            max_url_length: MAX_URL_LENGTH,
            disable_loopback: true,
            disable_private_ips: false,
        }
    }
}

/// Where a webhook goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To a host. Its name may still resolve to a refused address: the resolver must check [`UrlPolicy::addresses`].
    Absolute(Url),
    /// To this server: a path, with a query if there is one.
    Relative(String),
}

/// Why a webhook may not have this URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Webhook host blocked: {0}")]
pub struct Blocked(String);

fn blocked<T>(why: impl Into<String>) -> Result<T, Blocked> {
    Err(Blocked(why.into()))
}

impl UrlPolicy {
    /// Where a webhook with this URL goes. Resolves no names.
    ///
    /// # Errors
    /// The URL is not allowed; the message says why, without the URL.
    pub fn check(&self, text: &str) -> Result<Target, Blocked> {
        if text.chars().nth(self.max_url_length).is_some() {
            return blocked(format!("the URL is longer than {} characters", self.max_url_length));
        }
        if text.starts_with('/') {
            return self.relative(text);
        }
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(url::ParseError::RelativeUrlWithoutBase) => return blocked("the URL has no scheme"),
            Err(error) => return blocked(format!("the URL is not valid: {error}")),
        };
        match url.scheme() {
            "https" => {}
            "http" if !self.require_https => {}
            scheme => return blocked(format!("scheme '{scheme}' not allowed")),
        }
        match url.host() {
            Some(Host::Domain(name)) => self.name(name)?,
            Some(Host::Ipv4(address)) => self.literal(&url, address.into())?,
            Some(Host::Ipv6(address)) => self.literal(&url, address.into())?,
            None => return blocked("the URL has no host"),
        }
        let port = url.port_or_known_default();
        if let (Some(allowed), Some(port)) = (&self.allowed_ports, port)
            && !allowed.contains(&port)
        {
            return blocked(format!("port {port} not allowed"));
        }
        Ok(Target::Absolute(url))
    }

    /// The rules for the addresses to which a host's name resolves.
    pub fn addresses(&self) -> AddressRules {
        AddressRules { disable_loopback: self.disable_loopback, disable_private_ips: self.disable_private_ips }
    }

    fn relative(&self, text: &str) -> Result<Target, Blocked> {
        if self.disable_loopback {
            return blocked("relative URLs are not allowed (webhooks.url.disable_loopback)");
        }
        // A URL that looks relative may name a host: `//host/`, `/\host/`, `/<tab>/host/`.
        let joined = Url::parse(OWN).and_then(|own| Ok((own.join(text)?, own)));
        match joined {
            Ok((url, own)) if url.origin() == own.origin() && url.username().is_empty() && url.password().is_none() => {
                Ok(Target::Relative(url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()))
            }
            _ => blocked("the URL names a host but no scheme"),
        }
    }

    fn name(&self, name: &str) -> Result<(), Blocked> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if !self.names(name) {
            return blocked(format!("host '{name}' not allowed"));
        }
        if ["metadata.google.internal", "metadata.goog"].contains(&name) {
            return blocked("blocked IP range");
        }
        let own = name == "localhost"
            || name.ends_with(".localhost")
            || ["localhost.localdomain", "ip6-localhost", "ip6-loopback"].contains(&name);
        match own && (self.disable_loopback || self.disable_private_ips) {
            true => self.refuse_own(),
            false => Ok(()),
        }
    }

    fn names(&self, name: &str) -> bool {
        let Some(patterns) = &self.allowed_domains else { return true };
        patterns.iter().any(|pattern| {
            let pattern = pattern.trim().trim_end_matches('.');
            match pattern.strip_prefix("*.") {
                Some(parent) => ascii(parent).is_some_and(|parent| {
                    name.strip_suffix(parent.as_str())
                        .and_then(|rest| rest.strip_suffix('.'))
                        .is_some_and(|rest| !rest.is_empty())
                }),
                None => pattern == "*" || ascii(pattern).is_some_and(|pattern| pattern == name),
            }
        })
    }

    fn literal(&self, url: &Url, address: IpAddr) -> Result<(), Blocked> {
        if self.addresses().allow(address) {
            let text = url.host_str().unwrap_or_default();
            return match self.names(text) {
                true => Ok(()),
                false => blocked(format!("host '{text}' not allowed")),
            };
        }
        match is_always_blocked(address) || self.disable_private_ips {
            true => blocked("blocked IP range"),
            false => self.refuse_own(),
        }
    }

    fn refuse_own(&self) -> Result<(), Blocked> {
        blocked("loopback addresses are not allowed (webhooks.url.disable_loopback)")
    }
}

/// A host as a parsed URL shows it.
fn ascii(host: &str) -> Option<String> {
    Host::parse(host).ok().map(|host| host.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(policy: &UrlPolicy, url: &str) -> Option<String> {
        policy.check(url).err().map(|error| error.to_string())
    }

    fn open() -> UrlPolicy {
        UrlPolicy { disable_loopback: false, ..UrlPolicy::default() }
    }

    #[test]
    fn refusals_read_as_clients_know_them() {
        let policy = UrlPolicy::default();
        for (url, message) in [
            ("ftp://x", "Webhook host blocked: scheme 'ftp' not allowed"),
            ("file:///etc/passwd", "Webhook host blocked: scheme 'file' not allowed"),
            ("http://169.254.169.254/x", "Webhook host blocked: blocked IP range"),
            ("hook", "Webhook host blocked: the URL has no scheme"),
            ("http://", "Webhook host blocked: the URL is not valid: empty host"),
        ] {
            assert_eq!(why(&policy, url).as_deref(), Some(message), "{url}");
        }
    }

    #[test]
    fn no_spelling_reaches_what_is_blocked() {
        let policy = UrlPolicy::default();
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://0x7f.1:2024/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[0:0:0:0:0:ffff:7f00:1]/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "https://user@localhost:8443/",
            "http://example.com@127.0.0.1/",
            "http://example.com:80@127.0.0.1/",
            "http:\\\\127.0.0.1/",
            "http:/127.0.0.1/",
            "http:127.0.0.1/",
            "http://１２７.0.0.1/",
            "http://127。0。0。1/",
            "http://0/",
            "http://0.0.0.0:2024/",
            "http://[::]/",
            "http://2852039166/",
            "http://0xA9FEA9FE/",
            "http://[fe80::1]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://metadata.google.internal/",
            "http://1\t27.0.0.1/",
            "//example.com/",
            "/hook",
            "/\\example.com/",
            " http://127.0.0.1/",
        ] {
            assert!(why(&policy, url).is_some(), "{url}");
        }
        for url in
            ["https://example.com/hook?a=1", "http://example.com:8080/", "https://u:p@example.com/", "http://10.0.0.1/"]
        {
            assert_eq!(why(&policy, url), None, "{url}");
        }
    }

    #[test]
    fn relative_urls_stay_on_this_server() {
        let policy = UrlPolicy { require_https: true, ..open() };
        assert_eq!(policy.check("/hook?a=1#top"), Ok(Target::Relative("/hook?a=1".to_owned())));
        assert_eq!(policy.check("/a/../b"), Ok(Target::Relative("/b".to_owned())));
        for url in [
            "//evil.example/x",
            "/\\evil.example/x",
            "/\t/evil.example/x",
            "//self.invalid@evil.example/",
            "//u@self.invalid/",
        ] {
            assert!(policy.check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn each_rule_is_kept() {
        let with = |change: fn(&mut UrlPolicy)| {
            let mut policy = open();
            change(&mut policy);
            policy
        };
        let domains = with(|policy| {
            policy.allowed_domains =
                Some(vec!["Example.com".into(), "*.hooks.example".into(), "*.bücher.example".into()]);
        });
        for (url, allowed) in [
            ("https://example.com/", true),
            ("https://EXAMPLE.com./", true),
            ("https://a.example.com/", false),
            ("https://a.hooks.example/", true),
            ("https://a.b.hooks.example/", true),
            ("https://hooks.example/", false),
            ("https://evilhooks.example/", false),
            ("https://a.xn--bcher-kva.example/", true),
            ("https://example.com.evil.example/", false),
            ("https://93.184.216.34/", false),
        ] {
            assert_eq!(domains.check(url).is_ok(), allowed, "{url}");
        }
        let https = with(|policy| policy.require_https = true);
        assert_eq!(why(&https, "http://example.com/").unwrap(), "Webhook host blocked: scheme 'http' not allowed");
        assert_eq!(why(&https, "https://example.com/"), None);
        let ports = with(|policy| policy.allowed_ports = Some(vec![443, 8443]));
        assert_eq!(why(&ports, "https://example.com/"), None);
        assert_eq!(why(&ports, "https://example.com:8443/"), None);
        assert_eq!(why(&ports, "http://example.com/").unwrap(), "Webhook host blocked: port 80 not allowed");
        let private = with(|policy| policy.disable_private_ips = true);
        for url in ["http://10.1.2.3/", "http://[fd12::1]/", "http://127.0.0.1/", "http://localhost/"] {
            assert!(why(&private, url).is_some(), "{url}");
        }
        let long = with(|policy| policy.max_url_length = 22);
        assert_eq!(why(&long, "https://example.com/ab"), None);
        assert!(why(&long, "https://example.com/abc").unwrap().contains("longer than 22"));
        assert_eq!(why(&open(), "http://localhost:3000/hook"), None);
        assert_eq!(why(&open(), "http://127.0.0.1:3000/hook"), None);
        assert!(why(&open(), "http://169.254.169.254/").is_some(), "whatever the rules");
    }
}
