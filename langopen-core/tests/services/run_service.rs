//! The run service: the streams of runs that end on the way are closed, also for readers that come later.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::event_log::{EventId, LogKey, NEVER_BEGUN, NewEvent, ReadFrom};
use langopen_core::model::{CancelAction, CancelRequest, MultitaskStrategy, NewRun, RunThread};
use langopen_core::queue::{Cancelled, ClaimRequest, InFlight};
use langopen_core::run_service::{Completeness, RunRead, RunService, ThreadRead, Visibility};
use langopen_core::{
    AssistantId, Backend, Clock, EventLog, JsonMap, Queue, RawJson, RunId, Scope, SystemClock, Tenant, ThreadId,
};
use uuid::Uuid;

struct Bench {
    runs: RunService,
    queue: Arc<Memory>,
    events: Arc<MemoryEventLog>,
    scope: Scope,
    thread_id: ThreadId,
}

impl Bench {
    fn new() -> Self {
        let (memory, events) = (Arc::new(Memory::new()), Arc::new(MemoryEventLog::new()));
        let runs = RunService::new(&Backend::new(memory.clone(), events.clone()));
        let scope = Scope::tenant(Tenant::default());
        Self { runs, queue: memory, events, scope, thread_id: ThreadId(Uuid::now_v7()) }
    }

    async fn submit(&self, multitask_strategy: MultitaskStrategy) -> RunId {
        let new = NewRun {
            run_id: RunId(Uuid::now_v7()),
            thread_id: self.thread_id,
            assistant_id: AssistantId::system("agent"),
            graph_id: "agent".to_owned(),
            metadata_base: JsonMap::new(),
            metadata_own: JsonMap::new(),
            kwargs: RawJson::default(),
            multitask_strategy,
            resumable: false,
            temporary: false,
            webhook: None,
            origin: Default::default(),
            available_at: SystemClock.now(),
            thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
            firing: None,
        };
        self.runs.submit(&self.scope, new).await.expect("a run").run_id
    }

    /// The names of the events that a reader gets who comes now. The stream must end by itself.
    async fn late_reader(&self, run_id: RunId) -> Vec<String> {
        let log = LogKey { thread_id: self.thread_id, run_id };
        let events = self.events.read(log, ReadFrom::After(EventId::ZERO)).await.expect("a stream");
        events.map(|event| event.expect("an event").name.to_string()).collect().await
    }
}

fn interrupt() -> CancelRequest {
    CancelRequest { action: CancelAction::Interrupt, reason: "a test".to_owned() }
}

#[tokio::test]
async fn a_superseded_run_has_an_end_for_late_readers() {
    let bench = Bench::new();
    let first = bench.submit(MultitaskStrategy::Enqueue).await;
    bench.submit(MultitaskStrategy::Interrupt).await;
    assert_eq!(bench.late_reader(first).await, [NEVER_BEGUN]);
}

#[tokio::test]
async fn cancelled_and_deleted_pending_runs_have_an_end_for_late_readers() {
    let bench = Bench::new();
    let [one, many, deleted] = [
        bench.submit(MultitaskStrategy::Enqueue).await,
        bench.submit(MultitaskStrategy::Enqueue).await,
        bench.submit(MultitaskStrategy::Enqueue).await,
    ];
    let cancelled = bench.runs.cancel(&bench.scope, bench.thread_id, one, interrupt()).await.unwrap();
    assert_eq!(cancelled, Cancelled::Ended);
    assert_eq!(bench.late_reader(one).await, [NEVER_BEGUN]);
    bench.runs.delete(&bench.scope, bench.thread_id, deleted).await.unwrap();
    assert_eq!(bench.late_reader(deleted).await, [NEVER_BEGUN]);
    assert_eq!(bench.runs.cancel_in_flight(&bench.scope, InFlight::All, interrupt()).await.unwrap(), 1);
    assert_eq!(bench.late_reader(many).await, [NEVER_BEGUN]);
}

