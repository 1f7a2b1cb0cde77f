//! Webhooks that wait for delivery.

use std::time::Duration;

use langopen_core::error::ErrorKind;
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::model::{CancelAction, CancelRequest, MultitaskStrategy, NewRun, RunError, ThreadStatus};
use langopen_core::outbox::Delivery;
use langopen_core::queue::{Claim, Outcome};
use langopen_core::run_state::RunStatus;
use serde_json::{Value, json};

use super::Fixture;
use super::support::{LEASE, SECOND, foreign, interrupt, map, outcome, raw, refused, scope, state, thread_id};

const URL: &str = "https://hooks.example/a?token=1";

impl Fixture {
    fn webhook_run(&self, thread_id: ThreadId) -> NewRun {
        NewRun { webhook: Some(URL.to_owned()), ..self.new_run(thread_id) }
    }

    /// A claimed run with a webhook.
    async fn running_with_webhook(&self, thread_id: ThreadId) -> Claim {
        self.enqueue(self.webhook_run(thread_id)).await;
        self.claim_one().await
    }

    async fn deliveries(&self) -> Vec<Delivery> {
        self.outbox().claim_deliveries(1000, LEASE).await.expect("claim deliveries").deliveries
    }

    async fn only_delivery(&self) -> Delivery {
        let mut found = self.deliveries().await;
        assert_eq!(found.len(), 1, "one delivery must be due: {found:?}");
        found.remove(0)
    }

    /// A claimed delivery.
    async fn delivery(&self) -> Delivery {
        let claim = self.running_with_webhook(thread_id()).await;
        self.queue().finish(claim.lease(), outcome()).await.expect("finish");
        self.only_delivery().await
    }
}

fn payload(delivery: &Delivery) -> Value {
    delivery.payload.decode().expect("a JSON payload")
}

fn failure(class: &str) -> Option<RunError> {
    Some(RunError { error: class.to_owned(), message: "no \"é\"".to_owned() })
}

/// The end of a run with a webhook makes one delivery with the run's final row, its times, the values and the failure.
/// The end of a run without a webhook makes none.
pub async fn an_end_is_told_with_all_there_is_to_tell(backend: &Fixture) {
    let id = thread_id();
    let plain = backend.running(id).await;
    backend.queue().finish(plain.lease(), outcome()).await.expect("finish");
    assert_eq!(backend.deliveries().await, [], "a run without a webhook makes no delivery");

    let new = NewRun { metadata_own: map(json!({"w": [1, "é"]})), ..backend.webhook_run(id) };
    backend.enqueue(new.clone()).await;
    backend.clock.advance(SECOND);
    let claim = backend.claim_one().await;
    assert_eq!(claim.run.webhook.as_deref(), Some(URL));
    let (created, started) = (claim.run.created_at, backend.now());
    backend.clock.advance(SECOND);
    assert_eq!(backend.deliveries().await, [], "a run in flight makes no delivery");
    let end = Outcome {
        status: RunStatus::Error,
        thread_status: ThreadStatus::Error,
        error: failure("ValueError"),
        state: Some(state("1", json!({"n": [1.50, "é"]}))),
        ..outcome()
    };
    backend.queue().finish(claim.lease(), end).await.expect("finish");
    let delivery = backend.only_delivery().await;
    let what = (&delivery.tenant, delivery.run_id, delivery.url.as_str(), delivery.attempt, delivery.created_at);
    assert_eq!(what, (&scope().tenant, new.run_id, URL, 1, backend.now()));
    let expected = json!({
        "run_id": new.run_id,
        "thread_id": id,
        "assistant_id": new.assistant_id,
        "metadata": {"w": [1, "é"]},
        "status": "error",
        "kwargs": {"input": {"n": 1}},
        "multitask_strategy": "enqueue",
        "created_at": created,
        "updated_at": backend.now(),
        "langsmith_session_name": null,
        "run_started_at": started,
        "run_ended_at": backend.now(),
        "webhook_sent_at": null,
        "values": {"n": [1.50, "é"]},
        "error": {"error": "ValueError", "message": "no \"é\""},
    });
    assert_eq!(payload(&delivery), expected);
    backend.outbox().delivered(delivery.lease()).await.expect("delivered");
    backend.clock.advance(LEASE);
    assert_eq!(backend.deliveries().await, [], "a delivered webhook is removed");
}

