//! Executes steps on a queue that fails on purpose. After each step, compares the stored rows with the model.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::clock::ManualClock;
use langopen_core::model::{CancelAction, CancelRequest, MultitaskStrategy, NewRun, RunQuery, RunThread, ThreadStatus};
use langopen_core::queue::{Claim, ClaimRequest, Heartbeat, InFlight, Lease, Outcome};
use langopen_core::{
    AssistantId, Clock, ErrorKind, JsonMap, Queue, RawJson, Result, RunId, RunStatus, Scope, Storage, ThreadId,
};
use langopen_testkit::chaos::Chaos;
use serde_json::json;
use uuid::Uuid;

use crate::model::Model;
use crate::steps::{LEASE, Step, THREADS};

/// A backend, and a tenant in it that only this case uses.
pub(crate) struct Parts {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) scope: Scope,
}

pub(crate) struct Driver {
    /// The storage, read without chaos.
    truth: Arc<dyn Storage>,
    queue: Arc<dyn Queue>,
    storage: Arc<dyn Storage>,
    clock: Arc<ManualClock>,
    scope: Scope,
    chaos: Chaos,
    model: Model,
    threads: Vec<ThreadId>,
    /// The leases that callers received, the latest last.
    leases: Vec<Lease>,
}

impl Driver {
    pub(crate) fn new(parts: Parts, chaos: Chaos) -> Self {
        let threads = (0..THREADS).map(|_| ThreadId(Uuid::now_v7())).collect();
        Self {
            queue: chaos.around(parts.queue),
            storage: chaos.around(parts.storage.clone()),
            truth: parts.storage,
            clock: parts.clock,
            scope: parts.scope,
            chaos,
            model: Model::default(),
            threads,
            leases: Vec::new(),
        }
    }

    pub(crate) async fn take(&mut self, step: &Step) {
        match step {
            Step::Enqueue { thread, strategy, delay } => {
                let new = self.new_run(self.threads[*thread], *strategy, Duration::from_secs(*delay));
                self.enqueue(new).await;
            }
            Step::EnqueueTemporary => {
                let new = self.new_run(ThreadId(Uuid::now_v7()), MultitaskStrategy::Enqueue, Duration::ZERO);
                self.enqueue(NewRun { temporary: true, ..new }).await;
            }
            Step::Claim { max } => drop(self.claim(*max).await),
            Step::Heartbeat { claims } => self.heartbeat(claims).await,
            Step::Finish { claim, status, rollback } => {
                if let Some(lease) = latest(&self.leases, *claim) {
                    self.finish(lease, *status, *rollback).await;
                }
            }
            Step::Release { claim, delay } => {
                if let Some(lease) = latest(&self.leases, *claim) {
                    self.release(lease, Duration::from_secs(*delay)).await;
                }
            }
            Step::Cancel { run, action } => {
                if let Some(run) = latest(&self.model.runs, *run) {
                    self.cancel(run.run_id, run.thread_id, *action).await;
                }
            }
            Step::CancelInFlight { which, action } => self.cancel_in_flight(*which, *action).await,
            Step::DeleteRun { run } => {
                if let Some(run) = latest(&self.model.runs, *run) {
                    let deleted = self.storage.delete_run(&self.scope, run.thread_id, run.run_id).await;
                    let now = self.clock.now();
                    self.compare(deleted, |model| model.delete_run(run.run_id, now));
                }
            }
            Step::DeleteThread { thread } => {
                let thread_id = self.threads[*thread];
                let deleted = self.storage.delete_thread(&self.scope, thread_id).await.map(sorted);
                self.compare(deleted, |model| model.delete_thread(thread_id).map(sorted));
            }
            Step::Pass { seconds } => self.clock.advance(Duration::from_secs(*seconds)),
            Step::Jump { seconds } => {
                let to = self.clock.now().as_micros() + seconds * 1_000_000;
                self.clock.set(langopen_core::Timestamp::from_micros(to));
            }
        }
        self.check().await;
    }

