//! The effects of new runs and cancels on runs in flight.

use langopen_core::error::ErrorKind;
use langopen_core::event_log::LogKey;
use langopen_core::filter::MetadataFilter;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::model::{
    CancelAction, CancelRequest, CheckpointList, MultitaskStrategy, NewCheckpoint, NewRun, RunError, ThreadStatus,
};
use langopen_core::queue::{Cancelled, Heartbeat, InFlight};
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::Scope;
use serde_json::json;

use super::Fixture;
use super::support::{
    LEASE, SECOND, checkpoint, foreign, interrupt, map, outcome, owned_by, refused, scope, thread_id,
};

fn rollback() -> CancelRequest {
    CancelRequest { action: CancelAction::Rollback, reason: "undo it".to_owned() }
}

async fn error_of(backend: &Fixture, id: ThreadId) -> Option<RunError> {
    backend.row(id).await.error.map(|error| error.decode().expect("an error is {error, message}"))
}

/// Executes one attempt of a run that stores a checkpoint, and releases the run.
async fn tried_before(backend: &Fixture, id: ThreadId, checkpoint_id: &str) -> langopen_core::RunId {
    let claim = backend.running(id).await;
    backend.put(NewCheckpoint { run_id: Some(claim.run.run_id), ..checkpoint(id, checkpoint_id) }).await;
    backend.queue().release(claim.lease(), SECOND).await.expect("release");
    claim.run.run_id
}

/// `Reject` refuses a new run while another run is in flight, and then changes nothing.
pub async fn reject_refuses_while_a_run_is_in_flight(backend: &Fixture) {
    let id = backend.new_thread().await;
    let reject = || {
        let mut new = backend.run_with(id, MultitaskStrategy::Reject);
        new.thread.metadata = map(json!({"rejected": true}));
        new
    };
    backend.enqueue(backend.delayed_run(id, SECOND)).await;
    let row = backend.row(id).await;
    refused(backend.queue().enqueue(&scope(), reject()).await, ErrorKind::Conflict, "with a delayed run");
    assert_eq!(backend.row(id).await, row, "a refused run does not change the thread");
    backend.clock.advance(SECOND);
    let claim = backend.claim_one().await;
    refused(backend.queue().enqueue(&scope(), reject()).await, ErrorKind::Conflict, "with a running run");
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    backend.enqueue(reject()).await;
    assert_eq!(backend.row(id).await.metadata, map(json!({"rejected": true})));
}

/// A new run comes after the runs in line, but not after the runs that it ends. So it is dated at its acceptance, even
/// if the clock was set back.
pub async fn what_a_run_ends_does_not_date_it(backend: &Fixture) {
    let id = backend.new_thread().await;
    let began = backend.now();
    backend.add_run(id).await;
    backend.clock.set(langopen_core::Timestamp::from_micros(began.as_micros() - 10_000_000));
    for strategy in [MultitaskStrategy::Interrupt, MultitaskStrategy::Rollback] {
        let new = backend.run_with(id, strategy);
        assert_eq!(backend.queue().enqueue(&scope(), new).await.expect("enqueue").run.created_at, backend.now());
    }
}

/// `Interrupt` ends pending runs and requests the end of the running run. The new run starts when that run has ended.
pub async fn interrupt_ends_the_pending_and_asks_the_running(backend: &Fixture) {
    let id = backend.new_thread().await;
    let running = backend.running(id).await;
    let pending = [backend.add_run(id).await, backend.enqueue(backend.delayed_run(id, SECOND)).await];
    let mut cancels = backend.queue().cancels();
    let new = backend.run_with(id, MultitaskStrategy::Interrupt);
    let enqueued = backend.queue().enqueue(&scope(), new.clone()).await.expect("enqueue");
    assert_eq!(enqueued.ended, pending, "the pending runs have ended");
    for run_id in pending {
        assert_eq!(backend.status(id, run_id).await, Some(RunStatus::Interrupted));
    }
    let error = error_of(backend, id).await.expect("the thread tells of the interrupt");
    assert_eq!(error.error, "UserInterrupt");
    assert!(error.message.contains(&new.run_id.to_string()), "{}", error.message);
    backend.hears(&mut cancels, running.run.run_id, CancelAction::Interrupt);
    assert_eq!(backend.status(id, running.run.run_id).await, Some(RunStatus::Running), "its worker ends it");
    let beat = backend.queue().heartbeat(&[running.lease()], LEASE).await.expect("heartbeat");
    let Heartbeat::Held(Some(request)) = &beat[0] else { panic!("the heartbeat carries the cancel: {beat:?}") };
    assert_eq!(request.action, CancelAction::Interrupt);
    assert_eq!(backend.claimed_ids().await, [], "the new run waits for the running one");
    backend.queue().finish(running.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.claimed_ids().await, [new.run_id]);
    backend.clock.advance(SECOND * 5);
    assert_eq!(backend.claimed_ids().await, [], "an ended run never starts");
}