/// Success, failure, timeout, interrupt and rollback each make a delivery with the final status, for running and for
/// pending runs.
pub async fn each_way_to_end_is_told(backend: &Fixture) {
    let id = thread_id();
    let finish = async |end: Outcome| {
        let claim = backend.running_with_webhook(id).await;
        backend.queue().finish(claim.lease(), end).await.expect("finish");
        claim.run.run_id
    };
    let check = async |run_id: RunId, status: &str, error: Option<&str>, values: Value| {
        let delivery = backend.only_delivery().await;
        let payload = payload(&delivery);
        assert_eq!((delivery.run_id, &payload["status"], &payload["values"]), (run_id, &json!(status), &values));
        assert_eq!(
            payload.get("error").map(|error| &error["error"]),
            error.map(|class| json!(class)).as_ref(),
            "{status}"
        );
        backend.outbox().delivered(delivery.lease()).await.expect("delivered");
    };
    let run_id = finish(Outcome { state: Some(state("1", json!({"n": 1}))), ..outcome() }).await;
    check(run_id, "success", None, json!({"n": 1})).await;
    // If an outcome has no values, the delivery has the thread's values.
    let end = Outcome { status: RunStatus::Timeout, error: failure("TimeoutError"), ..outcome() };
    check(finish(end).await, "timeout", Some("TimeoutError"), json!({"n": 1})).await;
    let end = Outcome {
        status: RunStatus::Interrupted,
        error: failure("UserInterrupt"),
        values: Some(raw(json!({"n": 2}))),
        ..outcome()
    };
    check(finish(end).await, "interrupted", Some("UserInterrupt"), json!({"n": 2})).await;
    let end = Outcome {
        status: RunStatus::Interrupted,
        error: failure("UserRollback"),
        state: Some(state("2", json!({"n": 3}))),
        rollback: true,
        ..outcome()
    };
    check(finish(end).await, "interrupted", Some("UserRollback"), json!({"n": 2})).await;

    for (action, class) in [(CancelAction::Interrupt, "UserInterrupt"), (CancelAction::Rollback, "UserRollback")] {
        let run_id = backend.enqueue(backend.webhook_run(id)).await;
        let request = CancelRequest { action, ..interrupt() };
        backend.queue().cancel(&scope(), id, run_id, request).await.expect("cancel");
        check(run_id, "interrupted", Some(class), json!({"n": 2})).await;
    }
    for strategy in [MultitaskStrategy::Interrupt, MultitaskStrategy::Rollback] {
        let running = backend.running(id).await;
        let run_id = backend.enqueue(backend.webhook_run(id)).await;
        let newer = backend.enqueue(backend.run_with(id, strategy)).await;
        let class = if strategy == MultitaskStrategy::Interrupt { "UserInterrupt" } else { "UserRollback" };
        check(run_id, "interrupted", Some(class), json!({"n": 2})).await;
        backend.queue().finish(running.lease(), outcome()).await.expect("finish");
        let claim = backend.claim_one().await;
        assert_eq!(claim.run.run_id, newer);
        backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    }
}

/// The end of a temporary run makes a delivery without values, although its run and thread are removed.
pub async fn a_temporary_run_is_told_without_values(backend: &Fixture) {
    let new = NewRun { temporary: true, ..backend.webhook_run(thread_id()) };
    backend.enqueue(new.clone()).await;
    let claim = backend.claim_one().await;
    let end = Outcome { values: Some(raw(json!({"n": 1}))), ..outcome() };
    backend.queue().finish(claim.lease(), end).await.expect("finish");
    assert_eq!(backend.threads().thread(&scope(), new.thread_id).await.expect("read"), None);
    let delivery = backend.only_delivery().await;
    assert_eq!((delivery.run_id, &payload(&delivery)["values"]), (new.run_id, &Value::Null));
    backend.outbox().delivered(delivery.lease()).await.expect("delivered");

    let new = NewRun { temporary: true, ..backend.webhook_run(thread_id()) };
    backend.enqueue(new.clone()).await;
    backend.queue().cancel(&scope(), new.thread_id, new.run_id, interrupt()).await.expect("cancel");
    assert_eq!(backend.only_delivery().await.run_id, new.run_id, "a temporary run that never began");
}

/// A run that is deleted, alone or with its thread, has not ended and makes no delivery. Earlier deliveries stay.
pub async fn what_was_deleted_is_not_told(backend: &Fixture) {
    let id = backend.new_thread().await;
    let ended = backend.running_with_webhook(id).await;
    backend.queue().finish(ended.lease(), outcome()).await.expect("finish");
    let running = backend.running_with_webhook(id).await;
    let pending = backend.enqueue(backend.webhook_run(id)).await;
    backend.runs().delete_run(&scope(), id, pending).await.expect("delete the run");
    backend.threads().delete_thread(&scope(), id).await.expect("delete the thread");
    refused(backend.queue().finish(running.lease(), outcome()).await, ErrorKind::LeaseLost, "it was deleted");
    assert_eq!(backend.only_delivery().await.run_id, ended.run.run_id);
}

/// Each delivery is claimed once, the oldest first, at most the requested number. The answer includes the next due
/// moment.
pub async fn a_delivery_is_claimed_by_one(backend: &Fixture) {
    let mut runs = Vec::new();
    for _ in 0..3 {
        let claim = backend.running_with_webhook(thread_id()).await;
        backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
        runs.push(claim.run.run_id);
        backend.clock.advance(SECOND);
    }
    let claim = async |max| backend.outbox().claim_deliveries(max, LEASE).await.expect("claim");
    let ids = |deliveries: &[Delivery]| deliveries.iter().map(|each| each.run_id).collect::<Vec<_>>();
    let first = claim(2).await;
    assert_eq!(ids(&first.deliveries), runs[..2], "the oldest first");
    assert!(first.next_due.is_some_and(|due| due <= backend.now()), "another one is due");
    let second = claim(2).await;
    assert_eq!((ids(&second.deliveries), second.next_due), (runs[2..].to_vec(), Some(backend.now().plus(LEASE))));
    assert_eq!(claim(2).await.deliveries, [], "each is claimed once");
}

