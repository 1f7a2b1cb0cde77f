//! The dispatcher over the memory backend, with a receiver that really listens.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use langopen_core::Tenant;
use langopen_core::backend::memory::Memory;
use langopen_core::clock::ManualClock;
use langopen_core::model::ThreadTtl;
use langopen_core::model::{CancelAction, CancelRequest, MultitaskStrategy, NewRun, RunThread};
use langopen_core::webhook::UrlPolicy;
use langopen_core::{AssistantId, Clock, JsonMap, Outbox, Queue, RunId, Scope, SystemClock, ThreadId, Timestamp};
use langopen_worker::{DeploymentRules, WebhookDispatcher, WebhookHeaders, WebhookSettings};
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

type Answer = Arc<dyn Fn(usize) -> Response + Send + Sync>;

/// What came in: path with query, headers, body.
type Seen = Arc<Mutex<Vec<(String, HeaderMap, Value)>>>;

/// Listens, remembers, and answers the nth request as told.
struct Receiver {
    address: SocketAddr,
    seen: Seen,
}

impl Receiver {
    async fn start(answer: impl Fn(usize) -> Response + Send + Sync + 'static) -> Self {
        async fn take(
            State((seen, answer)): State<(Seen, Answer)>,
            uri: Uri,
            headers: HeaderMap,
            body: Bytes,
        ) -> Response {
            let number = {
                let mut seen = seen.lock();
                seen.push((uri.to_string(), headers, serde_json::from_slice(&body).unwrap()));
                seen.len()
            };
            answer(number)
        }
        let (seen, answer): (Seen, Answer) = (Seen::default(), Arc::new(answer));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(take).with_state((seen.clone(), answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }

    async fn ok() -> Self {
        Self::start(|_| StatusCode::OK.into_response()).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn count(&self) -> usize {
        self.seen.lock().len()
    }

    async fn wait_for(&self, count: usize) {
        until(&format!("{count} requests"), async || self.count() >= count).await;
        assert_eq!(self.count(), count);
    }
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} never came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An outbox, a clock and a dispatcher.
struct Bench {
    memory: Memory,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    dispatcher: Option<tokio::task::JoinHandle<()>>,
}

/// Lets webhooks go to this machine.
fn open() -> WebhookSettings {
    WebhookSettings {
        policy: UrlPolicy { disable_loopback: false, ..UrlPolicy::default() },
        ..WebhookSettings::default()
    }
}

impl Bench {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let memory = Memory::with_clock(Arc::clone(&clock));
        Self { memory, clock, stop: CancellationToken::new(), dispatcher: None }
    }

    fn start(settings: WebhookSettings) -> Self {
        let mut bench = Self::new(Arc::new(SystemClock));
        bench.run(settings);
        bench
    }

    fn run(&mut self, settings: WebhookSettings) {
        let dispatcher = WebhookDispatcher::new(Arc::new(self.memory.clone()), self.clock.clone(), settings).unwrap();
        self.dispatcher = Some(tokio::spawn(dispatcher.run(self.stop.clone())));
    }

    async fn stop(&mut self) {
        self.stop.cancel();
        let stopped = tokio::time::timeout(Duration::from_secs(60), self.dispatcher.take().unwrap()).await;
        stopped.expect("the dispatcher must stop").unwrap();
        self.stop = CancellationToken::new();
    }

    /// A run with this webhook that has ended.
    async fn ended(&self, url: &str) -> RunId {
        let (thread_id, run_id) = (ThreadId(Uuid::now_v7()), RunId(Uuid::now_v7()));
        let new = NewRun {
            run_id,
            thread_id,
            assistant_id: AssistantId::system("graph"),
            graph_id: "graph".to_owned(),
            metadata_base: JsonMap::new(),
            metadata_own: JsonMap::new(),
            kwargs: json!({"input": 1}).into(),
            multitask_strategy: MultitaskStrategy::Enqueue,
            resumable: false,
            temporary: false,
            origin: Default::default(),
            webhook: Some(url.to_owned()),
            firing: None,
            available_at: self.clock.now(),
            thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
        };
        self.memory.enqueue(&Scope::default(), new).await.unwrap();
        let request = CancelRequest { action: CancelAction::Interrupt, reason: "stop".to_owned() };
        self.memory.cancel(&Scope::default(), thread_id, run_id, request).await.unwrap();
        run_id
    }

    async fn next_due(&self) -> Option<Timestamp> {
        self.memory.claim_deliveries(0, Duration::ZERO).await.unwrap().next_due
    }

    /// Waits until nothing is left to deliver.
    async fn settled(&self) {
        until("the end of all deliveries", async || self.next_due().await.is_none()).await;
    }

    /// Attempts and reasons of what was given up.
    async fn failed(&self) -> Vec<(u32, String)> {
        self.settled().await;
        let failed = self.memory.failed_deliveries(&Scope::default(), 100).await.unwrap();
        failed.into_iter().map(|each| (each.attempts, each.reason)).collect()
    }
}

#[tokio::test]
async fn a_delivery_carries_the_run_and_the_configured_headers() {
    let receiver = Receiver::ok().await;
    let headers = WebhookHeaders::new([("Authorization", "Bearer s3cret")]).unwrap();
    let bench = Bench::start(WebhookSettings { headers, own_url: Some(receiver.url("/prefix")), ..open() });
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
    let bench = Bench::start(WebhookSettings { allowed_fields, headers, ..open() });
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
        // While it is claimed, it is due when its claim expires.
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
    let quick = WebhookSettings { max_attempts: 3, first_pause: Duration::from_millis(1), ..open() };
    let bench = Bench::start(quick);
    bench.ended(&receiver.url("/")).await;
    receiver.wait_for(3).await;
    assert_eq!(bench.failed().await, [(3, "the receiver answered 502".to_owned())]);
    // Nobody listens on a port that was just given back.
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
        let bench = Bench::start(WebhookSettings { first_pause: Duration::from_millis(1), ..open() });
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
    let bench = Bench::start(WebhookSettings { timeout: Duration::from_secs(3), concurrency: 1, ..open() });
    for url in [hangs.url("/"), talks.url("/")] {
        bench.ended(&url).await;
    }
    // Both said 200 before.
    assert_eq!(bench.failed().await, []);
    assert_eq!((hangs.count(), talks.count()), (1, 1));

    // This one accepts connections and says nothing at all.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let once = WebhookSettings { timeout: Duration::from_millis(300), max_attempts: 1, ..open() };
    let bench = Bench::start(once);
    bench.ended(&format!("http://{}/", silent.local_addr().unwrap())).await;
    assert_eq!(bench.failed().await, [(1, "the receiver did not answer in time".to_owned())]);
}

#[tokio::test]
async fn what_a_stop_leaves_is_delivered_by_the_next() {
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = silent.local_addr().unwrap();
    let mut bench =
        Bench::start(WebhookSettings { grace: Duration::from_millis(100), timeout: Duration::from_secs(60), ..open() });
    let under_way = bench.ended(&format!("http://{address}/")).await;
    let _open = tokio::time::timeout(Duration::from_secs(60), silent.accept()).await.unwrap().unwrap();
    bench.stop().await;
    let waiting = bench.ended(&format!("http://{address}/")).await;
    drop((silent, _open));

    let receiver = Receiver::ok().await;
    let map: Arc<dyn Resolve> = Arc::new(Fixed(vec![receiver.address]));
    let outbox = Arc::new(bench.memory.clone());
    let told = bench.ended(&format!("http://receiver.example:{}/", receiver.address.port())).await;
    let settings = WebhookSettings { max_attempts: 1, ..open() };
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

/// Every name stands for these addresses.
struct Fixed(Vec<SocketAddr>);

impl Resolve for Fixed {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses = self.0.clone();
        Box::pin(async move { Ok(Box::new(addresses.into_iter()) as Addrs) })
    }
}

#[tokio::test]
async fn a_name_that_comes_to_stand_for_a_blocked_address_is_not_connected_to() {
    let receiver = Receiver::ok().await;
    let port = receiver.address.port();
    let url = format!("http://rebound.example:{port}/");
    let addresses = |texts: &[&str]| texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), port)).collect();
    let run = async |policy: UrlPolicy, found: Vec<SocketAddr>| {
        let bench = Bench::new(Arc::new(SystemClock));
        assert!(policy.check(&url).is_ok(), "the name alone is fine");
        let settings = WebhookSettings { policy, ..open() };
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
    // Of several addresses only the allowed ones are connected to.
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
    let bench = Bench::start(WebhookSettings { enabled: false, ..open() });
    bench.ended(&receiver.url("/")).await;
    assert_eq!(bench.failed().await, [(1, "webhooks are switched off".to_owned())]);
    assert_eq!(receiver.count(), 0);
}

/// The rules of the one deployment, once they are known.
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
        *rules.0.lock() = Some(Arc::new(WebhookSettings { headers, ..open() }));
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