#[tokio::test]
async fn the_stream_of_a_running_run_is_left_to_its_worker() {
    let bench = Bench::new();
    let run_id = bench.submit(MultitaskStrategy::Enqueue).await;
    let claims = bench.queue.claim(&ClaimRequest::new("worker", 1, std::time::Duration::from_secs(60))).await.unwrap();
    assert_eq!(claims.runs.len(), 1);
    let log = LogKey { thread_id: bench.thread_id, run_id };
    let mut reader = bench.events.read(log, ReadFrom::Now).await.unwrap();
    let cancelled = bench.runs.cancel(&bench.scope, bench.thread_id, run_id, interrupt()).await.unwrap();
    assert_eq!(cancelled, Cancelled::Requested);
    let next = tokio::time::timeout(std::time::Duration::from_millis(50), reader.next()).await;
    assert!(next.is_err(), "the stream is open until the worker ends it");
}

#[tokio::test]
async fn a_run_reader_ends_with_its_run() {
    let bench = Bench::new();
    let run_id = RunId(Uuid::now_v7());
    let log = LogKey { thread_id: bench.thread_id, run_id };
    let events = bench.events.begin(log).await.expect("a stream");
    let mut reader = bench.runs.follow(&bench.scope.tenant, log, false, Duration::from_secs(5), events);
    let event = |name: &str| NewEvent { name: name.into(), data: "{}".into() };
    bench
        .events
        .append(log, 1, false, vec![event("metadata"), event("protocol/x"), event("values")])
        .await
        .expect("ok");
    let Some(RunRead::Events(events)) = reader.next().await else { panic!("events") };
    assert_eq!(events.iter().map(|event| &*event.name).collect::<Vec<_>>(), ["metadata", "values"]);
    bench.events.end(log).await.expect("ok");
    assert!(reader.next().await.is_none());
    assert_eq!(reader.completeness(), Completeness::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_run_reader_ends_without_an_end_record_once_the_row_is_terminal() {
    let bench = Bench::new();
    let run_id = bench.submit(MultitaskStrategy::Enqueue).await;
    let log = LogKey { thread_id: bench.thread_id, run_id };
    // This stream never ends, as if its process had lost the signal.
    let events = futures::stream::pending().boxed();
    let mut reader = bench.runs.follow(&bench.scope.tenant, log, false, Duration::from_secs(5), events);
    assert!(matches!(reader.next().await, Some(RunRead::Idle)));
    bench.runs.cancel(&bench.scope, bench.thread_id, run_id, interrupt()).await.expect("cancelled");
    while reader.next().await.is_some() {}
    assert_eq!(reader.completeness(), Completeness::Partial);
}

#[tokio::test]
async fn a_thread_reader_shows_nothing_before_its_caller_sees_the_thread() {
    let bench = Bench::new();
    let event = |name: &str| vec![NewEvent { name: name.into(), data: "{}".into() }];
    let (mut reader, visibility) =
        bench.runs.read_thread(bench.scope.clone(), bench.thread_id, ReadFrom::Now).await.expect("a reader");
    assert_eq!(visibility, Visibility::Missing);
    bench.events.append_to_thread(bench.thread_id, event("foreign")).await.expect("ok");
    assert!(matches!(reader.next().await, Some(ThreadRead::Events(events)) if events.is_empty()));
    bench.submit(MultitaskStrategy::Enqueue).await;
    bench.events.append_to_thread(bench.thread_id, event("state_update")).await.expect("ok");
    let Some(ThreadRead::Events(events)) = reader.next().await else { panic!("events") };
    assert_eq!(events.iter().map(|event| &*event.name).collect::<Vec<_>>(), ["state_update"]);
    bench.runs.delete_thread(&bench.scope, bench.thread_id).await.expect("deleted");
    assert!(reader.next().await.is_none());
}