    /// Returns whether the caller received an answer. Applies the call to the model if it took effect, and compares the
    /// answer with the model's.
    #[track_caller]
    fn compare<A: Debug + PartialEq>(
        &mut self,
        answer: Result<A>,
        expected: impl FnOnce(&mut Model) -> Result<A, ErrorKind>,
    ) -> bool {
        let answer = answer.map_err(|error| (error.kind(), error.to_string()));
        if matches!(&answer, Err((_, text)) if text.contains("did nothing")) {
            return false;
        }
        let expected = expected(&mut self.model);
        if matches!(&answer, Err((_, text)) if text.contains("the answer was lost")) {
            return false;
        }
        assert_eq!(answer.map_err(|(kind, _)| kind), expected);
        true
    }

    fn new_run(&self, thread_id: ThreadId, multitask_strategy: MultitaskStrategy, delay: Duration) -> NewRun {
        NewRun {
            run_id: RunId(Uuid::now_v7()),
            thread_id,
            assistant_id: AssistantId::system("agent"),
            graph_id: "agent".to_owned(),
            metadata_base: JsonMap::new(),
            metadata_own: JsonMap::new(),
            kwargs: RawJson::from(json!({})),
            multitask_strategy,
            resumable: false,
            temporary: false,
            webhook: None,
            origin: Default::default(),
            available_at: self.clock.now().plus(delay),
            thread: RunThread { create: true, metadata: JsonMap::new(), config: JsonMap::new(), ttl: None },
            firing: None,
        }
    }

    /// Retries until the caller receives an answer, as a client does that chooses its run's id. So the queue accepts
    /// the run once, however often the client asks.
    async fn enqueue(&mut self, new: NewRun) {
        let ids = (new.run_id, new.thread_id);
        loop {
            let answer = self.queue.enqueue(&self.scope, new.clone()).await;
            let answer = answer.map(|enqueued| (enqueued.run.created_at, sorted(enqueued.ended)));
            let (strategy, temporary) = (new.multitask_strategy, new.temporary);
            let at = (new.available_at, self.clock.now());
            let expected = |model: &mut Model| model.enqueue(ids, strategy, temporary, at);
            if self.compare(answer, |model| expected(model).map(|(at, ended)| (at, sorted(ended)))) {
                return;
            }
        }
    }

    async fn claim(&mut self, max: usize) -> Vec<Claim> {
        let (now, steady) = (self.clock.now(), self.clock.steady());
        let tenants = Some(vec![self.scope.tenant.clone()]);
        let request = ClaimRequest::new("worker", max, LEASE).with_tenants(tenants);
        let answer = self.queue.claim(&request).await;
        let there = self.there().await;
        let attempted = |run_id: &RunId| there.get(run_id).map_or(0, |(_, attempt)| *attempt);
        let claimed: Vec<_> =
            self.model.runs.iter().filter(|run| attempted(&run.run_id) > run.attempt).map(|run| run.run_id).collect();
        if let Err(error) = &answer
            && error.message().contains("did nothing")
        {
            assert!(claimed.is_empty());
            return Vec::new();
        }
        self.model.look(now);
        let (expired, ready) = self.model.claimable(steady);
        let (anew, first): (Vec<RunId>, Vec<RunId>) = claimed.iter().partition(|run_id| expired.contains(run_id));
        // The order among runs with expired leases is unspecified.
        assert_eq!(anew.len(), expired.len().min(max), "{claimed:?} of {expired:?}");
        let expected = ready.iter().copied().take(max - anew.len()).collect();
        assert_eq!(sorted(first), sorted(expected), "of {ready:?}");
        claimed.iter().for_each(|run_id| self.model.claim(*run_id, steady, LEASE));
        let claims = match answer {
            Ok(claims) => claims.runs,
            Err(error) => {
                assert!(error.message().contains("the answer was lost"), "{error}");
                return Vec::new();
            }
        };
        assert_eq!(sorted(claims.iter().map(|claim| claim.run.run_id).collect()), sorted(claimed));
        for claim in &claims {
            let run = self.model.run(claim.run.run_id);
            assert_eq!(claim.run.attempt, run.attempt);
            assert_eq!(claim.cancel.as_ref().map(|cancel| cancel.action), run.cancel);
            self.leases.push(claim.lease());
        }
        claims
    }

    async fn heartbeat(&mut self, claims: &[usize]) {
        let leases: Vec<_> = claims.iter().filter_map(|claim| latest(&self.leases, *claim)).collect();
        let answer = self.queue.heartbeat(&leases, LEASE).await;
        let answer = answer.map(|answers| answers.into_iter().map(held).collect::<Vec<_>>());
        let steady = self.clock.steady();
        self.compare(answer, |model| {
            let beat = |lease: &Lease| {
                let holds = model.holds(*lease);
                holds.then(|| {
                    model.heartbeat(*lease, steady, LEASE);
                    model.run(lease.run_id).cancel
                })
            };
            Ok(leases.iter().map(beat).collect())
        });
    }

