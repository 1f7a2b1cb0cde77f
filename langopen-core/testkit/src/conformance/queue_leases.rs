//! Leases: extending and losing them, and that a lost lease changes nothing.

use langopen_core::clock::Clock;
use langopen_core::error::ErrorKind;
use langopen_core::model::{
    CheckpointKey, FieldVector, ItemReadOptions, NewCheckpoint, NewStoreItem, PendingWrites, StoreItemQuery,
};
use langopen_core::queue::{Claim, Heartbeat, Lease, Losses, Outcome};
use langopen_core::run_state::RunStatus;
use serde_json::json;

use super::support::{
    LEASE, SECOND, checkpoint, interrupt, outcome, raw, refused, scope, state, thread_id, write, writes,
};
use super::{Fixture, Need};

/// A heartbeat extends the lease from now on. The answers have the order of the request.
pub async fn a_heartbeat_keeps_a_lease(backend: &Fixture) {
    let id = thread_id();
    let claim = backend.running(id).await;
    for _ in 0..3 {
        backend.clock.advance(LEASE - SECOND);
        let unknown = Lease { run_id: langopen_core::RunId(id.0), attempt: 1 };
        let wrong = Lease { attempt: 2, ..claim.lease() };
        let beats = backend.queue().heartbeat(&[unknown, claim.lease(), wrong], LEASE).await.expect("heartbeat");
        assert_eq!(beats, [Heartbeat::Lost, Heartbeat::Held(None), Heartbeat::Lost]);
        assert_eq!(backend.claimed_ids().await, [], "the lease is held");
    }
    assert_eq!(backend.queue().heartbeat(&[], LEASE).await.expect("heartbeat"), []);
    backend.queue().finish(claim.lease(), outcome()).await.expect("the lease is good until the end");
    let beats = backend.queue().heartbeat(&[claim.lease()], LEASE).await.expect("heartbeat");
    assert_eq!(beats, [Heartbeat::Lost], "a run that has ended has no lease");
}

/// A run with an expired lease is claimed as the next attempt, before the thread's other runs.
pub async fn an_expired_lease_is_claimed_anew(backend: &Fixture) {
    let id = thread_id();
    let first = backend.running(id).await;
    let waiting = backend.add_run(id).await;
    backend.clock.advance(LEASE - SECOND);
    assert_eq!(backend.claimed_ids().await, [], "not before its time");
    backend.clock.advance(SECOND);
    let second = backend.claim_one().await;
    assert_eq!((second.run.run_id, second.run.attempt), (first.run.run_id, 2));
    assert_eq!(backend.run(id, second.run.run_id).await, Some(second.run.clone()), "the row shows the attempt");
    assert_eq!(backend.claimed_ids().await, [], "the new lease is held");
    backend.queue().finish(second.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.claimed_ids().await, [waiting]);
}

/// An old lease cannot end, release or extend the run, and trying changes nothing.
pub async fn an_old_lease_can_do_nothing(backend: &Fixture) {
    let id = thread_id();
    let old = backend.running(id).await.lease();
    backend.clock.advance(LEASE);
    let new = backend.claim_one().await;
    let row = backend.row(id).await;
    let end = || Outcome { state: Some(state("1", json!({"lost": true}))), rollback: true, ..outcome() };
    refused(backend.queue().finish(old, end()).await, ErrorKind::LeaseLost, "finishing");
    refused(backend.queue().release(old, SECOND).await, ErrorKind::LeaseLost, "releasing");
    assert_eq!(backend.queue().heartbeat(&[old], LEASE * 9).await.expect("heartbeat"), [Heartbeat::Lost]);
    assert_eq!(backend.row(id).await, row, "the thread is unchanged");
    assert_eq!(backend.run(id, old.run_id).await, Some(new.run.clone()), "the run is unchanged");
    backend.clock.advance(LEASE);
    let newest = backend.claim_one().await;
    assert_eq!(newest.run.attempt, 3, "the old lease's heartbeat did not extend the new lease");
    backend.queue().finish(newest.lease(), outcome()).await.expect("the newest lease ends it");
    refused(backend.queue().finish(newest.lease(), end()).await, ErrorKind::LeaseLost, "ending twice");
    assert_eq!(backend.status(id, old.run_id).await, Some(RunStatus::Success));
}

