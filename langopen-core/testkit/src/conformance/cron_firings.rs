//! Firing crons: when they are due, and that each moment fires once.

use std::sync::Arc;

use futures::future::join_all;
use langopen_core::error::ErrorKind::{Conflict, NotFound};
use langopen_core::ids::CronId;
use langopen_core::model::{Cron, CronFiring, CronPatch, MultitaskStrategy, NewCron, NewRun};
use tokio::sync::Notify;

use super::Fixture;
use super::crons::MINUTE;
use super::support::{foreign, refused, scope};

impl Fixture {
    async fn due(&self) -> Vec<Cron> {
        let due = self.crons().due_crons(100).await.expect("look for due crons");
        due.crons.into_iter().map(|each| each.cron).collect()
    }

    async fn due_ids(&self) -> Vec<CronId> {
        self.due().await.iter().map(|cron| cron.cron_id).collect()
    }

    /// A run that fires the cron at its next moment.
    fn firing(&self, cron: &Cron) -> NewRun {
        let next = cron.next_after(self.now()).expect("a schedule");
        let due = cron.next_run_date.expect("a next moment");
        let thread_id = cron.thread_id.unwrap_or_else(super::support::thread_id);
        NewRun { firing: Some(CronFiring { cron_id: cron.cron_id, due, next }), ..self.new_run(thread_id) }
    }
}

/// A cron is due from its moment on, unless it is disabled or ended. The answer includes the next moment.
pub async fn crons_are_due_when_their_moment_has_come(backend: &Fixture) {
    let assistant_id = backend.new_assistant().await;
    let cron = backend.add_cron(backend.new_cron(assistant_id)).await;
    let hourly = NewCron { schedule: "0 * * * *".to_owned(), ..backend.new_cron(assistant_id) };
    let hourly = backend.add_cron(hourly).await;
    backend.add_cron(NewCron { enabled: false, ..backend.new_cron(assistant_id) }).await;
    let ending = NewCron { end_time: Some(backend.now().plus(MINUTE * 2)), ..backend.new_cron(assistant_id) };
    let ending = backend.add_cron(ending).await;
    let look = backend.crons().due_crons(100).await.expect("look");
    assert!(look.crons.is_empty(), "none is due yet");
    assert_eq!(look.next_due, Some(backend.next_minute()));
    backend.clock.advance(MINUTE);
    assert_eq!(backend.due_ids().await, [cron.cron_id, ending.cron_id]);
    let first = backend.crons().due_crons(1).await.expect("look");
    assert_eq!(
        (first.crons.len(), first.next_due),
        (1, ending.next_run_date),
        "more crons are due than the limit allows"
    );
    assert_eq!(first.crons[0].tenant, scope().tenant);
    let look = backend.crons().due_crons(100).await.expect("look");
    assert_eq!(look.next_due, hourly.next_run_date);
    backend.clock.advance(MINUTE);
    assert_eq!(backend.due_ids().await, [cron.cron_id], "the other one has ended");
    let refusal = backend.queue().enqueue(&scope(), backend.firing(&ending)).await;
    refused(refusal, Conflict, "a cron that has ended");
}

/// One step creates the run and moves the cron on. It does not count as a change of the cron.
pub async fn firing_moves_a_cron_on(backend: &Fixture) {
    let cron = backend.add_cron(backend.new_cron(backend.new_assistant().await)).await;
    let early = backend.firing(&cron);
    refused(backend.queue().enqueue(&scope(), early.clone()).await, Conflict, "before its moment");
    backend.clock.advance(MINUTE * 5);
    let new = backend.firing(&cron);
    refused(backend.queue().enqueue(&foreign(), new.clone()).await, Conflict, "from another tenant");
    let run_id = backend.enqueue(new.clone()).await;
    assert!(backend.run(new.thread_id, run_id).await.is_some());
    let after = backend.crons().cron(&scope(), cron.cron_id).await.expect("read").expect("it is there");
    assert_eq!(after, Cron { next_run_date: Some(backend.next_minute()), ..cron.clone() });
    assert_eq!(backend.due_ids().await, [], "moments that were missed are fired once");
    let again = backend.firing(&cron);
    refused(backend.queue().enqueue(&scope(), again.clone()).await, Conflict, "the same moment again");
    assert_eq!(backend.threads().thread(&scope(), again.thread_id).await.expect("read"), None, "no thread was made");
    assert_eq!(backend.claimed_ids().await, [run_id]);
}

