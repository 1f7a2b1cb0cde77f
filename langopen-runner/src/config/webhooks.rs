//! The key `webhooks`: the URLs that webhooks may have, and their contents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::describe;
use super::secret::Secret;
use super::section::Section;

/// The URLs that webhooks may have. For an absent field, the server's default applies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookUrlPolicy {
    /// Whether only `https` URLs are allowed.
    pub require_https: Option<bool>,
    /// Allowed host names. `*.example.com` matches the hosts below `example.com`.
    pub allowed_domains: Option<Vec<String>>,
    /// Allowed ports.
    pub allowed_ports: Option<Vec<u16>>,
    /// The longest allowed URL, in characters.
    pub max_url_length: Option<u64>,
    /// Forbids relative URLs and URLs of this machine.
    pub disable_loopback: Option<bool>,
    /// Forbids URLs of private networks.
    pub disable_private_ips: Option<bool>,
}

/// The URLs that webhooks may have, and their contents.
///
/// [`super::AppConfig::resolve_webhook_headers`] gives the values of `headers`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhooksConfig {
    /// The required prefix of the variables that `headers` names; absent: `LG_WEBHOOK_`.
    pub env_prefix: Option<String>,
    /// The URLs that webhooks may have.
    pub url: WebhookUrlPolicy,
    /// Headers by name. A value may contain `${{ env.NAME }}`.
    #[serde(skip)]
    pub headers: BTreeMap<String, Secret>,
    /// The fields of the payload that are sent; absent: all.
    pub allowed_fields: Option<Vec<String>>,
}

pub(super) fn read(section: &Section<'_>) -> WebhooksConfig {
    WebhooksConfig {
        env_prefix: section.text("env_prefix"),
        url: section.section("url", url).unwrap_or_default(),
        headers: headers(section),
        allowed_fields: section.texts("allowed_fields"),
    }
}

fn url(section: &Section<'_>) -> WebhookUrlPolicy {
    WebhookUrlPolicy {
        require_https: section.flag("require_https"),
        allowed_domains: section.texts("allowed_domains"),
        allowed_ports: ports(section),
        max_url_length: section.whole("max_url_length", 1..=u64::MAX, "of characters"),
        disable_loopback: section.flag("disable_loopback"),
        disable_private_ips: section.flag("disable_private_ips"),
    }
}

fn ports(section: &Section<'_>) -> Option<Vec<u16>> {
    let value = section.get("allowed_ports")?;
    let ports = value.as_array().and_then(|items| {
        items.iter().map(|item| item.as_u64().and_then(|port| u16::try_from(port).ok())).collect::<Option<Vec<_>>>()
    });
    if ports.is_none() {
        section.wrong("allowed_ports", value, "a list of port numbers");
    }
    ports
}

// A header value is often a token, so no message shows it.
fn headers(section: &Section<'_>) -> BTreeMap<String, Secret> {
    let mut headers = BTreeMap::new();
    for (name, value) in section.object("headers").into_iter().flatten() {
        match value.as_str() {
            Some(text) => {
                headers.insert(name.clone(), text.to_owned().into());
            }
            None => {
                let message = format!("found {}, expected a text", describe::kind(value));
                section.context.report(section.key(&format!("headers.{name}")), message, "Put the value in quotes.");
            }
        }
    }
    headers
}