/// A released run is pending again, in its old position at once or after a delay. Its attempt number stays.
pub async fn a_released_run_comes_back(backend: &Fixture) {
    let id = thread_id();
    let first = backend.running(id).await;
    let waiting = backend.add_run(id).await;
    backend.clock.advance(SECOND);
    backend.queue().release(first.lease(), std::time::Duration::ZERO).await.expect("release");
    let run = backend.run(id, first.run.run_id).await.expect("the run");
    assert_eq!((run.status, run.attempt, run.created_at), (RunStatus::Pending, 1, first.run.created_at));
    refused(backend.queue().finish(first.lease(), outcome()).await, ErrorKind::LeaseLost, "after a release");
    let second = backend.claim_one().await;
    assert_eq!((second.run.run_id, second.run.attempt), (first.run.run_id, 2), "it stays before the others");
    backend.queue().cancel(&scope(), id, second.run.run_id, interrupt()).await.expect("cancel");
    backend.queue().release(second.lease(), SECOND * 10).await.expect("release");
    let run = backend.run(id, first.run.run_id).await.expect("the run");
    assert_eq!(run.created_at, first.run.created_at, "a delay does not change when it was created");
    let other = backend.claim_one().await;
    assert_eq!(other.run.run_id, waiting, "a delayed run blocks no other run");
    backend.queue().finish(other.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.claimed_ids().await, [], "not before its delay is over");
    backend.clock.advance(SECOND * 10);
    let third = backend.claim_one().await;
    assert_eq!((third.run.run_id, third.run.attempt, third.cancel), (first.run.run_id, 3, Some(interrupt())));
}

/// Setting a clock forward ends no lease, and setting it back extends none: leases are measured in elapsed time.
pub async fn a_clock_that_is_set_changes_no_lease(backend: &Fixture) {
    let id = thread_id();
    let first = backend.running(id).await;
    for hours in [3, -6] {
        let now = backend.clock.now().as_micros();
        backend.clock.set(langopen_core::clock::Timestamp::from_micros(now + hours * 3_600_000_000));
        assert_eq!(backend.claimed_ids().await, [], "set by {hours} hours");
        let beats = backend.queue().heartbeat(&[first.lease()], LEASE).await.expect("heartbeat");
        assert_eq!(beats, [Heartbeat::Held(None)], "set by {hours} hours");
    }
    backend.clock.advance(LEASE);
    let second = backend.claim_one().await;
    assert_eq!((second.run.run_id, second.run.attempt), (first.run.run_id, 2), "time has passed");
}

/// The recorded losses of attempts are returned by the next claim, after a release and after an expired lease. An old
/// lease cannot record losses.
pub async fn losses_are_kept_for_the_next_attempt(backend: &Fixture) {
    let id = thread_id();
    let first = backend.running(id).await;
    assert_eq!(first.losses, Losses::default());
    let losses = Losses { excused: 1, suspected: 2 };
    backend.queue().record_losses(first.lease(), losses).await.expect("record");
    backend.queue().release(first.lease(), std::time::Duration::ZERO).await.expect("release");
    refused(backend.queue().record_losses(first.lease(), Losses::default()).await, ErrorKind::LeaseLost, "recording");
    let second = backend.claim_one().await;
    assert_eq!((second.run.attempt, second.losses), (2, losses));
    let more = Losses { excused: 2, suspected: 2 };
    backend.queue().record_losses(second.lease(), more).await.expect("record");
    backend.clock.advance(LEASE);
    assert_eq!(backend.claim_one().await.losses, more, "after an expired lease");
}

/// Deleting a run ends its lease.
pub async fn a_deleted_run_has_no_lease(backend: &Fixture) {
    let id = thread_id();
    let claim = backend.running(id).await;
    backend.runs().delete_run(&scope(), id, claim.run.run_id).await.expect("delete");
    assert_eq!(backend.queue().heartbeat(&[claim.lease()], LEASE).await.expect("heartbeat"), [Heartbeat::Lost]);
    refused(backend.queue().finish(claim.lease(), outcome()).await, ErrorKind::LeaseLost, "finishing");
    refused(backend.queue().release(claim.lease(), SECOND).await, ErrorKind::LeaseLost, "releasing");
    backend.clock.advance(LEASE * 2);
    assert_eq!(backend.claimed_ids().await, [], "its lease does not expire into a claim");
}

