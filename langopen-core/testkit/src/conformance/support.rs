//! Helpers of the tests.

use std::fmt::Debug;
use std::time::Duration;

use langopen_core::clock::{Clock, Timestamp};
use langopen_core::error::{ErrorKind, Result};
use langopen_core::filter::MetadataFilter;
use langopen_core::ids::{AssistantId, RunId, ThreadId};
use langopen_core::json::{JsonMap, RawJson};
use langopen_core::model::{
    CancelAction, CancelRequest, IfExists, MultitaskStrategy, NewCheckpoint, NewRun, NewThread, PendingWrite,
    PendingWrites, Run, RunThread, Thread, ThreadState, ThreadStatus,
};
use langopen_core::queue::{CancelSignal, Claim, ClaimRequest, Outcome};
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::{Scope, Tenant};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::{Fixture, Need};

pub(super) const LEASE: Duration = Duration::from_secs(30);
pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn scope() -> Scope {
    Scope::default()
}

/// A scope in another tenant than [`scope`].
pub(super) fn foreign() -> Scope {
    Scope::tenant(Tenant::new("other", "project", "deployment").expect("a tenant"))
}

/// [`scope`], limited to rows whose metadata has this owner.
pub(super) fn owned_by(owner: &str) -> Scope {
    Scope { filter: Some(MetadataFilter::Equals("owner".to_owned(), owner.into())), ..scope() }
}

pub(super) fn map(value: Value) -> JsonMap {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is not an object"),
    }
}

pub(super) fn raw(value: Value) -> RawJson {
    value.into()
}

pub(super) fn thread_id() -> ThreadId {
    ThreadId(Uuid::now_v7())
}

/// Panics unless the result is an error of this kind.
#[track_caller]
pub(super) fn refused<T: Debug>(result: Result<T>, kind: ErrorKind, what: &str) {
    match result {
        Err(error) => assert_eq!(error.kind(), kind, "{what}: {error}"),
        Ok(value) => panic!("{what}: must fail as {kind:?}, but gave {value:?}"),
    }
}

pub(super) fn outcome() -> Outcome {
    Outcome {
        status: RunStatus::Success,
        thread_status: ThreadStatus::Idle,
        error: None,
        interrupts: raw(json!({})),
        state: None,
        values: None,
        rollback: false,
    }
}

pub(super) fn interrupt() -> CancelRequest {
    CancelRequest { action: CancelAction::Interrupt, reason: "a client requested it".to_owned() }
}

pub(super) fn state(checkpoint_id: &str, values: Value) -> ThreadState {
    ThreadState { checkpoint_id: checkpoint_id.to_owned(), values: raw(values), rest: raw(json!({"next": []})) }
}

pub(super) fn checkpoint(thread_id: ThreadId, checkpoint_id: &str) -> NewCheckpoint {
    NewCheckpoint {
        thread_id,
        checkpoint_ns: String::new(),
        checkpoint_id: checkpoint_id.to_owned(),
        parent_checkpoint_id: None,
        run_id: None,
        attempt: None,
        kind: "msgpack".to_owned(),
        bytes: bytes::Bytes::from_static(b"checkpoint"),
        metadata: raw(json!({})),
        channel_versions: Vec::new(),
        blobs: Vec::new(),
    }
}

pub(super) fn write(task_id: &str, index: i64, bytes: &'static [u8]) -> PendingWrite {
    let (channel, kind) = ("messages".to_owned(), "msgpack".to_owned());
    PendingWrite { task_id: task_id.to_owned(), index, channel, kind, bytes: bytes::Bytes::from_static(bytes) }
}

pub(super) fn writes(thread_id: ThreadId, checkpoint_id: &str, writes: Vec<PendingWrite>) -> PendingWrites {
    PendingWrites {
        thread_id,
        checkpoint_ns: String::new(),
        checkpoint_id: checkpoint_id.to_owned(),
        run_id: None,
        attempt: None,
        task_path: String::new(),
        writes,
    }
}

impl Fixture {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Creates a thread with this metadata.
    pub(super) async fn thread_with(&self, metadata: Value) -> Thread {
        let new = NewThread { thread_id: thread_id(), metadata: map(metadata), ttl: None };
        self.threads().create_thread(&scope(), new, IfExists::Raise).await.expect("a new thread")
    }

