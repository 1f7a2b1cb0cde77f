//! The destinations that webhooks may have.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::clock::ManualClock;
use langopen_core::model::ThreadTtl;
use langopen_core::webhook::UrlPolicy;
use langopen_core::{Clock, SystemClock, Tenant, Timestamp};
use langopen_worker::{DeploymentRules, WebhookDispatcher, WebhookHeaders, WebhookSettings};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, Fixed, Receiver, open, until};

#[tokio::test]
async fn a_name_that_comes_to_stand_for_a_blocked_address_is_not_connected_to() {
    let receiver = Receiver::ok().await;
    let port = receiver.address.port();
    let url = format!("http://rebound.example:{port}/");
    let addresses = |texts: &[&str]| texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), port)).collect();
    let run = async |policy: UrlPolicy, found: Vec<SocketAddr>| {
        let bench = Bench::new(Arc::new(SystemClock));
        assert!(policy.check(&url).is_ok(), "the name alone is fine");
        let settings = open().with_policy(policy);
        let (outbox, clock) = (Arc::new(bench.memory.clone()), bench.clock.clone());
        let dispatcher = WebhookDispatcher::with_resolver(outbox, clock, settings, Arc::new(Fixed(found))).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(dispatcher.run(stop.clone()));
        bench.ended(&url).await;
        let failed = bench.failed().await;
        stop.cancel();
        task.await.unwrap();
        failed
    };
    let given_up = [(1, "the host's name stands for a blocked IP range".to_owned())];
    let any = UrlPolicy { disable_loopback: false, ..UrlPolicy::default() };
    let private = UrlPolicy { disable_private_ips: true, ..UrlPolicy::default() };
    assert_eq!(run(UrlPolicy::default(), addresses(&["127.0.0.1", "::1", "::ffff:127.0.0.1"])).await, given_up);
    assert_eq!(run(any.clone(), addresses(&["169.254.169.254", "fe80::1", "0.0.0.0"])).await, given_up);
    assert_eq!(run(private, addresses(&["10.0.0.1", "192.168.0.1", "fd00::1", "127.0.0.1"])).await, given_up);
    assert_eq!(run(any.clone(), Vec::new()).await, given_up);
    assert_eq!(receiver.count(), 0);
    // Of several addresses, the dispatcher connects only to allowed ones.
    assert_eq!(run(any, addresses(&["169.254.169.254", "127.0.0.1"])).await, []);
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn rules_that_became_stricter_hold_for_what_is_on_its_way() {
    let receiver = Receiver::ok().await;
    let bench = Bench::start(WebhookSettings::default());
    bench.ended(&receiver.url("/")).await;
    let failed = bench.failed().await;
    assert!(failed[0].1.starts_with("Webhook host blocked: loopback"), "{failed:?}");
    let bench = Bench::start(open().with_enabled(false));
    bench.ended(&receiver.url("/")).await;
    assert_eq!(bench.failed().await, [(1, "webhooks are switched off".to_owned())]);
    assert_eq!(receiver.count(), 0);
}

/// The rules of the only deployment, once they are known.
#[derive(Default)]
struct Rules(Mutex<Option<Arc<WebhookSettings>>>);

impl DeploymentRules for Rules {
    fn thread_ttl(&self, _: &Tenant) -> Option<ThreadTtl> {
        None
    }

    fn webhooks(&self, tenant: &Tenant) -> Option<Arc<WebhookSettings>> {
        assert_eq!(*tenant, Tenant::default());
        self.0.lock().clone()
    }
}

#[tokio::test]
async fn a_deployments_own_rules_are_waited_for_and_followed() {
    let receiver = Receiver::ok().await;
    let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-11-23T14:27:14Z").unwrap()));
    let mut bench = Bench::new(clock.clone());
    let rules = Arc::new(Rules::default());
    let dispatcher =
        WebhookDispatcher::new(Arc::new(bench.memory.clone()), clock.clone(), WebhookSettings::default()).unwrap();
    bench.dispatcher = Some(tokio::spawn(dispatcher.with_rules(rules.clone()).run(bench.stop.clone())));
    let begin = clock.now();
    bench.ended(&receiver.url("/")).await;
    until("a pause", async || bench.next_due().await == Some(begin.plus(Duration::from_secs(10)))).await;
    assert_eq!(receiver.count(), 0);

    for secret in ["one", "two"] {
        let headers = WebhookHeaders::new([("x-secret", secret)]).unwrap();
        *rules.0.lock() = Some(Arc::new(open().with_headers(headers)));
        match secret {
            "one" => clock.advance(Duration::from_secs(10)),
            _ => {
                bench.ended(&receiver.url("/")).await;
            }
        }
        bench.settled().await;
        assert_eq!(receiver.seen.lock().last().unwrap().1["x-secret"], secret);
    }
    assert_eq!(receiver.count(), 2);
    bench.stop().await;
}
