//! The order in which runs start, and creating runs.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use langopen_core::clock::Clock;
use langopen_core::error::ErrorKind;
use langopen_core::ids::RunId;
use langopen_core::model::{MultitaskStrategy, NewRun, RunThread, ThreadStatus};
use langopen_core::queue::ClaimRequest;
use langopen_core::run_state::RunStatus;
use serde_json::json;

use super::Fixture;
use super::support::{LEASE, SECOND, checkpoint, foreign, interrupt, map, outcome, refused, scope, thread_id};

/// Runs of a thread start in order, one at a time. Runs of other threads do not wait for them.
pub async fn runs_of_a_thread_start_in_order_and_alone(backend: &Fixture) {
    let (a, b) = (thread_id(), thread_id());
    let mut of_a = Vec::new();
    for _ in 0..4 {
        of_a.push(backend.add_run(a).await);
    }
    let of_b = backend.add_run(b).await;
    let mut claims = backend.claim_all().await;
    assert_eq!(claims.iter().map(|claim| claim.run.run_id).collect::<Vec<_>>(), [of_a[0], of_b], "one of each thread");
    for next in &of_a[1..] {
        assert_eq!(backend.claimed_ids().await, [], "a run of the thread is running");
        assert_eq!(backend.status(a, *next).await, Some(RunStatus::Pending));
        let finished = backend.queue().finish(claims[0].lease(), outcome()).await.expect("finish");
        assert_eq!(finished.promoted, Some(*next), "the end of a run returns the promoted run");
        claims = backend.claim_all().await;
        assert_eq!((claims.len(), claims[0].run.run_id), (1, *next), "first in, first out");
        assert_eq!((claims[0].run.status, claims[0].run.attempt), (RunStatus::Running, 1));
    }
    let finished = backend.queue().finish(claims[0].lease(), outcome()).await.expect("finish");
    assert_eq!(finished.promoted, None, "nothing is left");
    let oldest_first: Vec<_> = [thread_id(), thread_id(), thread_id()].into_iter().collect();
    let mut ids = Vec::new();
    for thread in oldest_first {
        backend.clock.advance(SECOND);
        ids.push(backend.add_run(thread).await);
    }
    let first_two = backend.queue().claim(&ClaimRequest::new("worker", 2, LEASE)).await.expect("claim").runs;
    assert_eq!(
        first_two.iter().map(|claim| claim.run.run_id).collect::<Vec<_>>(),
        ids[..2],
        "the oldest, at most the requested number"
    );
    assert_eq!(backend.queue().claim(&ClaimRequest::new("worker", 0, LEASE)).await.expect("claim").runs.len(), 0);
}

/// A run with a past date is dated and started in the order of acceptance.
pub async fn runs_are_dated_as_they_are_accepted(backend: &Fixture) {
    let id = backend.new_thread().await;
    let dated_back = backend.new_run(id);
    backend.clock.advance(SECOND);
    let first = backend.add_run(id).await;
    backend.clock.advance(SECOND);
    let second = backend.queue().enqueue(&scope(), dated_back).await.expect("enqueue").run;
    assert_eq!(second.created_at, backend.clock.now(), "accepted now");
    let claims = backend.claim_all().await;
    assert_eq!(
        claims.iter().map(|claim| claim.run.run_id).collect::<Vec<_>>(),
        [first],
        "the run that was accepted first"
    );
    let finished = backend.queue().finish(claims[0].lease(), outcome()).await.expect("finish");
    assert_eq!(finished.promoted, Some(second.run_id));
}