/// `Rollback` removes pending runs with their checkpoints, and requests the rollback of the running run.
pub async fn rollback_removes_the_pending(backend: &Fixture) {
    let id = backend.new_thread().await;
    backend.put(checkpoint(id, "1")).await;
    let tried = tried_before(backend, id, "2").await;
    let plain = backend.add_run(id).await;
    let new = backend.run_with(id, MultitaskStrategy::Rollback);
    let enqueued = backend.queue().enqueue(&scope(), new.clone()).await.expect("enqueue");
    let mut ended = enqueued.ended.clone();
    ended.sort();
    assert_eq!(ended, [tried, plain], "both were pending");
    for run_id in ended {
        assert_eq!(backend.run(id, run_id).await, None, "a rolled-back run is removed");
    }
    let left = backend.checkpoints().list_checkpoints(&scope(), id, &CheckpointList::default()).await.expect("list");
    assert_eq!(left.iter().map(|tuple| tuple.checkpoint_id.as_str()).collect::<Vec<_>>(), ["1"], "its checkpoints too");
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.run_id, new.run_id);
    let mut cancels = backend.queue().cancels();
    backend.enqueue(backend.run_with(id, MultitaskStrategy::Rollback)).await;
    backend.hears(&mut cancels, new.run_id, CancelAction::Rollback);
    backend.enqueue(backend.run_with(id, MultitaskStrategy::Interrupt)).await;
    let beat = backend.queue().heartbeat(&[claim.lease()], LEASE).await.expect("heartbeat");
    let Heartbeat::Held(Some(request)) = &beat[0] else { panic!("held, with a cancel: {beat:?}") };
    assert_eq!(request.action, CancelAction::Rollback, "a rollback stays a rollback");
}

/// A rollback stays a rollback for a run that its worker released, even if a new run then interrupts it.
pub async fn a_released_run_keeps_its_rollback(backend: &Fixture) {
    let id = backend.new_thread().await;
    let claim = backend.running(id).await;
    let run_id = claim.run.run_id;
    backend.put(NewCheckpoint { run_id: Some(run_id), ..checkpoint(id, "1") }).await;
    backend.queue().cancel(&scope(), id, run_id, rollback()).await.expect("cancel");
    backend.queue().release(claim.lease(), SECOND).await.expect("release");
    let new = backend.run_with(id, MultitaskStrategy::Interrupt);
    assert_eq!(backend.queue().enqueue(&scope(), new).await.expect("enqueue").ended, [run_id]);
    assert_eq!(backend.run(id, run_id).await, None, "it is removed, not interrupted");
    let left = backend.checkpoints().list_checkpoints(&scope(), id, &CheckpointList::default()).await.expect("list");
    assert_eq!(left, [], "its checkpoint too");
}

/// Cancelling a pending run ends it at once, and the next run can start.
pub async fn cancelling_a_pending_run_ends_it(backend: &Fixture) {
    let id = backend.new_thread().await;
    let (first, second) = (backend.add_run(id).await, backend.add_run(id).await);
    let done = backend.queue().cancel(&scope(), id, first, interrupt()).await.expect("cancel");
    assert_eq!((done, backend.status(id, first).await), (Cancelled::Ended, Some(RunStatus::Interrupted)));
    let expected = RunError { error: "UserInterrupt".to_owned(), message: interrupt().reason };
    assert_eq!(error_of(backend, id).await, Some(expected));
    assert_eq!(backend.row(id).await.status, ThreadStatus::Busy, "another run is in flight");
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.run_id, second, "the next run may start");
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");

    let tried = tried_before(backend, id, "1").await;
    let done = backend.queue().cancel(&scope(), id, tried, rollback()).await.expect("cancel");
    assert_eq!((done, backend.run(id, tried).await), (Cancelled::Ended, None), "a rollback removes the run");
    let left = backend.checkpoints().list_checkpoints(&scope(), id, &CheckpointList::default()).await.expect("list");
    assert_eq!(left, [], "and its checkpoints");
    let row = backend.row(id).await;
    assert_eq!((row.status, row.interrupts), (ThreadStatus::Idle, Some(json!({}).into())), "nothing is in flight");
    assert_eq!(error_of(backend, id).await.map(|error| error.error), Some("UserRollback".to_owned()));

    let temporary = NewRun { temporary: true, ..backend.new_run(thread_id()) };
    backend.enqueue(temporary.clone()).await;
    backend.queue().cancel(&scope(), temporary.thread_id, temporary.run_id, interrupt()).await.expect("cancel");
    let thread = backend.threads().thread(&scope(), temporary.thread_id).await.expect("read");
    assert_eq!(thread, None, "a temporary run's thread is removed with it");
}

