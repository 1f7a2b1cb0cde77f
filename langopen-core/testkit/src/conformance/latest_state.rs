//! The latest state that is stored beside a thread's row.

use langopen_core::error::ErrorKind;
use langopen_core::ids::ThreadId;
use langopen_core::model::{NewCheckpoint, ThreadState, ThreadStatus};
use langopen_core::queue::Outcome;
use serde_json::json;

use super::Fixture;
use super::support::{checkpoint, outcome, raw, refused, scope, state, thread_id, write, writes};

async fn latest(backend: &Fixture, id: ThreadId) -> Option<ThreadState> {
    backend.threads().latest_state(&scope(), id).await.expect("latest state")
}

async fn set(
    backend: &Fixture,
    id: ThreadId,
    kept: ThreadState,
) -> langopen_core::Result<langopen_core::model::Thread> {
    backend.threads().set_thread_state(&scope(), id, ThreadStatus::Interrupted, raw(json!({"t": [1]})), kept).await
}

/// A stored state is returned as long as it describes the latest root checkpoint.
pub async fn a_state_is_kept_until_a_newer_checkpoint(backend: &Fixture) {
    let id = backend.new_thread().await;
    assert_eq!(latest(backend, id).await, None);
    backend.put(checkpoint(id, "0")).await;
    backend.put(checkpoint(id, "2")).await;
    let kept = state("2", json!({"n": 1}));
    let row = set(backend, id, kept.clone()).await.expect("set the state");
    assert_eq!(row, backend.row(id).await, "the returned row equals the stored row");
    assert_eq!((row.status, row.values), (ThreadStatus::Interrupted, Some(kept.values.clone())));
    assert_eq!(row.interrupts, Some(raw(json!({"t": [1]}))));
    assert_eq!(latest(backend, id).await, Some(kept.clone()));
    backend.put(NewCheckpoint { checkpoint_ns: "sub:1".to_owned(), ..checkpoint(id, "3") }).await;
    assert_eq!(latest(backend, id).await, Some(kept.clone()), "a subgraph's checkpoint is not the root's");
    backend.put(checkpoint(id, "0")).await;
    assert_eq!(latest(backend, id).await, Some(kept), "an older checkpoint that is replaced changes nothing");
    backend.put(checkpoint(id, "1")).await;
    assert_eq!(latest(backend, id).await, None, "a checkpoint that is accepted later makes it stale, whatever its id");
    refused(set(backend, thread_id(), state("1", json!({}))).await, ErrorKind::NotFound, "a state of no thread");
}

/// New writes on the checkpoint, or the same checkpoint again, make the state stale. The end of a run after its writes
/// stores a new state.
pub async fn new_writes_make_a_state_stale(backend: &Fixture) {
    let id = backend.new_thread().await;
    backend.put(checkpoint(id, "1")).await;
    set(backend, id, state("1", json!({"n": 1}))).await.expect("set the state");
    let wrote = writes(id, "1", vec![write("task", 0, b"w")]);
    backend.checkpoints().put_writes(&scope(), wrote).await.expect("writes");
    assert_eq!(latest(backend, id).await, None, "writes on the checkpoint make it stale");
    let claim = backend.running(id).await;
    let wrote = writes(id, "1", vec![write("task", -1, b"interrupt")]);
    backend.checkpoints().put_writes(&scope(), wrote).await.expect("writes");
    let kept = state("1", json!({"n": 2}));
    let end = Outcome { state: Some(kept.clone()), ..outcome() };
    backend.queue().finish(claim.lease(), end).await.expect("finish");
    assert_eq!(latest(backend, id).await, Some(kept), "the end of a run stores the state after its writes");
    backend.put(checkpoint(id, "1")).await;
    assert_eq!(latest(backend, id).await, None, "the same checkpoint again makes it stale");
}

/// Setting a state is refused while a run is in flight, including a delayed one.
pub async fn a_state_is_not_set_while_a_run_is_in_flight(backend: &Fixture) {
    let id = backend.new_thread().await;
    let run_id = backend.enqueue(backend.delayed_run(id, super::support::SECOND)).await;
    let before = backend.row(id).await;
    refused(set(backend, id, state("1", json!({}))).await, ErrorKind::Conflict, "with a pending run");
    assert_eq!(backend.row(id).await, before, "a refused change changes nothing");
    backend.clock.advance(super::support::SECOND);
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.run_id, run_id);
    refused(set(backend, id, state("1", json!({}))).await, ErrorKind::Conflict, "with a running run");
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    set(backend, id, state("1", json!({}))).await.expect("when nothing is in flight");
}