/// A lost lease, and the lease of an ended run, change no item of the store. The current lease does, and so does a
/// request outside of a run.
pub async fn a_lost_lease_changes_no_item(backend: &Fixture) {
    let id = backend.new_thread().await;
    let first = backend.running(id).await.lease();
    let namespace = ["a".to_owned()];
    let puts = async |lease: Option<Lease>, n: u32| {
        let (key, value) = ("k".to_owned(), raw(json!({"n": n})));
        let vectors = vec![FieldVector { path: "$".to_owned(), vector: vec![1.0, n as f32] }];
        let new = NewStoreItem { namespace: namespace.to_vec(), key, value, ttl_minutes: None, vectors, lease };
        backend.items().put_item(&scope(), new).await
    };
    let deletes = async |lease: Option<Lease>| backend.items().delete_item(&scope(), &namespace, "k", lease).await;
    let refuses = async |lease: Lease, what: &str| {
        refused(puts(Some(lease), 9).await, ErrorKind::LeaseLost, what);
        refused(deletes(Some(lease)).await, ErrorKind::LeaseLost, what);
    };
    let holds = async |n: u32| {
        let ranks = backend.has(Need::Similarity);
        let query = StoreItemQuery::default().with_vector(ranks.then(|| vec![1.0, n as f32])).with_limit(10);
        let found = backend.items().search_items(&scope(), &query).await.expect("search").items;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].item.value, raw(json!({"n": n})));
        assert!(!ranks || found[0].score.is_some_and(|score| score > 0.999), "{found:?}");
    };
    puts(Some(first), 1).await.expect("the current attempt");
    holds(1).await;
    backend.clock.advance(LEASE);
    let second = backend.claim_one().await.lease();
    refuses(first, "the lease is lost").await;
    holds(1).await;
    puts(Some(second), 2).await.expect("the current attempt");
    holds(2).await;
    backend.queue().finish(second, outcome()).await.expect("the end");
    refuses(second, "the run has ended").await;
    holds(2).await;
    puts(None, 3).await.expect("no run's");
    holds(3).await;
    let third = backend.running(id).await.lease();
    deletes(Some(third)).await.expect("the current attempt");
    assert_eq!(backend.items().item(&scope(), &namespace, "k", ItemReadOptions::default()).await.expect("read"), None);
    deletes(None).await.expect("no run's");
}

/// A write by an old or ended attempt is refused. It must not become the thread's latest state, and must not remove
/// that state.
pub async fn an_old_attempt_keeps_no_checkpoints(backend: &Fixture) {
    let id = backend.new_thread().await;
    let first = backend.running(id).await;
    let keeps = async |claim: &Claim, checkpoint_id: &str| {
        let (run_id, attempt) = (Some(claim.run.run_id), Some(claim.run.attempt));
        let new = NewCheckpoint { run_id, attempt, ..checkpoint(id, checkpoint_id) };
        let list = vec![write("task", 0, b"w")];
        let new_writes = PendingWrites { run_id, attempt, ..writes(id, checkpoint_id, list) };
        let kept = backend.checkpoints().put_checkpoint(&scope(), new).await;
        (kept, backend.checkpoints().put_writes(&scope(), new_writes).await)
    };
    let refuses = async |claim: &Claim, what: &str| {
        let (checkpoint, writes) = keeps(claim, "9").await;
        refused(checkpoint, ErrorKind::LeaseLost, what);
        refused(writes, ErrorKind::LeaseLost, what);
        let deleted = backend.checkpoints().delete_checkpoints(&scope(), id, Some(claim.lease())).await;
        refused(deleted, ErrorKind::LeaseLost, what);
    };
    let (checkpoint, writes) = keeps(&first, "1").await;
    checkpoint.and(writes).expect("the current attempt");
    backend.clock.advance(LEASE);
    let second = backend.claim_one().await;
    refuses(&first, "the lease is lost").await;
    let (checkpoint, writes) = keeps(&second, "2").await;
    checkpoint.and(writes).expect("the current attempt");
    backend.queue().finish(second.lease(), outcome()).await.expect("the end");
    refuses(&second, "the run has ended").await;
    backend.set_state(id, langopen_core::model::ThreadStatus::Idle, state("2", json!({"n": 1}))).await;
    let (checkpoint, writes) = keeps(&second, "2").await;
    refused(checkpoint.and(writes), ErrorKind::LeaseLost, "the same checkpoint again");
    let latest = backend.threads().latest_state(&scope(), id).await.expect("read");
    assert_eq!(latest, Some(state("2", json!({"n": 1}))), "a refused write does not change the latest state");
    let newest = CheckpointKey { thread_id: id, checkpoint_ns: String::new(), checkpoint_id: None };
    let newest = backend.checkpoints().checkpoint(&scope(), &newest).await.expect("read").expect("a checkpoint");
    assert_eq!(newest.checkpoint_id, "2");
}
