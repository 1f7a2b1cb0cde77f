//! What a dispatcher needs to know.

use std::time::Duration;

use langopen_core::webhook::UrlPolicy;

use super::WebhookHeaders;

/// What a dispatcher needs to know. The defaults try a delivery five times within five to ten minutes.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Whether webhooks are sent; if not, what is on its way is given up.
    pub enabled: bool,
    /// Where webhooks may go.
    pub policy: UrlPolicy,
    /// This server's own address, e.g. `http://127.0.0.1:2024`, for relative URLs; without one they cannot be delivered.
    pub own_url: Option<String>,
    /// Sent with every delivery.
    pub headers: WebhookHeaders,
    /// The fields of the payload that are sent; `None` for all.
    pub allowed_fields: Option<Vec<String>>,
    /// How many deliveries are under way at once.
    pub concurrency: usize,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often a delivery is attempted.
    pub max_attempts: u32,
    /// The pause after the first attempt. Each further one is `backoff_factor` times as long; each is longer by up to
    /// as much again, at random.
    pub first_pause: Duration,
    /// See `first_pause`.
    pub backoff_factor: f32,
    /// No attempt begins later than this after the run's end, but the first, and the first after a restart.
    pub max_age: Duration,
    /// How long a delivery that was given up is remembered.
    pub failed_retention: Duration,
    /// How long deliveries under way may go on when the dispatcher is told to stop. Those that are left are made by the next one.
    pub grace: Duration,
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