/// Cancelling a running run notifies its worker by signal and by heartbeat. After an expired lease, the next claim
/// carries the cancel.
pub async fn cancelling_a_running_run_asks_its_worker(backend: &Fixture) {
    let id = backend.new_thread().await;
    let claim = backend.running(id).await;
    let run_id = claim.run.run_id;
    let beat = backend.queue().heartbeat(&[claim.lease()], LEASE).await.expect("heartbeat");
    assert_eq!(beat, [Heartbeat::Held(None)]);
    let mut cancels = backend.queue().cancels();
    let done = backend.queue().cancel(&scope(), id, run_id, rollback()).await.expect("cancel");
    assert_eq!((done, backend.status(id, run_id).await), (Cancelled::Requested, Some(RunStatus::Running)));
    backend.hears(&mut cancels, run_id, CancelAction::Rollback);
    let done = backend.queue().cancel(&scope(), id, run_id, interrupt()).await.expect("cancel again");
    assert_eq!(done, Cancelled::Requested);
    let stands = CancelRequest { action: CancelAction::Rollback, reason: interrupt().reason };
    let beat = backend.queue().heartbeat(&[claim.lease()], LEASE).await.expect("heartbeat");
    assert_eq!(beat, [Heartbeat::Held(Some(stands.clone()))], "the later reason, and still a rollback");
    backend.clock.advance(LEASE);
    assert_eq!(backend.claim_one().await.cancel, Some(stands), "the next attempt carries the cancel");
}

/// A run that has ended, is on another thread, or does not exist cannot be cancelled.
pub async fn what_has_ended_cannot_be_cancelled(backend: &Fixture) {
    let id = backend.new_thread().await;
    let claim = backend.running(id).await;
    let (run_id, queue) = (claim.run.run_id, backend.queue());
    let other = backend.new_thread().await;
    refused(queue.cancel(&scope(), other, run_id, interrupt()).await, ErrorKind::NotFound, "on another thread");
    refused(
        queue.cancel(&scope(), id, langopen_core::RunId(id.0), interrupt()).await,
        ErrorKind::NotFound,
        "an unknown run",
    );
    queue.finish(claim.lease(), outcome()).await.expect("finish");
    refused(queue.cancel(&scope(), id, run_id, interrupt()).await, ErrorKind::NotFound, "a run that has ended");
    assert_eq!(backend.status(id, run_id).await, Some(RunStatus::Success));
}

/// Runs in flight are cancelled together, by status and within the scope. No run starts because another one is
/// cancelled.
pub async fn runs_in_flight_are_cancelled_together(backend: &Fixture) {
    let queue = backend.queue();
    let mine = owned_by("ada");
    let of_ada = async || backend.thread_with(json!({"owner": "ada"})).await.thread_id;
    let (busy, waiting, hidden) = (of_ada().await, of_ada().await, backend.thread_with(json!({"owner": "eve"})).await);
    let running = backend.running(busy).await.run.run_id;
    let behind = backend.add_run(busy).await;
    let (first, second) = (backend.add_run(waiting).await, backend.add_run(waiting).await);
    let of_eve = backend.add_run(hidden.thread_id).await;
    let abroad = queue.enqueue(&foreign(), backend.new_run(thread_id())).await.expect("a foreign run").run;
    let sorted = |mut ids: Vec<RunId>| {
        ids.sort();
        ids
    };

    let ids = |logs: Vec<LogKey>| logs.iter().map(|log| log.run_id).collect::<Vec<_>>();
    let many = queue.cancel_in_flight(&mine, InFlight::Running, interrupt()).await.expect("cancel");
    assert_eq!((ids(many.ended), many.requested), (vec![], vec![running]));
    let many = queue.cancel_in_flight(&mine, InFlight::Pending, interrupt()).await.expect("cancel");
    assert_eq!((sorted(ids(many.ended)), many.requested), (sorted(vec![behind, first, second]), vec![]));
    for (id, run_id) in [(busy, behind), (waiting, first), (waiting, second)] {
        assert_eq!(backend.status(id, run_id).await, Some(RunStatus::Interrupted));
    }
    assert_eq!(backend.row(waiting).await.status, ThreadStatus::Idle);
    assert_eq!(backend.row(busy).await.status, ThreadStatus::Busy);
    let again = backend.add_run(busy).await;
    let many = queue.cancel_in_flight(&mine, InFlight::All, rollback()).await.expect("cancel");
    assert_eq!((ids(many.ended), many.requested), (vec![again], vec![running]));
    assert_eq!(backend.status(busy, again).await, None, "rolled back");

    let none = Scope { filter: Some(MetadataFilter::Equals("owner".to_owned(), "zoe".into())), ..scope() };
    let many = queue.cancel_in_flight(&none, InFlight::All, interrupt()).await.expect("cancel");
    assert_eq!((ids(many.ended), many.requested), (vec![], vec![]), "nothing to cancel is no error");
    assert_eq!(
        sorted(backend.claimed_ids().await),
        sorted(vec![of_eve, abroad.run_id]),
        "runs outside of the scope continue"
    );
}
