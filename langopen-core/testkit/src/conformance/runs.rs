//! The rows of runs.

use langopen_core::error::ErrorKind;
use langopen_core::ids::{AssistantId, RunId, ThreadId};
use langopen_core::model::{NewRun, RunOrigin, RunQuery, RunSearch, ThreadStatus};
use langopen_core::queue::Outcome;
use langopen_core::run_state::RunStatus;
use langopen_core::telemetry::TraceContext;
use langopen_core::tenant::Scope;
use serde_json::json;

use super::Fixture;
use super::support::{SECOND, foreign, outcome, owned_by, refused, scope, thread_id};

/// The origin of a run is returned to readers and to the worker.
pub async fn a_run_keeps_its_origin(backend: &Fixture) {
    let id = backend.new_thread().await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = TraceContext::parse(parent, Some("vendor=1"));
    assert!(trace.is_some(), "a trace context");
    let origin = RunOrigin { request_id: Some("request \"1\"".to_owned()), trace };
    let run_id = backend.enqueue(NewRun { origin: origin.clone(), ..backend.new_run(id) }).await;
    assert_eq!(backend.run(id, run_id).await.map(|run| run.origin), Some(origin.clone()));
    assert_eq!(backend.claim_one().await.run.origin, origin);
    let bare = backend.add_run(id).await;
    assert_eq!(backend.run(id, bare).await.map(|run| run.origin), Some(RunOrigin::default()));
}

/// The runs of a thread are listed newest first, by status, in pages.
pub async fn runs_list_newest_first(backend: &Fixture) {
    let id = backend.new_thread().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(backend.add_run(id).await);
        backend.clock.advance(SECOND);
    }
    backend.add_run(backend.new_thread().await).await;
    let claims = backend.claim_all().await;
    let claim = claims.iter().find(|claim| claim.run.thread_id == id).expect("the thread's first run");
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    let list = async |status, limit, offset| {
        let page = backend
            .runs()
            .list_runs(&scope(), id, &RunQuery::default().with_status(status).with_limit(limit).with_offset(offset))
            .await
            .expect("list");
        (page.items.iter().map(|run| run.run_id).collect::<Vec<_>>(), page.more)
    };
    assert_eq!(list(None, 10, 0).await, (vec![ids[2], ids[1], ids[0]], false));
    assert_eq!(list(None, 2, 0).await, (vec![ids[2], ids[1]], true));
    assert_eq!(list(None, 2, 2).await, (vec![ids[0]], false));
    assert_eq!(list(Some(RunStatus::Success), 10, 0).await, (vec![ids[0]], false));
    assert_eq!(list(Some(RunStatus::Pending), 10, 0).await, (vec![ids[2], ids[1]], false));
    assert_eq!(list(Some(RunStatus::Timeout), 10, 0).await, (vec![], false));
    let other = backend.new_thread().await;
    assert_eq!(backend.run(other, ids[0]).await, None, "a run is found only on its own thread");
    assert!(
        backend.runs().list_runs(&scope(), thread_id(), &RunQuery::default()).await.expect("list").items.is_empty()
    );
}

/// The runs of several threads are listed together, newest first, without runs of other threads.
pub async fn runs_of_several_threads(backend: &Fixture) {
    let threads = [backend.new_thread().await, backend.new_thread().await, backend.new_thread().await];
    let mut ids = Vec::new();
    for thread in [0, 1, 0, 2, 1] {
        ids.push(backend.add_run(threads[thread]).await);
        backend.clock.advance(SECOND);
    }
    let find = async |scope: &Scope, threads: &[ThreadId], limit| {
        let runs = backend.runs().runs_of_threads(scope, threads, limit).await.expect("find");
        runs.into_iter().map(|run| run.run_id).collect::<Vec<_>>()
    };
    let two = [threads[0], threads[1], threads[0], thread_id()];
    assert_eq!(find(&scope(), &two, 10).await, [ids[4], ids[2], ids[1], ids[0]]);
    assert_eq!(find(&scope(), &two, 2).await, [ids[4], ids[2]]);
    assert_eq!(find(&scope(), &[], 10).await, []);
    for hidden in [foreign(), owned_by("eve")] {
        assert_eq!(find(&hidden, &two, 10).await, [], "{hidden:?}");
    }
}