/// If many calls fire the same moment, exactly one succeeds.
pub async fn a_moment_is_fired_once(backend: &Fixture) {
    let cron = backend.add_cron(backend.new_cron(backend.new_assistant().await)).await;
    backend.clock.advance(MINUTE);
    let tries = (0..20).map(|_| {
        let (backend, new) = (backend.clone(), backend.firing(&cron));
        tokio::spawn(async move { backend.queue().enqueue(&scope(), new).await.is_ok() })
    });
    let fired = join_all(tries).await.into_iter().filter(|done| matches!(done, Ok(true))).count();
    assert_eq!(fired, 1);
    assert_eq!(backend.claimed_ids().await.len(), 1);
}

/// A refused run leaves the cron unchanged; the cron can be moved on without a run.
pub async fn a_refused_firing_leaves_the_cron(backend: &Fixture) {
    let assistant_id = backend.new_assistant().await;
    let thread_id = backend.new_thread().await;
    let new = NewCron { thread_id: Some(thread_id), ..backend.new_cron(assistant_id) };
    let cron = backend.add_cron(new).await;
    backend.add_run(thread_id).await;
    backend.clock.advance(MINUTE);
    let reject = NewRun { multitask_strategy: MultitaskStrategy::Reject, ..backend.firing(&cron) };
    refused(backend.queue().enqueue(&scope(), reject.clone()).await, Conflict, "the thread is busy");
    assert_eq!(backend.due_ids().await, [cron.cron_id]);
    let firing = reject.firing.expect("a firing");
    refused(backend.crons().skip_cron(&foreign(), firing).await, Conflict, "from another tenant");
    backend.crons().skip_cron(&scope(), firing).await.expect("skip");
    assert_eq!(backend.due_ids().await, []);
    refused(backend.crons().skip_cron(&scope(), firing).await, Conflict, "it was skipped already");
    // A superseding run uses a different code path in a backend.
    backend.clock.advance(MINUTE);
    let due = backend.due().await.remove(0);
    let interrupt = NewRun { multitask_strategy: MultitaskStrategy::Interrupt, ..backend.firing(&due) };
    backend.enqueue(interrupt).await;
    assert_eq!(backend.due_ids().await, []);
}

/// A cron that was disabled, changed or deleted after it became due does not fire.
pub async fn a_cron_that_changed_does_not_fire(backend: &Fixture) {
    let assistant_id = backend.new_assistant().await;
    let patches = [
        Some(CronPatch::default().with_enabled(Some(false))),
        Some(CronPatch::default().with_schedule(Some("0 0 1 1 *".to_owned()))),
        Some(CronPatch::default().with_end_time(Some(Some(backend.now())))),
        None,
    ];
    for patch in patches {
        let cron = backend.add_cron(backend.new_cron(assistant_id)).await;
        backend.clock.advance(MINUTE);
        let new = backend.firing(&backend.due().await.remove(0));
        match patch {
            Some(patch) => drop(backend.patch_cron(cron.cron_id, patch).await),
            None => backend.crons().delete_cron(&scope(), cron.cron_id).await.expect("delete"),
        }
        refused(backend.queue().enqueue(&scope(), new).await, Conflict, "it is not due any more");
        assert_eq!(backend.due_ids().await, []);
    }
    assert_eq!(backend.claimed_ids().await, []);
    let thread_id = backend.new_thread().await;
    let new = NewCron { thread_id: Some(thread_id), ..backend.new_cron(assistant_id) };
    let cron = backend.add_cron(new).await;
    backend.clock.advance(MINUTE);
    let mut new = backend.firing(&cron);
    new.thread.create = false;
    backend.threads().delete_thread(&scope(), thread_id).await.expect("delete the thread");
    refused(backend.queue().enqueue(&scope(), new).await, NotFound, "its thread is removed");
}

/// Creating and changing a cron notifies the scheduler.
pub async fn changes_wake_the_scheduler(backend: &Fixture) {
    let wakes: Arc<Notify> = backend.crons().cron_wakes();
    let rung = async || tokio::time::timeout(MINUTE, wakes.notified()).await.expect("a wake-up");
    let cron = backend.add_cron(backend.new_cron(backend.new_assistant().await)).await;
    rung().await;
    backend.patch_cron(cron.cron_id, CronPatch::default()).await;
    rung().await;
}
