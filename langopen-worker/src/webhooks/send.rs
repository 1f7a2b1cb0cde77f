//! One attempt at a delivery.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, header};
use langopen_core::outbox::Delivery;
use langopen_core::webhook::Target;
use langopen_core::{Error, Result, Timestamp};
use reqwest::dns::Resolve;
use reqwest::{Client, ClientBuilder, Response, Url};
use tracing::warn;

use super::resolve::{AddressesBlocked, Guard};
use super::{WebhookSettings, pause, payload};

/// How much of a response body is read. If the body ends within it, the connection can be reused.
const ANSWER: usize = 64 * 1024;

/// The result of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Delivered,
    /// A later attempt may succeed. The receiver may have requested a pause.
    TryAgain(String, Option<Duration>),
    /// No attempt can succeed.
    Hopeless(String),
}

/// Sends deliveries to the URLs that the policy allows.
pub(super) struct Sender {
    client: Client,
    own_url: Option<Url>,
}

impl Sender {
    pub(super) fn new(settings: &WebhookSettings, resolver: Arc<dyn Resolve>) -> Result<Self> {
        const OPERATION: &str = "webhooks.start";
        let guard: Arc<dyn Resolve> = Arc::new(Guard { inner: resolver, rules: settings.policy.addresses() });
        let builder = || {
            ClientBuilder::new()
                .user_agent(concat!("langopen/", env!("CARGO_PKG_VERSION")))
                .default_headers(settings.headers.map())
                .dns_resolver(Arc::clone(&guard))
                // A redirect or a proxy would reach an address that the policy did not check.
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .timeout(settings.timeout)
                .pool_max_idle_per_host(4)
        };
        let client = builder().build().or_else(|error| {
            warn!(%error, "no CA certificates found, so https webhooks cannot be delivered; install the package ca-certificates");
            builder().tls_certs_only([]).build()
        });
        let client =
            client.map_err(|error| Error::internal(OPERATION, "cannot create an HTTP client").with_source(error))?;
        let own_url = settings.own_url.as_deref().map(Url::parse).transpose();
        let own_url = own_url.map_err(|error| Error::invalid(OPERATION, format!("own_url: {error}")))?;
        Ok(Self { client, own_url })
    }

    pub(super) async fn attempt(&self, settings: &WebhookSettings, delivery: &Delivery, now: Timestamp) -> Attempt {
        if !settings.enabled {
            return Attempt::Hopeless("webhooks are switched off".to_owned());
        }
        let url = match settings.policy.check(&delivery.url) {
            Ok(Target::Absolute(url)) => url,
            Ok(Target::Relative(path)) => match self.own_url.as_ref().map(|own| own.join(&path)) {
                Some(Ok(url)) => url,
                _ => {
                    return Attempt::Hopeless(
                        "a relative URL needs the server's own address, and none is configured".to_owned(),
                    );
                }
            },
            // The policy may have changed since the client created the run.
            Err(blocked) => return Attempt::Hopeless(blocked.to_string()),
        };
        let body = match payload::body(&delivery.payload, now, settings.allowed_fields.as_deref()) {
            Ok(body) => body,
            Err(error) => return Attempt::Hopeless(format!("the payload is damaged: {error}")),
        };
        let mut request = self.client.post(url).body(body);
        if !settings.headers.map().contains_key(header::CONTENT_TYPE) {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        match request.send().await {
            Ok(response) => answered(response, now).await,
            Err(error) => failed(error),
        }
    }
}

async fn answered(mut response: Response, now: Timestamp) -> Attempt {
    let status = response.status();
    let asked = pause::asked_for(response.headers(), now);
    let mut read = 0;
    // Only the status matters, not the body.
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > ANSWER {
            break;
        }
    }
    let why = format!("the receiver answered {}", status.as_u16());
    match status {
        status if status.is_success() => Attempt::Delivered,
        status if status.is_redirection() => Attempt::Hopeless(format!("{why}; redirects are not followed")),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Attempt::TryAgain(why, asked)
        }
        status if status.is_server_error() => Attempt::TryAgain(why, asked),
        _ => Attempt::Hopeless(why),
    }
}

fn failed(error: reqwest::Error) -> Attempt {
    // The URL may hold secrets.
    let error = error.without_url();
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(each) = cause {
        if each.is::<AddressesBlocked>() {
            return Attempt::Hopeless(each.to_string());
        }
        causes.push(each.to_string());
        cause = each.source();
    }
    if error.is_timeout() {
        return Attempt::TryAgain("the receiver did not answer in time".to_owned(), None);
    }
    if error.is_builder() {
        return Attempt::Hopeless("the request cannot be built".to_owned());
    }
    let innermost = causes.pop().unwrap_or_else(|| error.to_string());
    Attempt::TryAgain(format!("the receiver cannot be reached: {innermost}"), None)
}
