//! A receiver that listens on a real port, and a dispatcher over the memory backend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use langopen_backends::memory::Memory;
use langopen_core::model::{CancelAction, CancelRequest, MultitaskStrategy, NewRun, RunThread};
use langopen_core::webhook::UrlPolicy;
use langopen_core::{AssistantId, Clock, JsonMap, Outbox, Queue, RunId, Scope, SystemClock, ThreadId, Timestamp};
use langopen_worker::{WebhookDispatcher, WebhookSettings};
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

type Answer = Arc<dyn Fn(usize) -> Response + Send + Sync>;

/// The received requests: path with query, headers, body.
pub(crate) type Seen = Arc<Mutex<Vec<(String, HeaderMap, Value)>>>;

/// Records requests, and answers the nth one with the nth configured answer.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
}

impl Receiver {
    pub(crate) async fn start(answer: impl Fn(usize) -> Response + Send + Sync + 'static) -> Self {
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

    pub(crate) async fn ok() -> Self {
        Self::start(|_| StatusCode::OK.into_response()).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().len()
    }

    pub(crate) async fn wait_for(&self, count: usize) {
        until(&format!("{count} requests"), async || self.count() >= count).await;
        assert_eq!(self.count(), count);
    }
}

pub(crate) async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} never came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An outbox, a clock and a dispatcher.
pub(crate) struct Bench {
    pub(crate) memory: Memory,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: CancellationToken,
    pub(crate) dispatcher: Option<tokio::task::JoinHandle<()>>,
}

/// Settings that allow webhooks to this machine.
pub(crate) fn open() -> WebhookSettings {
    WebhookSettings::default().with_policy(UrlPolicy { disable_loopback: false, ..UrlPolicy::default() })
}

impl Bench {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let memory = Memory::with_clock(Arc::clone(&clock));
        Self { memory, clock, stop: CancellationToken::new(), dispatcher: None }
    }

    pub(crate) fn start(settings: WebhookSettings) -> Self {
        let mut bench = Self::new(Arc::new(SystemClock));
        bench.run(settings);
        bench
    }

    pub(crate) fn run(&mut self, settings: WebhookSettings) {
        let dispatcher = WebhookDispatcher::new(Arc::new(self.memory.clone()), self.clock.clone(), settings).unwrap();
        self.dispatcher = Some(tokio::spawn(dispatcher.run(self.stop.clone())));
    }

    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        let stopped = tokio::time::timeout(Duration::from_secs(60), self.dispatcher.take().unwrap()).await;
        stopped.expect("the dispatcher must stop").unwrap();
        self.stop = CancellationToken::new();
    }

    /// Creates a run with this webhook and ends it.
    pub(crate) async fn ended(&self, url: &str) -> RunId {
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

    pub(crate) async fn next_due(&self) -> Option<Timestamp> {
        self.memory.claim_deliveries(0, Duration::ZERO).await.unwrap().next_due
    }

    /// Waits until no delivery is pending.
    pub(crate) async fn settled(&self) {
        until("the end of all deliveries", async || self.next_due().await.is_none()).await;
    }

    /// The attempts and reasons of deliveries that were given up.
    pub(crate) async fn failed(&self) -> Vec<(u32, String)> {
        self.settled().await;
        let failed = self.memory.failed_deliveries(&Scope::default(), 100).await.unwrap();
        failed.into_iter().map(|each| (each.attempts, each.reason)).collect()
    }
}

/// Resolves every name to these addresses.
pub(crate) struct Fixed(pub(crate) Vec<SocketAddr>);

impl Resolve for Fixed {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses = self.0.clone();
        Box::pin(async move { Ok(Box::new(addresses.into_iter()) as Addrs) })
    }
}
