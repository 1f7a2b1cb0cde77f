//! How runs end.

use langopen_core::error::ErrorKind;
use langopen_core::model::{
    Blob, CheckpointKey, CheckpointList, NewCheckpoint, NewRun, PendingWrites, RunError, ThreadStatus,
};
use langopen_core::queue::Outcome;
use langopen_core::run_state::RunStatus;
use serde_json::json;

use super::Fixture;
use super::support::{SECOND, checkpoint, outcome, raw, refused, scope, state, thread_id, write, writes};

/// The end of a run changes its thread as the outcome specifies: status, error, interrupts, values and state.
pub async fn an_end_shows_on_the_thread(backend: &Fixture) {
    let id = thread_id();
    let error = RunError { error: "ValueError".to_owned(), message: "no \"é\"".to_owned() };
    let mut values = None;
    let cases = [
        (RunStatus::Success, ThreadStatus::Idle, None, Some(state("1", json!({"n": 1}))), None),
        (
            RunStatus::Success,
            ThreadStatus::Interrupted,
            None,
            Some(state("2", json!({"n": 2}))),
            Some(raw(json!({"ignored": 1}))),
        ),
        (RunStatus::Error, ThreadStatus::Error, Some(error.clone()), None, None),
        (RunStatus::Timeout, ThreadStatus::Error, Some(error), None, None),
        (RunStatus::Interrupted, ThreadStatus::Idle, None, None, Some(raw(json!({"n": 3})))),
    ];
    for (status, thread_status, error, state, end_values) in cases {
        let claim = backend.running(id).await;
        assert_eq!(backend.row(id).await.status, ThreadStatus::Busy);
        if let Some(state) = &state {
            backend.put(checkpoint(id, &state.checkpoint_id)).await;
        }
        backend.clock.advance(SECOND);
        let interrupts = raw(json!({"task": [{"id": status.as_str()}]}));
        let end = Outcome {
            status,
            thread_status,
            error: error.clone(),
            interrupts: interrupts.clone(),
            state: state.clone(),
            values: end_values.clone(),
            rollback: false,
        };
        backend.queue().finish(claim.lease(), end).await.expect("finish");
        let run = backend.run(id, claim.run.run_id).await.expect("the run");
        assert_eq!((run.status, run.updated_at), (status, backend.now()));
        let row = backend.row(id).await;
        values = state.as_ref().map(|state| state.values.clone()).or(end_values).or(values);
        assert_eq!(
            (row.status, &row.values, &row.interrupts),
            (thread_status, &values, &Some(interrupts)),
            "{status:?}"
        );
        assert_eq!([row.updated_at, row.state_updated_at], [backend.now(); 2]);
        let shown = row.error.map(|error| error.decode::<RunError>().expect("{error, message}"));
        assert_eq!(shown, error, "{status:?}");
        if state.is_some() {
            assert_eq!(backend.threads().latest_state(&scope(), id).await.expect("latest state"), state);
        }
    }
}

/// While another run is in flight, including a delayed one, the thread stays busy.
pub async fn others_in_flight_keep_a_thread_busy(backend: &Fixture) {
    let id = thread_id();
    let claim = backend.running(id).await;
    let delayed = backend.enqueue(backend.delayed_run(id, SECOND)).await;
    let end = Outcome { thread_status: ThreadStatus::Error, state: Some(state("1", json!({"n": 1}))), ..outcome() };
    let finished = backend.queue().finish(claim.lease(), end).await.expect("finish");
    assert_eq!(finished.promoted, None, "the other run is not due");
    let row = backend.row(id).await;
    assert_eq!((row.status, row.values), (ThreadStatus::Busy, Some(raw(json!({"n": 1})))), "all other fields change");
    backend.clock.advance(SECOND);
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.run_id, delayed);
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.row(id).await.status, ThreadStatus::Idle);
}

/// The end of a temporary run removes it and its thread.
pub async fn a_temporary_run_leaves_nothing(backend: &Fixture) {
    let kept = backend.running(thread_id()).await;
    let new = NewRun { temporary: true, ..backend.new_run(thread_id()) };
    let id = new.thread_id;
    backend.enqueue(new).await;
    let claim = backend.claim_one().await;
    assert!(claim.run.temporary);
    backend.put(checkpoint(id, "1")).await;
    let end = Outcome { values: Some(raw(json!({"n": 1}))), ..outcome() };
    backend.queue().finish(claim.lease(), end).await.expect("finish");
    assert_eq!(backend.threads().thread(&scope(), id).await.expect("read"), None);
    assert_eq!(backend.run(id, claim.run.run_id).await, None);
    let left = backend.checkpoints().list_checkpoints(&scope(), id, &CheckpointList::default()).await.expect("list");
    assert_eq!(left, []);
    refused(backend.queue().finish(claim.lease(), outcome()).await, ErrorKind::LeaseLost, "ending twice");
    backend.queue().finish(kept.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.status(kept.run.thread_id, kept.run.run_id).await, Some(RunStatus::Success), "other runs stay");
}