/// A delayed run waits for its time and blocks no other run.
pub async fn a_delayed_run_holds_nobody_up(backend: &Fixture) {
    let id = backend.new_thread().await;
    let delayed = backend.delayed_run(id, SECOND * 10);
    let due = delayed.available_at;
    let delayed = backend.enqueue(delayed).await;
    assert_eq!(
        backend.run(id, delayed).await.map(|run| run.created_at),
        Some(due),
        "created_at tells when it may start"
    );
    assert_eq!(backend.row(id).await.status, ThreadStatus::Busy, "the delayed run counts as in flight");
    let claims = backend.queue().claim(&ClaimRequest::new("worker", 10, LEASE)).await.expect("claim");
    assert_eq!((claims.runs.len(), claims.next_due), (0, Some(due)), "the claim returns the next due moment");
    let running = backend.running(id).await;
    backend.queue().finish(running.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.row(id).await.status, ThreadStatus::Busy, "the delayed run is still in flight");
    backend.clock.advance(SECOND * 9);
    assert_eq!(backend.claimed_ids().await, []);
    backend.clock.advance(SECOND);
    assert_eq!(backend.claimed_ids().await, [delayed], "it is due now");
    let claims = backend.queue().claim(&ClaimRequest::new("worker", 10, LEASE)).await.expect("claim");
    assert_eq!(claims.next_due, None, "no run is delayed");
}

/// A delayed run that becomes due while another run of its thread is running starts after that run, and before runs
/// that were accepted later.
pub async fn a_delayed_run_waits_for_the_running_one(backend: &Fixture) {
    let id = backend.new_thread().await;
    let delayed = backend.enqueue(backend.delayed_run(id, SECOND)).await;
    let running = backend.running(id).await;
    backend.clock.advance(SECOND * 2);
    for _ in 0..2 {
        assert_eq!(backend.claimed_ids().await, [], "one run of a thread at a time");
    }
    let later = backend.add_run(id).await;
    let finished = backend.queue().finish(running.lease(), outcome()).await.expect("finish");
    assert_eq!(finished.promoted, Some(delayed));
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.run_id, delayed);
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.claimed_ids().await, [later]);
    // Two runs that become due together, and a third that is created later, also start one at a time, in order.
    let id = backend.new_thread().await;
    let mut ids = vec![backend.enqueue(backend.delayed_run(id, SECOND)).await];
    ids.push(backend.enqueue(backend.delayed_run(id, SECOND * 2)).await);
    backend.clock.advance(SECOND * 2);
    ids.push(backend.add_run(id).await);
    for run_id in ids {
        let claim = backend.claim_one().await;
        assert_eq!(claim.run.run_id, run_id);
        backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    }
}

/// Setting the clock back loses no run and does not change the order of acceptance: a due run stays due.
pub async fn a_clock_that_goes_back_strands_no_run(backend: &Fixture) {
    let id = backend.new_thread().await;
    let began = backend.now();
    let running = backend.running(id).await;
    let next = backend.add_run(id).await;
    // Less than the length of a lease, so that no lease expires below.
    backend.clock.set(langopen_core::Timestamp::from_micros(began.as_micros() - 10_000_000));
    backend.queue().finish(running.lease(), outcome()).await.expect("finish");
    let last = backend.add_run(id).await;
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.run_id, next, "it was accepted first");
    backend.clock.set(began);
    assert_eq!(backend.claimed_ids().await, [], "a run of the thread is running");
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.claimed_ids().await, [last]);
}

/// A released run comes before runs that were accepted while it was running, even if the clock was set back.
pub async fn a_run_handed_back_keeps_its_place(backend: &Fixture) {
    let id = backend.new_thread().await;
    let began = backend.now();
    let first = backend.running(id).await;
    backend.clock.set(langopen_core::Timestamp::from_micros(began.as_micros() - 10_000_000));
    let second = backend.add_run(id).await;
    backend.queue().release(first.lease(), Duration::ZERO).await.expect("release");
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.run_id, first.run.run_id);
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.claimed_ids().await, [second]);
}

/// A delayed run does not block a run that was due before the clock was set back.
pub async fn a_delayed_run_does_not_overtake_by_a_clock_that_goes_back(backend: &Fixture) {
    let id = backend.new_thread().await;
    let began = backend.now();
    let running = backend.running(id).await;
    let next = backend.add_run(id).await;
    backend.clock.set(langopen_core::Timestamp::from_micros(began.as_micros() - 10_000_000));
    let delayed = backend.enqueue(backend.delayed_run(id, SECOND * 5)).await;
    backend.queue().finish(running.lease(), outcome()).await.expect("finish");
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.run_id, next, "the other run is delayed, this one is not");
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.claimed_ids().await, []);
    backend.clock.set(began);
    assert_eq!(backend.claimed_ids().await, [delayed]);
}

