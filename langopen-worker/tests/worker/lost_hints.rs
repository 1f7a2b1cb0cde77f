//! A worker whose queue sends no hints: hints may be lost, runs and cancels may not.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_core::executor::{Executor, GraphInfo, RunJob, RunOutput, RunResult, RunResultStatus};
use langopen_core::model::{CancelAction, CancelRequest, MultitaskStrategy, NewRun, RunThread, ThreadStatus};
use langopen_core::queue::{
    CancelSignal, Cancelled, CancelledMany, ClaimRequest, Claims, Enqueued, Finished, Heartbeat, InFlight, Lease,
    Losses, Outcome, QueueStats,
};
use langopen_core::storage::Runs;
use langopen_core::{
    AssistantId, Backend, Clock, JsonMap, Queue, Result, RunId, RunStatus, Scope, SystemClock, ThreadId,
};
use langopen_worker::{Worker, WorkerSettings};
use serde_json::json;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

/// The memory queue without its hints.
struct Mute {
    queue: Memory,
    wakes: Arc<Notify>,
    cancels: broadcast::Sender<CancelSignal>,
}

#[async_trait]
impl Queue for Mute {
    async fn enqueue(&self, scope: &Scope, new: NewRun) -> Result<Enqueued> {
        self.queue.enqueue(scope, new).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims> {
        self.queue.claim(request).await
    }

    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Heartbeat>> {
        self.queue.heartbeat(leases, lease).await
    }

    async fn finish(&self, lease: Lease, outcome: Outcome) -> Result<Finished> {
        self.queue.finish(lease, outcome).await
    }

    async fn release(&self, lease: Lease, delay: Duration) -> Result<()> {
        self.queue.release(lease, delay).await
    }

    async fn record_losses(&self, lease: Lease, losses: Losses) -> Result<()> {
        self.queue.record_losses(lease, losses).await
    }

    async fn cancel(
        &self,
        scope: &Scope,
        thread_id: ThreadId,
        run_id: RunId,
        request: CancelRequest,
    ) -> Result<Cancelled> {
        self.queue.cancel(scope, thread_id, run_id, request).await
    }

    async fn cancel_in_flight(&self, scope: &Scope, which: InFlight, request: CancelRequest) -> Result<CancelledMany> {
        self.queue.cancel_in_flight(scope, which, request).await
    }

    async fn stats(&self) -> Result<QueueStats> {
        self.queue.stats().await
    }

    fn wakes(&self) -> Arc<Notify> {
        Arc::clone(&self.wakes)
    }

    fn cancels(&self) -> broadcast::Receiver<CancelSignal> {
        self.cancels.subscribe()
    }
}

/// Ends at once, or when it is cancelled.
struct Ends {
    by_cancel: bool,
}

#[async_trait]
impl Executor for Ends {
    async fn graphs(&self) -> Result<Vec<GraphInfo>> {
        Ok(Vec::new())
    }

    async fn execute(&self, job: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>> {
        let by_cancel = self.by_cancel;
        let mut cancel = job.cancel;
        let end = async move {
            let mut status = RunResultStatus::Success;
            if by_cancel {
                let _ = cancel.wait_for(Option::is_some).await;
                status = RunResultStatus::Cancelled;
            }
            Ok(RunOutput::Done(Box::new(RunResult {
                status,
                thread_status: ThreadStatus::Idle,
                error: None,
                detail: None,
                retryable: false,
                interrupts: json!({}).into(),
                state: None,
            })))
        };
        Ok(end.into_stream().boxed())
    }
}

struct Bench {
    memory: Memory,
    stop: CancellationToken,
    worker: tokio::task::JoinHandle<()>,
}

impl Bench {
    async fn start(executor: Ends) -> Self {
        let memory = Memory::new();
        let mute = Mute { queue: memory.clone(), wakes: Arc::new(Notify::new()), cancels: broadcast::Sender::new(1) };
        let backend = Backend::of(Arc::new(memory.clone()), Arc::new(mute), Arc::new(MemoryEventLog::new()));
        let executor = Arc::new(executor);
        let settings = WorkerSettings::default().with_lease(Duration::from_secs(3));
        let stop = CancellationToken::new();
        let worker = tokio::spawn(Worker::new(backend, executor, settings).run(stop.clone()));
        // The worker has polled, found nothing, and waits.
        tokio::time::sleep(Duration::from_millis(200)).await;
        Self { memory, stop, worker }
    }

    async fn create(&self, thread_id: ThreadId) -> RunId {
        let run_id = RunId(Uuid::now_v7());
        let new = NewRun {
            run_id,
            thread_id,
            assistant_id: AssistantId::system("graph"),
            graph_id: "graph".to_owned(),
            metadata_base: JsonMap::new(),
            metadata_own: JsonMap::new(),
            kwargs: json!({}).into(),
            multitask_strategy: MultitaskStrategy::Enqueue,
            resumable: false,
            webhook: None,
            temporary: false,
            origin: Default::default(),
            available_at: SystemClock.now(),
            thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
            firing: None,
        };
        self.memory.enqueue(&Scope::default(), new).await.unwrap();
        run_id
    }

    async fn until(&self, thread_id: ThreadId, run_id: RunId, status: RunStatus) {
        let reached = async {
            while self.memory.run(&Scope::default(), thread_id, run_id).await.unwrap().unwrap().status != status {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap();
    }

    async fn stop(self) {
        self.stop.cancel();
        self.worker.await.unwrap();
    }
}

#[tokio::test]
async fn a_run_whose_wake_up_was_lost_starts_by_the_poll() {
    let bench = Bench::start(Ends { by_cancel: false }).await;
    let thread_id = ThreadId(Uuid::now_v7());
    let run_id = bench.create(thread_id).await;
    bench.until(thread_id, run_id, RunStatus::Success).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_run_that_waited_for_another_starts_although_its_wake_up_was_lost() {
    let bench = Bench::start(Ends { by_cancel: false }).await;
    let thread_id = ThreadId(Uuid::now_v7());
    let first = bench.create(thread_id).await;
    let second = bench.create(thread_id).await;
    bench.until(thread_id, first, RunStatus::Success).await;
    bench.until(thread_id, second, RunStatus::Success).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_cancel_whose_signal_was_lost_reaches_the_graph_by_the_heartbeat() {
    let bench = Bench::start(Ends { by_cancel: true }).await;
    let thread_id = ThreadId(Uuid::now_v7());
    let run_id = bench.create(thread_id).await;
    bench.until(thread_id, run_id, RunStatus::Running).await;
    let request = CancelRequest { action: CancelAction::Interrupt, reason: "by the test".to_owned() };
    bench.memory.cancel(&Scope::default(), thread_id, run_id, request).await.unwrap();
    bench.until(thread_id, run_id, RunStatus::Interrupted).await;
    bench.stop().await;
}
