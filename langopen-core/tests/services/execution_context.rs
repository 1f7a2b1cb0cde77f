//! The store that an executor works with.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use langopen_backends::memory::Memory;
use langopen_core::clock::{ManualClock, Timestamp};
use langopen_core::executor::{ExecutionContext, Executor, GraphInfo, RunJob, RunOutput, SchemasRequest, StateRequest};
use langopen_core::model::{
    CheckpointList, ItemReadOptions, MultitaskStrategy, NewCheckpoint, NewRun, NewStoreItem, PendingWrite,
    PendingWrites, Run, RunThread,
};
use langopen_core::queue::ClaimRequest;
use langopen_core::{AssistantId, ErrorKind, JsonMap, Queue, RawJson, Result, RunId, Scope, Tenant, ThreadId};
use tokio::sync::watch;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(30);

fn checkpoint(thread_id: ThreadId, run: Option<&Run>) -> NewCheckpoint {
    NewCheckpoint {
        thread_id,
        checkpoint_ns: String::new(),
        checkpoint_id: "1".to_owned(),
        parent_checkpoint_id: None,
        run_id: run.map(|run| run.run_id),
        attempt: run.map(|run| run.attempt),
        kind: "json".to_owned(),
        bytes: "{}".into(),
        metadata: serde_json::json!({}).into(),
        channel_versions: Vec::new(),
        blobs: Vec::new(),
    }
}

fn writes(thread_id: ThreadId) -> PendingWrites {
    let (task_id, channel, kind) = ("task".to_owned(), "log".to_owned(), "json".to_owned());
    PendingWrites {
        thread_id,
        checkpoint_ns: String::new(),
        checkpoint_id: "1".to_owned(),
        run_id: None,
        attempt: None,
        task_path: String::new(),
        writes: vec![PendingWrite { task_id, index: 0, channel, kind, bytes: "1".into() }],
    }
}

fn item() -> NewStoreItem {
    NewStoreItem {
        namespace: vec!["a".to_owned()],
        key: "k".to_owned(),
        value: serde_json::json!({}).into(),
        ttl_minutes: None,
        vectors: Vec::new(),
        lease: None,
    }
}

/// Claims the only run.
async fn claimed(memory: &Memory) -> Run {
    memory.claim(&ClaimRequest::new("worker", 1, LEASE)).await.expect("claims").runs.remove(0).run
}

fn job(memory: &Arc<Memory>, scope: &Scope, run: Run) -> RunJob {
    RunJob::new(run, ExecutionContext::new(memory.clone(), memory.clone(), scope.clone()), watch::channel(None).1)
}

#[tokio::test]
async fn a_run_writes_under_its_own_lease_whatever_the_executor_says() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_763_900_000_000_000)));
    let (memory, scope) = (Arc::new(Memory::with_clock(clock.clone())), Scope::default());
    let thread_id = ThreadId(Uuid::now_v7());
    let new = NewRun {
        run_id: RunId(Uuid::now_v7()),
        thread_id,
        assistant_id: AssistantId::system("agent"),
        graph_id: "agent".to_owned(),
        metadata_base: JsonMap::new(),
        metadata_own: JsonMap::new(),
        kwargs: RawJson::default(),
        multitask_strategy: MultitaskStrategy::Enqueue,
        resumable: false,
        webhook: None,
        temporary: false,
        origin: Default::default(),
        available_at: Timestamp::from_micros(0),
        thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
        firing: None,
    };
    memory.enqueue(&scope, new).await.unwrap();
    let first = job(&memory, &scope, claimed(&memory).await);
    first.context.put_checkpoint(checkpoint(thread_id, None)).await.unwrap();
    first.context.put_writes(writes(thread_id)).await.unwrap();
    first.context.put_item(item()).await.unwrap();
    clock.advance(LEASE);
    let second = job(&memory, &scope, claimed(&memory).await);
    assert_eq!(second.context.lease().map(|lease| lease.attempt), Some(2));
    // The first attempt names no lease, and then the second attempt's.
    for named in [None, Some(&second.run)] {
        let refused = first.context.put_checkpoint(checkpoint(thread_id, named)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::LeaseLost);
    }
    for refused in [
        first.context.put_writes(writes(thread_id)).await,
        first.context.put_item(item()).await,
        first.context.delete_item(&["a".to_owned()], "k").await,
        first.context.delete_checkpoints(thread_id).await,
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::LeaseLost);
    }
    second.context.put_writes(writes(thread_id)).await.unwrap();
    assert!(second.context.item(&["a".to_owned()], "k", ItemReadOptions::default()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_context_reaches_its_own_scope_alone() {
    let memory = Arc::new(Memory::new());
    let context = |tenant: &str| {
        let scope = Scope::tenant(Tenant::parse(tenant).unwrap());
        ExecutionContext::new(memory.clone(), memory.clone(), scope)
    };
    let (own, other) = (context("a/b/c"), context("a/b/d"));
    own.put_item(item()).await.unwrap();
    assert!(other.item(&["a".to_owned()], "k", ItemReadOptions::default()).await.unwrap().is_none());
    assert!(other.search_items(&Default::default()).await.unwrap().items.is_empty());
    let thread_id = ThreadId(Uuid::now_v7());
    assert!(own.list_checkpoints(thread_id, &CheckpointList::default()).await.unwrap().is_empty());
    let refused = own.put_checkpoint(checkpoint(thread_id, None)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound, "there is no such thread");
}

/// Executes nothing.
struct Plain;

#[async_trait::async_trait]
impl Executor for Plain {
    async fn graphs(&self) -> Result<Vec<GraphInfo>> {
        Ok(Vec::new())
    }

    async fn execute(&self, _: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>> {
        Ok(futures::stream::empty().boxed())
    }
}

#[tokio::test]
async fn an_executor_without_answers_says_so() {
    let memory = Arc::new(Memory::new());
    let context = || ExecutionContext::new(memory.clone(), memory.clone(), Scope::default());
    let schemas = Plain.schemas(context(), SchemasRequest::new("agent", RawJson::default())).await.unwrap_err();
    let state = Plain.get_state(context(), StateRequest::new("agent", RawJson::default())).await.unwrap_err();
    assert_eq!((schemas.kind(), schemas.operation()), (ErrorKind::Unsupported, "executor.schemas"));
    assert_eq!((state.kind(), state.operation()), (ErrorKind::Unsupported, "executor.get_state"));
}