/// A ready run stays the next of its thread, even if the clock is set back, and even before a run whose time comes
/// before its date.
pub async fn a_ready_run_stays_ready(backend: &Fixture) {
    let id = backend.new_thread().await;
    let began = backend.now();
    let back = langopen_core::Timestamp::from_micros(began.as_micros() - 10_000_000);
    let running = backend.running(id).await;
    let next = backend.add_run(id).await;
    backend.clock.set(back);
    let delayed = backend.enqueue(backend.delayed_run(id, SECOND * 5)).await;
    let finished = backend.queue().finish(running.lease(), outcome()).await.expect("finish");
    assert_eq!(finished.promoted, Some(next), "the other one is delayed");
    backend.clock.advance(SECOND * 6);
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.run_id, next, "it was ready before the time of the other one came");
    backend.queue().release(claim.lease(), Duration::ZERO).await.expect("release");
    let claim = backend.claim_one().await;
    assert_eq!(
        claim.run.run_id, delayed,
        "handed back, the first one is where its date puts it, which nothing changed"
    );
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.claimed_ids().await, [next]);

    backend.clock.set(began);
    let id = thread_id();
    let ready = backend.add_run(id).await;
    backend.clock.set(back);
    assert_eq!(backend.claimed_ids().await, [ready], "it was ready when it was created");
}

/// A claim puts due runs in line. They stay there if the clock is set back, and start before runs that are accepted
/// afterwards. Due runs that no claim found remain delayed.
pub async fn a_claim_puts_in_line_what_is_due(backend: &Fixture) {
    let began = backend.now();
    let (id, idle) = (backend.new_thread().await, backend.new_thread().await);
    let running = backend.running(id).await;
    let behind = backend.enqueue(backend.delayed_run(id, SECOND)).await;
    let single = backend.enqueue(backend.delayed_run(idle, SECOND * 2)).await;
    let unseen = backend.enqueue(backend.delayed_run(thread_id(), SECOND * 4)).await;
    backend.clock.advance(SECOND * 3);
    // The claim requests one run of another tenant, and still puts all due runs in line.
    let tenants = Some(vec![foreign().tenant]);
    let request = ClaimRequest::new("worker", 1, LEASE).with_tenants(tenants);
    assert_eq!(backend.queue().claim(&request).await.expect("claim").runs.len(), 0);
    backend.clock.advance(SECOND * 3);
    backend.clock.set(began);
    let last = backend.add_run(id).await;
    assert_eq!(backend.claimed_ids().await, [single]);
    let finished = backend.queue().finish(running.lease(), outcome()).await.expect("finish");
    assert_eq!(finished.promoted, Some(behind));
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.run_id, behind);
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.claimed_ids().await, [last]);
    backend.clock.advance(SECOND * 4);
    assert_eq!(backend.claimed_ids().await, [unseen]);
}

/// A claim finds a ready run at once, however many runs have become due on busy threads.
pub async fn what_is_due_hides_nothing(backend: &Fixture) {
    let mut running = Vec::new();
    for _ in 0..3 {
        running.push(backend.running(thread_id()).await);
    }
    for claim in &running {
        backend.enqueue(backend.delayed_run(claim.run.thread_id, SECOND)).await;
    }
    let free = backend.enqueue(backend.delayed_run(thread_id(), SECOND * 2)).await;
    backend.clock.advance(SECOND * 3);
    let claims = backend.queue().claim(&ClaimRequest::new("worker", 1, LEASE)).await.expect("claim").runs;
    assert_eq!(claims.iter().map(|claim| claim.run.run_id).collect::<Vec<_>>(), [free]);
}

