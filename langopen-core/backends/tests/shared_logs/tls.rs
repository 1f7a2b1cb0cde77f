//! A Redis over TLS, with a certificate of a private CA.

use std::process::Stdio;
use std::sync::Arc;

use langopen_backends::redis::RedisEventLog;
use langopen_core::{ErrorKind, SystemClock};
use langopen_test_services::{Authority, TlsRedis};
use tokio::process::Command;

use crate::support::options;

/// What the log and the signals promise, in a process of its own: whom it trusts is its environment's to say.
#[tokio::test]
async fn redis_keeps_its_promises_over_tls() {
    const TESTS: [&str; 3] =
        ["conformance::redis_keeps_its_promises", "sharing::redis_is_shared", "signals::redis_carries_a_burst"];
    let authority = Authority::new();
    let redis = TlsRedis::start(&authority).await;
    let mut tests = Command::new(std::env::current_exe().expect("this program"));
    tests.arg("--exact").args(TESTS).env("REDIS_URL", redis.url());
    tests.env("SSL_CERT_FILE", authority.ca()).env_remove("SSL_CERT_DIR").stdin(Stdio::null()).kill_on_drop(true);
    let done = tests.output().await.expect("run this program");
    let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.contains(" 3 passed;"), "{said}\n{errors}");
}

/// A certificate of a CA that nobody named is refused.
#[tokio::test]
async fn a_strange_redis_is_refused() {
    let redis = TlsRedis::start(&Authority::new()).await;
    let error = RedisEventLog::open(&redis.url(), options("strange:", Arc::new(SystemClock))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let mut causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    assert!(causes.any(|cause| cause.to_string().contains("UnknownIssuer")), "{error:?}");
}
