//! The settings of a dispatcher.

use std::time::Duration;

use langopen_core::webhook::UrlPolicy;

use super::WebhookHeaders;

/// The settings of a dispatcher. With the defaults, it tries a delivery five times within about ten minutes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WebhookSettings {
    /// Whether webhooks are sent. If not, pending deliveries are given up.
    pub enabled: bool,
    /// The destinations that webhooks may have.
    pub policy: UrlPolicy,
    /// The server's own address for relative URLs, e.g. `http://127.0.0.1:2024`. Without it, webhooks with relative
    /// URLs are given up.
    pub own_url: Option<String>,
    /// Headers for every webhook.
    pub headers: WebhookHeaders,
    /// The fields of the payload that are sent; `None` for all.
    pub allowed_fields: Option<Vec<String>>,
    /// The number of deliveries that are sent at once.
    pub concurrency: usize,
    /// The timeout of one attempt.
    pub timeout: Duration,
    /// The number of attempts per delivery.
    pub max_attempts: u32,
    /// The pause after the first attempt. Each further pause is `backoff_factor` times as long. A random part of up to
    /// the same length is added to each pause.
    pub first_pause: Duration,
    /// See `first_pause`.
    pub backoff_factor: f32,
    /// The dispatcher plans no further attempt for a time later than this after the run's end.
    pub max_age: Duration,
    /// How long the outbox stores a delivery that was given up.
    pub failed_retention: Duration,
    /// The time that deliveries in flight have to end after the dispatcher was asked to stop. The remaining ones become
    /// due again.
    pub grace: Duration,
}

langopen_core::setters! {
    WebhookSettings {
        with_enabled enabled: bool,
        with_policy policy: UrlPolicy,
        with_own_url own_url: Option<String>,
        with_headers headers: WebhookHeaders,
        with_allowed_fields allowed_fields: Option<Vec<String>>,
        with_concurrency concurrency: usize,
        with_timeout timeout: Duration,
        with_max_attempts max_attempts: u32,
        with_first_pause first_pause: Duration,
        with_backoff_factor backoff_factor: f32,
        with_max_age max_age: Duration,
        with_failed_retention failed_retention: Duration,
        with_grace grace: Duration,
    }
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            policy: UrlPolicy::default(),
            own_url: None,
            headers: WebhookHeaders::default(),
            allowed_fields: None,
            concurrency: 32,
            timeout: Duration::from_secs(10),
            max_attempts: 5,
            first_pause: Duration::from_secs(2),
            backoff_factor: 5.0,
            max_age: Duration::from_secs(900),
            failed_retention: Duration::from_secs(3 * 86_400),
            grace: Duration::from_secs(2),
        }
    }
}
