//! The dispatcher over the memory backend, with a receiver that listens on a real port.

mod bench;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use langopen_core::clock::ManualClock;
use langopen_core::{Clock, Outbox, Scope, Timestamp};
use langopen_worker::{WebhookDispatcher, WebhookHeaders};
use reqwest::dns::Resolve;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::bench::{Bench, Fixed, Receiver, open, until};

#[tokio::test]
async fn a_delivery_carries_the_run_and_the_configured_headers() {
    let receiver = Receiver::ok().await;
    let headers = WebhookHeaders::new([("Authorization", "Bearer s3cret")]).unwrap();
    let bench = Bench::start(open().with_headers(headers).with_own_url(Some(receiver.url("/prefix"))));
    let run_id = bench.ended(&receiver.url("/hook?a=1")).await;
    receiver.wait_for(1).await;
    let (path, headers, body) = receiver.seen.lock()[0].clone();
    let header = |name: &str| headers[name].to_str().unwrap();
    assert_eq!(
        (path.as_str(), header("content-type"), header("authorization")),
        ("/hook?a=1", "application/json", "Bearer s3cret")
    );
    assert_eq!((&body["run_id"], &body["status"]), (&json!(run_id), &json!("interrupted")));
    assert_eq!(body["error"], json!({"error": "UserInterrupt", "message": "stop"}));
    assert!(body["webhook_sent_at"].as_str().unwrap() >= body["run_ended_at"].as_str().unwrap(), "{body}");
    bench.ended("/own/path?b=2").await;
    receiver.wait_for(2).await;
    assert_eq!(receiver.seen.lock()[1].0, "/own/path?b=2", "a relative URL goes to the server itself");
    assert_eq!(bench.failed().await, []);
}

#[tokio::test]
async fn only_allowed_fields_are_sent() {
    let receiver = Receiver::ok().await;
    let allowed_fields = Some(vec!["run_id".to_owned(), "status".to_owned(), "nothing".to_owned()]);
    let headers = WebhookHeaders::new([("content-type", "application/vnd.own+json")]).unwrap();
    let bench = Bench::start(open().with_allowed_fields(allowed_fields).with_headers(headers));
    let run_id = bench.ended(&receiver.url("/")).await;
    receiver.wait_for(1).await;
    let (_, headers, body) = receiver.seen.lock()[0].clone();
    assert_eq!(body, json!({"run_id": run_id, "status": "interrupted"}));
    assert_eq!(headers.get_all("content-type").iter().collect::<Vec<_>>(), ["application/vnd.own+json"]);
}

#[tokio::test]
async fn what_may_succeed_later_is_tried_again_at_its_time() {
    let receiver = Receiver::start(|number| match number {
        1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        2 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "100")]).into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    })
    .await;
    let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-11-23T14:27:14Z").unwrap()));
    let mut bench = Bench::new(clock.clone());
    bench.run(open());
    bench.ended(&receiver.url("/")).await;
    for (count, least, most) in [(1, 2, 4), (2, 100, 100)] {
        receiver.wait_for(count).await;
        let mut pause = Duration::ZERO;
        // A claimed delivery is due when its lease expires.
        until("the next attempt's time", async || {
            pause = bench.next_due().await.unwrap().since(clock.now());
            pause != Duration::from_secs(40)
        })
        .await;
        assert!((least..=most).contains(&pause.as_secs()), "{count}: {pause:?}");
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert_eq!(receiver.count(), count, "it is not yet time");
        clock.advance(pause);
    }
    receiver.wait_for(3).await;
    assert_eq!(bench.failed().await, []);
    let sent: Vec<_> = receiver.seen.lock().iter().map(|(_, _, body)| body["webhook_sent_at"].clone()).collect();
    assert!(sent[0].as_str() < sent[1].as_str() && sent[1].as_str() < sent[2].as_str(), "{sent:?}");
}

