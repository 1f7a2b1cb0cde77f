//! The `webhooks` section of `langgraph.json`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use langopen_core::webhook::UrlPolicy;
use langopen_runner::config::{AppSettings, Secret};
use langopen_worker::{WebhookHeaders, WebhookSettings};

use crate::error::CommandError;

/// The settings of the dispatcher. The API applies the same policy. `own_url` is the API's address, and the base of
/// relative URLs.
pub(crate) fn settings(
    app: &AppSettings,
    headers: &BTreeMap<String, Secret>,
    own_url: Option<String>,
) -> Result<WebhookSettings, CommandError> {
    let headers = WebhookHeaders::new(headers.iter().map(|(name, value)| (name.as_str(), value.expose())));
    let headers =
        headers.map_err(|error| CommandError::Setting { name: "webhooks.headers", why: error.to_string() })?;
    Ok(WebhookSettings::default()
        .with_enabled(!app.http.disable_webhooks)
        .with_policy(policy(app))
        .with_own_url(own_url)
        .with_headers(headers)
        .with_allowed_fields(app.webhooks.as_ref().and_then(|webhooks| webhooks.allowed_fields.clone())))
}

pub(super) fn policy(app: &AppSettings) -> UrlPolicy {
    let default = UrlPolicy::default();
    let Some(url) = app.webhooks.as_ref().map(|webhooks| webhooks.url.clone()) else { return default };
    UrlPolicy {
        require_https: url.require_https.unwrap_or(default.require_https),
        allowed_domains: url.allowed_domains,
        allowed_ports: url.allowed_ports,
        max_url_length: url
            .max_url_length
            .map_or(default.max_url_length, |most| usize::try_from(most).unwrap_or(usize::MAX)),
        disable_loopback: url.disable_loopback.unwrap_or(default.disable_loopback),
        disable_private_ips: url.disable_private_ips.unwrap_or(default.disable_private_ips),
    }
}

/// The URL at which this process reaches itself, for any address that it listens on.
pub(crate) fn own_url(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use super::own_url;

    #[test]
    fn a_server_reaches_itself_whatever_it_listens_on() {
        for (address, url) in [
            ("127.0.0.1:2024", "http://127.0.0.1:2024"),
            ("0.0.0.0:2024", "http://127.0.0.1:2024"),
            ("[::]:1", "http://[::1]:1"),
            ("10.1.2.3:80", "http://10.1.2.3:80"),
        ] {
            assert_eq!(address.parse().map(own_url).as_deref(), Ok(url));
        }
    }
}