/// A rollback removes the run and its checkpoints, with their blobs and writes. Earlier checkpoints stay.
pub async fn a_rollback_removes_what_the_run_made(backend: &Fixture) {
    let id = thread_id();
    let named = |version: &str| vec![("a".to_owned(), version.to_owned())];
    let blob = |version: &str, bytes: &'static [u8]| Blob {
        channel: "a".to_owned(),
        version: version.to_owned(),
        kind: "msgpack".to_owned(),
        bytes: bytes::Bytes::from_static(bytes),
    };
    let first = backend.running(id).await;
    let run_id = Some(first.run.run_id);
    backend
        .put(NewCheckpoint {
            run_id,
            channel_versions: named("1"),
            blobs: vec![blob("1", b"one")],
            ..checkpoint(id, "1")
        })
        .await;
    let end = Outcome { state: Some(state("1", json!({"n": 1}))), ..outcome() };
    backend.queue().finish(first.lease(), end).await.expect("finish");
    let before = backend.checkpoints().list_checkpoints(&scope(), id, &CheckpointList::default()).await.expect("list");

    let second = backend.running(id).await;
    let run_id = Some(second.run.run_id);
    for (checkpoint_id, ns) in [("2", ""), ("3", "sub")] {
        let checkpoint_ns = ns.to_owned();
        let new = NewCheckpoint {
            run_id,
            checkpoint_ns,
            channel_versions: named("2"),
            blobs: vec![blob("2", b"two")],
            ..checkpoint(id, checkpoint_id)
        };
        backend.put(new).await;
    }
    for checkpoint_id in ["1", "2"] {
        let new = PendingWrites { run_id, ..writes(id, checkpoint_id, vec![write("t", 0, b"w")]) };
        backend.checkpoints().put_writes(&scope(), new).await.expect("writes");
    }
    let next = backend.add_run(id).await;
    let error = Some(RunError { error: "UserRollback".to_owned(), message: "undo".to_owned() });
    let end = Outcome { status: RunStatus::Interrupted, rollback: true, error, ..outcome() };
    let finished = backend.queue().finish(second.lease(), end).await.expect("finish");
    assert_eq!(finished.promoted, Some(next));
    assert_eq!(backend.run(id, second.run.run_id).await, None, "the run is removed");
    let after = backend.checkpoints().list_checkpoints(&scope(), id, &CheckpointList::default()).await.expect("list");
    assert_eq!(after, before, "the checkpoints are those from before, without the run's writes");
    let row = backend.row(id).await;
    assert_eq!(row.values, Some(raw(json!({"n": 1}))), "the last values stay");
    assert!(row.error.is_some_and(|error| error.as_str().contains("UserRollback")));
    backend.put(NewCheckpoint { channel_versions: named("2"), ..checkpoint(id, "4") }).await;
    let key = CheckpointKey { thread_id: id, checkpoint_ns: String::new(), checkpoint_id: None };
    let tuple = backend.checkpoints().checkpoint(&scope(), &key).await.expect("read").expect("the checkpoint");
    assert_eq!(tuple.channel_values, [], "no blob of the run is left");
    assert_eq!(backend.claimed_ids().await, [next]);
}

/// Only a terminal status ends a run.
pub async fn only_terminal_statuses_end_a_run(backend: &Fixture) {
    let id = thread_id();
    let claim = backend.running(id).await;
    for status in [RunStatus::Pending, RunStatus::Running] {
        let end = Outcome { status, ..outcome() };
        refused(backend.queue().finish(claim.lease(), end).await, ErrorKind::Invalid, status.as_str());
    }
    assert_eq!(backend.status(id, claim.run.run_id).await, Some(RunStatus::Running));
    backend.queue().finish(claim.lease(), outcome()).await.expect("the lease is still good");
}

/// A new run, the end of a run that promotes another, and a release each notify the workers.
pub async fn an_end_wakes_the_next(backend: &Fixture) {
    let wakes = backend.queue().wakes();
    let woken = async |what: &str| {
        let waiting = tokio::time::timeout(SECOND * 5, wakes.notified());
        waiting.await.unwrap_or_else(|_| panic!("{what} must wake who waits"));
    };
    let id = thread_id();
    backend.add_run(id).await;
    woken("a new run").await;
    let claim = backend.claim_one().await;
    backend.add_run(id).await;
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    woken("a promotion").await;
    let claim = backend.claim_one().await;
    backend.queue().release(claim.lease(), std::time::Duration::ZERO).await.expect("release");
    woken("a release").await;
}