#[tokio::test]
async fn what_never_succeeds_is_given_up() {
    let receiver = Receiver::start(|_| StatusCode::BAD_GATEWAY.into_response()).await;
    let quick = open().with_max_attempts(3).with_first_pause(Duration::from_millis(1));
    let bench = Bench::start(quick);
    bench.ended(&receiver.url("/")).await;
    receiver.wait_for(3).await;
    assert_eq!(bench.failed().await, [(3, "the receiver answered 502".to_owned())]);
    // No process listens on a port that was just released.
    let nobody = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    bench.ended(&format!("http://{nobody}/?token=s3cret")).await;
    let failed = bench.failed().await;
    let (attempts, reason) = &failed[0];
    assert_eq!((failed.len(), *attempts), (2, 3));
    assert!(reason.contains("cannot be reached") && !reason.contains("s3cret"), "{reason}");
}

#[tokio::test]
async fn what_cannot_succeed_is_tried_once() {
    let elsewhere = Receiver::ok().await;
    let target = elsewhere.url("/stolen");
    for (status, reason) in [
        (StatusCode::NOT_FOUND, "the receiver answered 404"),
        (StatusCode::GONE, "the receiver answered 410"),
        (StatusCode::TEMPORARY_REDIRECT, "the receiver answered 307; redirects are not followed"),
    ] {
        let target = target.clone();
        let receiver = Receiver::start(move |_| (status, [("location", target.clone())]).into_response()).await;
        let bench = Bench::start(open().with_first_pause(Duration::from_millis(1)));
        bench.ended(&receiver.url("/")).await;
        assert_eq!(bench.failed().await, [(1, reason.to_owned())]);
        receiver.wait_for(1).await;
    }
    assert_eq!(elsewhere.count(), 0, "no redirect is followed");
}

#[tokio::test]
async fn a_receiver_that_hangs_or_talks_on_holds_nobody_up() {
    let hangs = Receiver::start(|_| {
        Response::new(Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()))
    })
    .await;
    let talks = Receiver::start(|_| {
        let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 8192]));
        Response::new(Body::from_stream(futures::stream::repeat_with(chunk)))
    })
    .await;
    let bench = Bench::start(open().with_timeout(Duration::from_secs(3)).with_concurrency(1));
    for url in [hangs.url("/"), talks.url("/")] {
        bench.ended(&url).await;
    }
    // Both deliveries were answered with 200 before.
    assert_eq!(bench.failed().await, []);
    assert_eq!((hangs.count(), talks.count()), (1, 1));

    // This receiver accepts connections and never answers.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let once = open().with_timeout(Duration::from_millis(300)).with_max_attempts(1);
    let bench = Bench::start(once);
    bench.ended(&format!("http://{}/", silent.local_addr().unwrap())).await;
    assert_eq!(bench.failed().await, [(1, "the receiver did not answer in time".to_owned())]);
}

#[tokio::test]
async fn what_a_stop_leaves_is_delivered_by_the_next() {
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = silent.local_addr().unwrap();
    let mut bench = Bench::start(open().with_grace(Duration::from_millis(100)).with_timeout(Duration::from_secs(60)));
    let under_way = bench.ended(&format!("http://{address}/")).await;
    let _open = tokio::time::timeout(Duration::from_secs(60), silent.accept()).await.unwrap().unwrap();
    bench.stop().await;
    let waiting = bench.ended(&format!("http://{address}/")).await;
    drop((silent, _open));

    let receiver = Receiver::ok().await;
    let map: Arc<dyn Resolve> = Arc::new(Fixed(vec![receiver.address]));
    let outbox = Arc::new(bench.memory.clone());
    let told = bench.ended(&format!("http://receiver.example:{}/", receiver.address.port())).await;
    let settings = open().with_max_attempts(1);
    let next = WebhookDispatcher::with_resolver(outbox, bench.clock.clone(), settings, map).unwrap();
    tokio::spawn(next.run(CancellationToken::new()));
    bench.settled().await;
    receiver.wait_for(1).await;
    assert_eq!(receiver.seen.lock()[0].2["run_id"], json!(told));
    let failed = bench.memory.failed_deliveries(&Scope::default(), 10).await.unwrap();
    let mut failed: Vec<_> = failed.iter().map(|each| (each.run_id, each.attempts)).collect();
    failed.sort();
    assert_eq!(failed, [(under_way, 2), (waiting, 1)], "each was tried again at once, not after its claim's time");
}