/// A delivery whose lease has expired is claimed again, as the next attempt.
pub async fn an_expired_claim_is_made_anew(backend: &Fixture) {
    let first = backend.delivery().await;
    backend.clock.advance(LEASE - Duration::from_micros(1));
    assert_eq!(backend.deliveries().await, [], "the lease is valid");
    backend.clock.advance(Duration::from_micros(1));
    let second = backend.only_delivery().await;
    assert_eq!(second, Delivery { attempt: 2, ..first });
}

/// A lease that a later claim replaced, or whose delivery has ended, changes nothing.
pub async fn an_old_claim_can_do_nothing(backend: &Fixture) {
    let old = backend.delivery().await.lease();
    backend.clock.advance(LEASE);
    let new = backend.only_delivery().await.lease();
    let outbox = backend.outbox();
    let all_refused = async |lease, what| {
        refused(outbox.delivered(lease).await, ErrorKind::LeaseLost, what);
        refused(outbox.put_off(lease, backend.now(), "why").await, ErrorKind::LeaseLost, what);
        refused(outbox.give_up(lease, "why").await, ErrorKind::LeaseLost, what);
    };
    all_refused(old, "an old claim").await;
    outbox.put_off(new, backend.now(), "why").await.expect("the new claim is good");
    all_refused(new, "a claim that was put off").await;
    let last = backend.only_delivery().await.lease();
    outbox.delivered(last).await.expect("delivered");
    all_refused(last, "a claim that was delivered").await;
}

/// A postponed delivery becomes due at its time, as the next attempt, with the same payload.
pub async fn what_is_put_off_waits(backend: &Fixture) {
    let first = backend.delivery().await;
    let until = backend.now().plus(SECOND * 90);
    backend.outbox().put_off(first.lease(), until, "it answered 503").await.expect("put off");
    let claimed = backend.outbox().claim_deliveries(10, LEASE).await.expect("claim");
    assert_eq!((claimed.deliveries, claimed.next_due), (Vec::new(), Some(until)));
    backend.clock.advance(SECOND * 90);
    assert_eq!(backend.only_delivery().await, Delivery { attempt: 2, ..first });
}

/// A failed delivery is never due. Its tenant sees it until a sweep removes it.
pub async fn what_was_given_up_is_kept_until_swept(backend: &Fixture) {
    let outbox = backend.outbox();
    let (first, failed_at) = (backend.delivery().await, backend.now());
    outbox.give_up(first.lease(), "it answered 404").await.expect("give up");
    refused(outbox.give_up(first.lease(), "again").await, ErrorKind::LeaseLost, "giving up twice");
    backend.clock.advance(LEASE * 10);
    assert_eq!(backend.deliveries().await, []);
    let second = backend.delivery().await;
    outbox.give_up(second.lease(), "it answered 410").await.expect("give up");
    let failed = outbox.failed_deliveries(&scope(), 10).await.expect("list");
    let shown: Vec<_> = failed.iter().map(|each| (each.run_id, each.attempts, each.reason.as_str())).collect();
    assert_eq!(shown, [(second.run_id, 1, "it answered 410"), (first.run_id, 1, "it answered 404")]);
    assert_eq!(failed[1].failed_at, failed_at);
    assert_eq!(outbox.failed_deliveries(&scope(), 1).await.expect("list"), failed[..1]);
    assert_eq!(outbox.failed_deliveries(&foreign(), 10).await.expect("list"), [], "another tenant sees nothing");
    assert_eq!(outbox.sweep_deliveries(failed_at).await.expect("sweep"), 1);
    assert_eq!(outbox.failed_deliveries(&scope(), 10).await.expect("list"), failed[..1]);
}

/// Every end of a run with a webhook notifies the dispatcher.
pub async fn a_delivery_wakes(backend: &Fixture) {
    let wakes = backend.outbox().delivery_wakes();
    let woken = async |what: &str| {
        let waiting = tokio::time::timeout(SECOND * 5, wakes.notified());
        waiting.await.unwrap_or_else(|_| panic!("{what} must wake who delivers"));
    };
    let id = thread_id();
    let claim = backend.running_with_webhook(id).await;
    backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    woken("an end").await;
    let run_id = backend.enqueue(backend.webhook_run(id)).await;
    backend.queue().cancel(&scope(), id, run_id, interrupt()).await.expect("cancel");
    woken("a cancel").await;
    backend.enqueue(backend.webhook_run(id)).await;
    backend.enqueue(backend.run_with(id, MultitaskStrategy::Interrupt)).await;
    woken("a newer run").await;
}
