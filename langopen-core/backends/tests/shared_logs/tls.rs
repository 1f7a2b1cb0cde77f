//! A Redis over TLS, with a certificate of a private CA.

use std::process::Stdio;
use std::time::Duration;

use langopen_backends::live_copies::{Delivery, LiveCopies};
use langopen_backends::redis::RedisLive;
use langopen_core::ThreadId;
use langopen_test_services::{Authority, TlsRedis};
use tokio::process::Command;
use uuid::Uuid;

/// Live copies and signals over TLS, in a process of their own, because the environment names the trusted authorities.
#[tokio::test]
async fn redis_keeps_its_promises_over_tls() {
    const TESTS: [&str; 3] = [
        "conformance::postgres_with_redis_keeps_its_promises",
        "sharing::copies_arrive_through_redis",
        "signals::redis_carries_a_burst",
    ];
    let authority = Authority::new();
    let redis = TlsRedis::start(&authority).await;
    let mut tests = Command::new(std::env::current_exe().expect("this program"));
    tests.arg("--exact").args(TESTS).env("REDIS_URL", redis.url());
    tests.env("SSL_CERT_FILE", authority.ca()).env_remove("SSL_CERT_DIR").stdin(Stdio::null()).kill_on_drop(true);
    let done = tests.output().await.expect("run this program");
    let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.contains(" 3 passed;"), "{said}\n{errors}");
}

/// A server whose certificate comes from an unknown authority carries no copies.
#[tokio::test]
async fn a_strange_redis_is_refused() {
    let redis = TlsRedis::start(&Authority::new()).await;
    let live = RedisLive::new(&redis.url(), "strange:").expect("a Redis URL");
    let (mut deliveries, thread_id) = (live.deliveries(), ThreadId(Uuid::now_v7()));
    live.watch(thread_id);
    // A busy machine takes a while to refuse the certificate.
    let refused = async {
        while live.is_up() || live.send(thread_id, "copy".into()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), refused).await.expect("the connection is refused");
    let heard = tokio::time::timeout(Duration::from_secs(1), deliveries.recv()).await;
    assert!(heard.is_err(), "{heard:?}");
}

/// A server that is trusted delivers what it is sent.
#[tokio::test]
async fn a_copy_is_delivered_to_its_watchers() {
    let url = langopen_test_services::redis_url().await;
    let prefix = crate::support::prefix();
    let (one, other) = (RedisLive::new(&url, &prefix).unwrap(), RedisLive::new(&url, &prefix).unwrap());
    let (mut deliveries, thread_id) = (other.deliveries(), ThreadId(Uuid::now_v7()));
    other.watch(thread_id);
    while deliveries.recv().await.expect("a delivery") != Delivery::Watching(thread_id) {}
    assert!(one.send(ThreadId(Uuid::now_v7()), "of another thread".into()));
    assert!(one.send(thread_id, "copy".into()));
    assert_eq!(deliveries.recv().await, Some(Delivery::Copy(thread_id, "copy".into())));
}