/// Each change of a thread's runs in flight makes its next run ready: an end, a cancel, a removal, a new run, a
/// release.
pub async fn each_change_of_a_thread_makes_its_next_run_ready(backend: &Fixture) {
    for change in 0..5 {
        let id = backend.new_thread().await;
        let began = backend.now();
        let running = backend.running(id).await;
        let other = backend.enqueue(backend.delayed_run(id, LEASE)).await;
        let due = backend.enqueue(backend.delayed_run(id, SECOND)).await;
        if change > 2 {
            backend.queue().finish(running.lease(), outcome()).await.expect("finish");
        }
        backend.clock.advance(SECOND);
        match change {
            0 => drop(backend.queue().finish(running.lease(), outcome()).await.expect("finish")),
            1 => backend.queue().release(running.lease(), LEASE).await.expect("release"),
            2 => drop(backend.runs().delete_run(&scope(), id, running.run.run_id).await.expect("delete")),
            3 => drop(backend.queue().cancel(&scope(), id, other, interrupt()).await.expect("cancel")),
            _ => {
                backend.enqueue(backend.delayed_run(id, LEASE)).await;
            }
        }
        backend.clock.set(began);
        let claim = backend.claim_one().await;
        assert_eq!(claim.run.run_id, due, "change {change}");
        backend.threads().delete_thread(&scope(), id).await.expect("delete the thread");
    }
}

/// Under concurrent claims, no run is claimed twice, and no thread has two running runs.
pub async fn concurrent_claims_never_share_a_run(backend: &Fixture) {
    let threads: Vec<_> = (0..20).map(|_| thread_id()).collect();
    let adding = threads.iter().flat_map(|thread| (0..5).map(|_| backend.add_run(*thread)));
    let added: HashSet<RunId> = futures::future::join_all(adding).await.into_iter().collect();
    assert_eq!(added.len(), 100);
    let mut done = HashSet::new();
    for _ in 0..5 {
        let claiming = (0..16).map(|worker| {
            let queue = backend.queue().clone();
            tokio::spawn(async move {
                queue.claim(&ClaimRequest::new(format!("worker {worker}"), 3, LEASE)).await.expect("claim").runs
            })
        });
        let mut claims = Vec::new();
        for claimed in futures::future::join_all(claiming).await {
            claims.extend(claimed.expect("a claiming task"));
        }
        assert_eq!(claims.len(), 20, "one run of each thread");
        let running: HashSet<_> = claims.iter().map(|claim| claim.run.thread_id).collect();
        assert_eq!(running.len(), 20, "one running run per thread");
        assert!(claims.iter().all(|claim| done.insert(claim.run.run_id)), "no run is given twice");
        let finishing = claims.iter().map(|claim| backend.queue().finish(claim.lease(), outcome()));
        futures::future::try_join_all(finishing).await.expect("finish");
    }
    assert_eq!(done, added, "every run was claimed once");
}

/// Thousands of pending runs on one thread do not delay the runs of other threads.
pub async fn a_long_queue_on_one_thread_lets_others_through(backend: &Fixture) {
    let crowded = thread_id();
    let first = backend.add_run(crowded).await;
    for _ in 0..20 {
        futures::future::join_all((0..100).map(|_| backend.add_run(crowded))).await;
    }
    let delayed = backend.delayed_run(crowded, SECOND);
    let together =
        (0..1000).map(|_| backend.enqueue(NewRun { run_id: RunId(uuid::Uuid::now_v7()), ..delayed.clone() }));
    futures::future::join_all(together).await;
    backend.clock.advance(SECOND);
    let others: Vec<_> = futures::future::join_all((0..100).map(|_| backend.add_run(thread_id()))).await;
    let began = Instant::now();
    let mut claimed = Vec::new();
    for _ in 0..101 {
        let claims = backend.queue().claim(&ClaimRequest::new("worker", 1, LEASE)).await.expect("claim").runs;
        claimed.extend(claims.iter().map(|claim| claim.run.run_id));
    }
    let expected: HashSet<_> = others.into_iter().chain([first]).collect();
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>(), expected);
    assert!(began.elapsed() < SECOND * 5, "101 claims took {:?}", began.elapsed());
}