/// The runs of an assistant are sorted by their last change, across threads. The cost of a page is bounded.
pub async fn runs_of_an_assistant(backend: &Fixture) {
    let threads = [backend.thread_with(json!({"owner": "eve"})).await.thread_id, backend.new_thread().await];
    let mut ids = Vec::new();
    for thread in [0, 1, 0, 1] {
        ids.push(backend.add_run(threads[thread]).await);
        backend.clock.advance(SECOND);
    }
    let other = NewRun { assistant_id: AssistantId::system("other"), ..backend.new_run(backend.new_thread().await) };
    backend.enqueue(other).await;
    let all = RunSearch::new(AssistantId::system("agent")).with_statuses(RunStatus::ALL.to_vec()).with_limit(10);
    let find = async |scope: &Scope, search: RunSearch| {
        let found = backend.runs().search_runs(scope, &search).await.expect("search");
        (found.runs.into_iter().map(|run| run.run_id).collect::<Vec<_>>(), found.next)
    };
    assert_eq!(find(&scope(), all.clone()).await, (vec![ids[3], ids[2], ids[1], ids[0]], None));

    // Claiming and ending runs changes them.
    let claims = backend.claim_all().await;
    let claim = claims.iter().find(|claim| claim.run.run_id == ids[1]).expect("a thread's first run");
    backend.clock.advance(SECOND);
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    let (found, _) = find(&scope(), all.clone()).await;
    assert_eq!((found[0], &found[2..]), (ids[1], &[ids[3], ids[2]][..]));
    let of = |statuses: &[RunStatus]| all.clone().with_statuses(statuses.to_vec());
    assert_eq!(find(&scope(), of(&[RunStatus::Success])).await, (vec![ids[1]], None));
    assert_eq!(find(&scope(), of(&[RunStatus::Pending, RunStatus::Success])).await.0, [ids[1], ids[3], ids[2]]);
    assert_eq!(find(&scope(), of(&[RunStatus::Timeout])).await, (vec![], None));
    assert_eq!(find(&scope(), of(&[])).await, (vec![], None));
    let since = Some(backend.now());
    assert_eq!(find(&scope(), all.clone().with_since(since)).await.0, [ids[1]]);

    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = find(&scope(), all.clone().with_limit(3).with_after(after)).await;
        pages.extend(page);
        match next {
            Some(_) => after = next,
            None => break,
        }
    }
    assert_eq!(pages, found, "pages miss and repeat nothing");
    let (page, next) = find(&owned_by("eve"), all.clone().with_limit(1)).await;
    assert_eq!(page, [], "the scope hides the runs that were read");
    let (page, _) = find(&owned_by("eve"), all.clone().with_after(next)).await;
    assert!(next.is_some() && page.len() == 2 && page.contains(&ids[0]) && page.contains(&ids[2]), "{page:?}");
    assert_eq!(find(&foreign(), all).await, (vec![], None));
}

/// An update is merged into a run's metadata, even after the run has ended.
pub async fn metadata_of_a_run_are_merged(backend: &Fixture) {
    let id = backend.new_thread().await;
    let own = json!({"a": 1, "b": {"c": 2}}).as_object().cloned().unwrap_or_default();
    let run_id = backend.enqueue(NewRun { metadata_own: own, ..backend.new_run(id) }).await;
    let claim = backend.claim_one().await;
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    backend.clock.advance(SECOND);
    let patch = json!({"b": 3, "d": null}).as_object().cloned().unwrap_or_default();
    let updated = backend.runs().update_run(&scope(), id, run_id, patch.clone()).await.expect("update");
    assert_eq!(json!(updated.metadata), json!({"a": 1, "b": 3, "d": null}));
    assert_eq!((updated.status, updated.updated_at), (RunStatus::Success, backend.now()));
    assert_eq!(backend.run(id, run_id).await, Some(updated));
    for (scope, thread) in [(foreign(), id), (owned_by("eve"), id), (scope(), backend.new_thread().await)] {
        let update = backend.runs().update_run(&scope, thread, run_id, patch.clone()).await;
        refused(update, ErrorKind::NotFound, "a run that the scope hides");
    }
}

/// Deleting a run in flight updates its thread as if the run had ended, and lets the next run start. Deleting an ended
/// run does not change the thread.
pub async fn deleting_a_run_settles_its_thread(backend: &Fixture) {
    let id = backend.new_thread().await;
    let running = backend.running(id).await;
    let next = backend.add_run(id).await;
    assert_eq!(backend.claimed_ids().await, [], "the next run waits");
    assert!(
        backend.runs().delete_run(&scope(), id, running.run.run_id).await.expect("delete the running run"),
        "it was in flight"
    );
    assert_eq!(backend.run(id, running.run.run_id).await, None);
    refused(backend.queue().finish(running.lease(), outcome()).await, ErrorKind::LeaseLost, "its worker");
    assert_eq!(backend.row(id).await.status, ThreadStatus::Busy, "another run is in flight");
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.run_id, next, "the next run starts");
    assert!(backend.runs().delete_run(&scope(), id, next).await.expect("delete the next one"), "it was in flight");
    assert_eq!(backend.row(id).await.status, ThreadStatus::Idle, "nothing is in flight");

    let claim = backend.running(id).await;
    let end = Outcome { thread_status: ThreadStatus::Interrupted, interrupts: json!({"t": [1]}).into(), ..outcome() };
    backend.queue().finish(claim.lease(), end).await.expect("finish");
    let pending = backend.add_run(id).await;
    assert!(backend.runs().delete_run(&scope(), id, pending).await.expect("delete a pending run"), "it was in flight");
    assert_eq!(backend.row(id).await.status, ThreadStatus::Interrupted, "open interrupts are still open");
    assert!(
        !backend.runs().delete_run(&scope(), id, claim.run.run_id).await.expect("delete a run that has ended"),
        "it was not in flight"
    );
    assert_eq!(backend.row(id).await.status, ThreadStatus::Interrupted);
    refused(backend.runs().delete_run(&scope(), id, pending).await, ErrorKind::NotFound, "deleting twice");
    let elsewhere = backend.add_run(backend.new_thread().await).await;
    refused(backend.runs().delete_run(&scope(), id, elsewhere).await, ErrorKind::NotFound, "a run of another thread");

    let temporary = NewRun { temporary: true, ..backend.new_run(thread_id()) };
    let (thread, run_id): (_, RunId) = (temporary.thread_id, temporary.run_id);
    backend.enqueue(temporary).await;
    assert!(
        backend.runs().delete_run(&scope(), thread, run_id).await.expect("delete a temporary run"),
        "it was in flight"
    );
    assert_eq!(backend.threads().thread(&scope(), thread).await.expect("read"), None, "its thread is removed with it");
}