    async fn finish(&mut self, lease: Lease, status: RunStatus, rollback: bool) {
        let outcome = Outcome {
            status,
            thread_status: ThreadStatus::Idle,
            error: None,
            interrupts: RawJson::from(json!({})),
            state: None,
            values: None,
            rollback,
        };
        let answer = self.queue.finish(lease, outcome).await.map(|finished| finished.promoted);
        let now = self.clock.now();
        self.compare(answer, |model| match model.holds(lease) {
            true => Ok(model.finish(lease, status, rollback, now)),
            false => Err(ErrorKind::LeaseLost),
        });
    }

    async fn release(&mut self, lease: Lease, delay: Duration) {
        let answer = self.queue.release(lease, delay).await;
        let now = self.clock.now();
        self.compare(answer, |model| match model.holds(lease) {
            true => {
                model.release(lease, delay, now);
                Ok(())
            }
            false => Err(ErrorKind::LeaseLost),
        });
    }

    async fn cancel(&mut self, run_id: RunId, thread_id: ThreadId, action: CancelAction) {
        let answer = self.queue.cancel(&self.scope, thread_id, run_id, request(action)).await;
        let now = self.clock.now();
        self.compare(answer, |model| model.cancel(run_id, action, now));
    }

    async fn cancel_in_flight(&mut self, which: InFlight, action: CancelAction) {
        let answer = self.queue.cancel_in_flight(&self.scope, which, request(action)).await;
        let ended = |ended: Vec<langopen_core::event_log::LogKey>| ended.iter().map(|log| log.run_id).collect();
        let answer = answer.map(|done| (sorted(ended(done.ended)), sorted(done.requested)));
        let now = self.clock.now();
        self.compare(answer, |model| {
            let (ended, requested) = model.cancel_in_flight(which, action, now);
            Ok((sorted(ended), sorted(requested)))
        });
    }

    /// The status and the attempt of every stored run.
    async fn there(&self) -> HashMap<RunId, (RunStatus, u32)> {
        let mut there = HashMap::new();
        let temporary = self.model.runs.iter().filter(|run| run.temporary && run.status.is_some());
        for thread_id in self.threads.iter().copied().chain(temporary.map(|run| run.thread_id)) {
            let all = RunQuery::default().with_limit(1000);
            let runs = self.truth.list_runs(&self.scope, thread_id, &all).await.unwrap();
            there.extend(runs.items.into_iter().map(|run| (run.run_id, (run.status, run.attempt))));
        }
        there
    }

    async fn check(&self) {
        let there = self.there().await;
        for run in &self.model.runs {
            let expected = run.status.map(|status| (status, run.attempt));
            assert_eq!(there.get(&run.run_id).copied(), expected, "run {}", run.run_id);
        }
        assert_eq!(there.len(), self.model.runs.iter().filter(|run| run.status.is_some()).count());
    }

    /// Without failures, everything that is in flight comes to its end.
    pub(crate) async fn drain(&mut self) {
        self.chaos.calm();
        for _ in 0..200 {
            loop {
                let claims = self.claim(1000).await;
                if claims.is_empty() {
                    break;
                }
                for claim in claims {
                    self.finish(claim.lease(), RunStatus::Success, false).await;
                }
            }
            self.check().await;
            if !self.model.runs.iter().any(|run| run.in_flight()) {
                return;
            }
            self.clock.advance(Duration::from_secs(100));
        }
        let left: Vec<_> = self.model.runs.iter().filter(|run| run.in_flight()).collect();
        panic!("these runs are lost: {left:#?}");
    }
}

fn latest<T: Clone>(all: &[T], place: usize) -> Option<T> {
    all.iter().rev().nth(place).cloned()
}

fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}

fn held(answer: Heartbeat) -> Option<Option<CancelAction>> {
    match answer {
        Heartbeat::Held(cancel) => Some(cancel.map(|cancel| cancel.action)),
        Heartbeat::Lost => None,
    }
}

fn request(action: CancelAction) -> CancelRequest {
    CancelRequest { action, reason: "by the test".to_owned() }
}