/// Creating a run merges the metadata of thread and run in both directions, and creates a missing thread.
pub async fn enqueue_merges_into_the_thread(backend: &Fixture) {
    let thread = backend.thread_with(json!({"a": "thread", "b": "thread", "t": 1})).await;
    let id = thread.thread_id;
    backend.clock.advance(SECOND);
    let mut new = backend.new_run(id);
    new.metadata_base = map(json!({"a": "base", "base": 1}));
    new.metadata_own = map(json!({"b": "own", "own": 1}));
    new.thread.metadata = map(json!({"a": "new", "graph_id": "agent"}));
    new.thread.config = map(json!({"tags": ["x"], "configurable": {"k": 1, "l": 1}, "metadata": {"m": 1}}));
    let enqueued = backend.queue().enqueue(&scope(), new.clone()).await.expect("enqueue");
    let run = &enqueued.run;
    assert_eq!(
        run.metadata,
        map(json!({"a": "thread", "base": 1, "b": "own", "t": 1, "own": 1})),
        "base < thread < own"
    );
    assert_eq!((run.status, run.attempt, run.created_at), (RunStatus::Pending, 0, backend.now()));
    assert_eq!((&run.kwargs, run.resumable, run.temporary), (&new.kwargs, false, false));
    assert_eq!(backend.run(id, run.run_id).await.as_ref(), Some(run), "the returned row equals the stored row");
    assert!(enqueued.fresh_thread && enqueued.ended.is_empty());
    let row = backend.row(id).await;
    assert_eq!(row.metadata, map(json!({"a": "new", "b": "thread", "t": 1, "graph_id": "agent"})));
    assert_eq!((row.status, row.updated_at, row.created_at), (ThreadStatus::Busy, backend.now(), thread.created_at));
    let mut second = backend.new_run(id);
    second.thread.config =
        map(json!({"tags": ["y"], "configurable": {"l": 2}, "metadata": {"n": 2}, "recursion_limit": 9}));
    backend.put(checkpoint(id, "1")).await;
    let second = backend.queue().enqueue(&scope(), second).await.expect("enqueue");
    assert!(!second.fresh_thread, "the thread has a checkpoint now");
    let expected =
        json!({"tags": ["y"], "configurable": {"k": 1, "l": 2}, "metadata": {"m": 1, "n": 2}, "recursion_limit": 9});
    assert_eq!(backend.row(id).await.config, map(expected), "configurable and metadata merge, all else is replaced");
    let claim = backend.claim_one().await;
    assert!(!claim.fresh_thread && claim.cancel.is_none());

    let mut new = backend.new_run(thread_id());
    new.thread.metadata = map(json!({"made": true}));
    let made = new.thread_id;
    assert!(backend.queue().enqueue(&scope(), new).await.expect("enqueue").fresh_thread);
    let row = backend.row(made).await;
    assert_eq!(
        (row.metadata, row.status, row.created_at),
        (map(json!({"made": true})), ThreadStatus::Busy, backend.now())
    );
    assert!(backend.claim_one().await.fresh_thread);
}

/// A missing thread that may not be created, and a taken run id, are refused. They change nothing.
pub async fn enqueue_refuses_what_it_must(backend: &Fixture) {
    let new = backend.new_run(thread_id());
    let bare = NewRun { thread: RunThread { create: false, ..new.thread.clone() }, ..new.clone() };
    refused(backend.queue().enqueue(&scope(), bare.clone()).await, ErrorKind::NotFound, "a missing thread");
    assert_eq!(backend.threads().thread(&scope(), bare.thread_id).await.expect("read"), None);
    backend.enqueue(new.clone()).await;
    let copy = NewRun { thread_id: thread_id(), ..new.clone() };
    refused(backend.queue().enqueue(&scope(), copy.clone()).await, ErrorKind::AlreadyExists, "a taken run id");
    assert_eq!(backend.threads().thread(&scope(), copy.thread_id).await.expect("read"), None, "no thread was made");
    let row = backend.row(new.thread_id).await;
    backend.clock.advance(SECOND);
    let mut again = NewRun { multitask_strategy: MultitaskStrategy::Rollback, ..new.clone() };
    again.thread.metadata = map(json!({"x": 1}));
    refused(backend.queue().enqueue(&scope(), again).await, ErrorKind::AlreadyExists, "the same run again");
    assert_eq!(backend.row(new.thread_id).await, row, "a refused run does not change the thread");
    assert_eq!(backend.status(new.thread_id, new.run_id).await, Some(RunStatus::Pending));
}