    pub(super) async fn new_thread(&self) -> ThreadId {
        self.thread_with(json!({})).await.thread_id
    }

    /// The thread's row, which must exist.
    pub(super) async fn row(&self, id: ThreadId) -> Thread {
        self.threads().thread(&scope(), id).await.expect("read the thread").expect("the thread is there")
    }

    /// A new run that may start now, on a thread that is created if it is missing.
    pub(super) fn new_run(&self, thread_id: ThreadId) -> NewRun {
        NewRun {
            run_id: RunId(Uuid::now_v7()),
            thread_id,
            assistant_id: AssistantId::system("agent"),
            graph_id: "agent".to_owned(),
            metadata_base: JsonMap::new(),
            metadata_own: JsonMap::new(),
            kwargs: raw(json!({"input": {"n": 1}})),
            multitask_strategy: MultitaskStrategy::Enqueue,
            resumable: false,
            webhook: None,
            temporary: false,
            origin: Default::default(),
            available_at: self.now(),
            thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
            firing: None,
        }
    }

    pub(super) fn run_with(&self, thread_id: ThreadId, multitask_strategy: MultitaskStrategy) -> NewRun {
        NewRun { multitask_strategy, ..self.new_run(thread_id) }
    }

    pub(super) fn delayed_run(&self, thread_id: ThreadId, by: Duration) -> NewRun {
        NewRun { available_at: self.now().plus(by), ..self.new_run(thread_id) }
    }

    pub(super) async fn enqueue(&self, new: NewRun) -> RunId {
        self.queue().enqueue(&scope(), new).await.expect("a new run").run.run_id
    }

    /// Creates a plain run on the thread.
    pub(super) async fn add_run(&self, thread_id: ThreadId) -> RunId {
        self.enqueue(self.new_run(thread_id)).await
    }

    pub(super) async fn claim_all(&self) -> Vec<Claim> {
        self.queue().claim(&ClaimRequest::new("worker", 1000, LEASE)).await.expect("a claim").runs
    }

    pub(super) async fn claimed_ids(&self) -> Vec<RunId> {
        self.claim_all().await.iter().map(|claim| claim.run.run_id).collect()
    }

    /// Claims the only run that can be claimed now.
    pub(super) async fn claim_one(&self) -> Claim {
        let mut claims = self.claim_all().await;
        assert_eq!(claims.len(), 1, "one run must be claimable: {claims:?}");
        claims.remove(0)
    }

    /// Creates and claims a run on the thread.
    pub(super) async fn running(&self, thread_id: ThreadId) -> Claim {
        let run_id = self.add_run(thread_id).await;
        let claim = self.claim_one().await;
        assert_eq!(claim.run.run_id, run_id, "the new run must be the one that is claimed");
        claim
    }

    pub(super) async fn run(&self, thread_id: ThreadId, run_id: RunId) -> Option<Run> {
        self.runs().run(&scope(), thread_id, run_id).await.expect("read the run")
    }

    pub(super) async fn status(&self, thread_id: ThreadId, run_id: RunId) -> Option<RunStatus> {
        self.run(thread_id, run_id).await.map(|run| run.status)
    }

    /// Stores a state from outside of a run.
    pub(super) async fn set_state(&self, id: ThreadId, status: ThreadStatus, kept: ThreadState) -> Thread {
        let set = self.threads().set_thread_state(&scope(), id, status, raw(json!({})), kept).await;
        set.expect("set the state")
    }

    /// The next hint must be the cancel of this run. A backend without hints sends none.
    #[track_caller]
    pub(super) fn hears(&self, cancels: &mut broadcast::Receiver<CancelSignal>, run_id: RunId, action: CancelAction) {
        if self.has(Need::Hints) {
            let signal = cancels.try_recv().expect("the worker receives the cancel");
            assert_eq!((signal.run_id, signal.request.action), (run_id, action));
        }
    }

    pub(super) async fn put(&self, new: NewCheckpoint) {
        self.checkpoints().put_checkpoint(&scope(), new).await.expect("keep a checkpoint");
    }
}
