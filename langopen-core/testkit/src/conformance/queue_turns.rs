//! Fairness between tenants, and the limits of deployments.

use std::collections::HashMap;
use std::time::Duration;

use futures::FutureExt;
use langopen_core::error::ErrorKind;
use langopen_core::ids::RunId;
use langopen_core::model::{DeploymentLimits, DeploymentSpec, MultitaskStrategy};
use langopen_core::queue::{Claim, ClaimRequest, Claims};
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::{Scope, Tenant};

use super::support::{LEASE, SECOND, foreign, interrupt, outcome, refused, scope, thread_id};
use super::{Fixture, Need};

async fn limit(backend: &Fixture, scope: &Scope, limits: DeploymentLimits) {
    let spec = DeploymentSpec { hosts: Vec::new(), limits };
    backend.deployments().put_deployment(&scope.tenant, spec).await.expect("put the deployment");
}

async fn limit_running(backend: &Fixture, max_running_runs: u32) {
    let limits = DeploymentLimits::default().with_max_running_runs(Some(max_running_runs));
    limit(backend, &scope(), limits).await;
}

/// Creates runs of the tenant, each on its own thread.
async fn crowd(backend: &Fixture, scope: &Scope, runs: usize) -> Vec<RunId> {
    let mut ids = Vec::with_capacity(runs);
    for _ in 0..runs {
        let new = backend.new_run(thread_id());
        ids.push(backend.queue().enqueue(scope, new).await.expect("enqueue").run.run_id);
    }
    ids
}

async fn claim(backend: &Fixture, max: usize) -> Claims {
    backend.queue().claim(&ClaimRequest::new("worker", max, LEASE)).await.expect("claim")
}

/// The number of claimed runs of each tenant.
fn shares(claims: &[Claim]) -> HashMap<Tenant, usize> {
    let mut shares = HashMap::new();
    for claim in claims {
        *shares.entry(claim.tenant.clone()).or_default() += 1;
    }
    shares
}

/// However many runs one tenant has queued, the next claim includes the single run of another tenant.
pub async fn a_long_queue_of_one_tenant_lets_others_through(backend: &Fixture) {
    crowd(backend, &scope(), 1000).await;
    assert_eq!(claim(backend, 10).await.runs.len(), 10, "no other tenant waits, so the claim is full");
    let single = crowd(backend, &foreign(), 1).await;
    let next = claim(backend, 1).await.runs;
    assert_eq!(next.iter().map(|claim| claim.run.run_id).collect::<Vec<_>>(), single);
    assert_eq!(next[0].tenant, foreign().tenant);
    backend.queue().finish(next[0].lease(), outcome()).await.expect("finish");
    let single = crowd(backend, &foreign(), 1).await[0];
    let next = claim(backend, 10).await.runs;
    assert!(next.iter().any(|claim| claim.run.run_id == single), "also in a larger claim");
    assert_eq!(next.len(), 10, "and the others are not left empty");
}

/// Several tenants with enough runs each get the same number of claims. A tenant with more running runs waits until the
/// others have as many.
pub async fn tenants_take_turns(backend: &Fixture) {
    let third = Scope::tenant(Tenant::new("third", "project", "deployment").expect("a tenant"));
    let tenants = [scope(), foreign(), third];
    let ahead = crowd(backend, &tenants[0], 4).await.len();
    assert_eq!(claim(backend, 10).await.runs.len(), ahead);
    for scope in &tenants {
        crowd(backend, scope, 20).await;
    }
    let share = |claims: &[Claim], of: usize| shares(claims).get(&tenants[of].tenant).copied().unwrap_or_default();
    let first = claim(backend, 8).await.runs;
    assert_eq!([0, 1, 2].map(|of| share(&first, of)), [0, 4, 4], "the delayed run waits");
    let second = claim(backend, 9).await.runs;
    assert_eq!([0, 1, 2].map(|of| share(&second, of)), [3, 3, 3]);
    // An end makes its tenant the one with the fewest running runs.
    for claim in second.iter().filter(|claim| claim.tenant == tenants[1].tenant) {
        backend.queue().finish(claim.lease(), outcome()).await.expect("finish");
    }
    let third = claim(backend, 3).await.runs;
    assert_eq!([0, 1, 2].map(|of| share(&third, of)), [0, 3, 0]);
}

/// Among tenants with equally many running runs, and within a tenant, the oldest run comes first.
pub async fn the_oldest_comes_first_among_equals(backend: &Fixture) {
    let mut waiting = Vec::new();
    for scope in [foreign(), scope(), scope(), foreign()] {
        waiting.extend(crowd(backend, &scope, 1).await);
        backend.clock.advance(SECOND);
    }
    for expected in waiting {
        let claims = claim(backend, 1).await.runs;
        assert_eq!(claims.iter().map(|claim| claim.run.run_id).collect::<Vec<_>>(), [expected]);
    }
}

/// A worker receives only runs of the tenants that it requests, including runs with an expired lease.
pub async fn a_claim_gets_what_it_asks_for(backend: &Fixture) {
    let own = crowd(backend, &scope(), 1).await;
    let others = crowd(backend, &foreign(), 2).await;
    let asking = |tenants: &[Scope]| {
        ClaimRequest::new("worker", 10, LEASE)
            .with_tenants(Some(tenants.iter().map(|scope| scope.tenant.clone()).collect()))
    };
    let claimed = async |tenants: &[Scope]| {
        let claims = backend.queue().claim(&asking(tenants)).await.expect("claim");
        (claims.runs.into_iter().map(|claim| claim.run.run_id).collect::<Vec<_>>(), claims.next_due)
    };
    assert_eq!(claimed(&[]).await, (vec![], None));
    assert_eq!(claimed(&[scope()]).await, (own, None), "the next due moment of other tenants is not returned");
    let delayed = backend.delayed_run(thread_id(), SECOND * 600);
    backend.queue().enqueue(&foreign(), delayed.clone()).await.expect("enqueue");
    assert_eq!(claimed(&[scope()]).await, (vec![], None));
    let (mut both, next_due) = claimed(&[scope(), foreign()]).await;
    both.sort();
    assert_eq!((both, next_due), (others.clone(), Some(delayed.available_at)));
    backend.clock.advance(LEASE);
    let (mut expired, _) = claimed(&[foreign()]).await;
    expired.sort();
    assert_eq!(expired, others, "the caller's own expired run is not requested");
}

/// A deployment never has more running runs than its limit, and the end of a run lets the next one start.
pub async fn a_deployment_never_runs_more_than_it_may(backend: &Fixture) {
    limit_running(backend, 2).await;
    crowd(backend, &scope(), 5).await;
    crowd(backend, &foreign(), 3).await;
    let claims = claim(backend, 100).await;
    let expected = HashMap::from([(scope().tenant, 2), (foreign().tenant, 3)]);
    assert_eq!(shares(&claims.runs), expected, "another tenant does not wait");
    assert_eq!(claims.next_due, None, "runs that a limit blocks have no due moment");
    assert_eq!(claim(backend, 100).await.runs.len(), 0);
    let own: Vec<_> = claims.runs.iter().filter(|claim| claim.tenant == scope().tenant).collect();
    let wakes = backend.queue().wakes();
    // Discards an earlier hint, so that the next one must be new.
    let _ = wakes.notified().now_or_never();
    let woken = wakes.notified();
    backend.queue().finish(own[0].lease(), outcome()).await.expect("finish");
    if backend.has(Need::Hints) {
        woken.await;
    }
    assert_eq!(claim(backend, 100).await.runs.len(), 1, "one ended, one began");

    // A run with an expired lease counts as running.
    backend.clock.advance(LEASE);
    let anew = claim(backend, 100).await.runs;
    assert_eq!(shares(&anew)[&scope().tenant], 2);
    assert!(anew.iter().all(|claim| claim.run.attempt == 2), "no other run started");

    limit_running(backend, 1).await;
    let own: Vec<_> = anew.iter().filter(|claim| claim.tenant == scope().tenant).collect();
    backend.queue().release(own[0].lease(), Duration::ZERO).await.expect("release");
    assert_eq!(claim(backend, 100).await.runs.len(), 0, "a lowered limit applies at once");
    backend.deployments().delete_deployment(&scope().tenant).await.expect("delete the deployment");
    assert_eq!(claim(backend, 100).await.runs.len(), 3, "without a row there is no limit");
}

/// A deployment with a limit of 0 starts no run until the limit is raised.
pub async fn a_deployment_can_be_stopped(backend: &Fixture) {
    limit_running(backend, 0).await;
    crowd(backend, &scope(), 2).await;
    let claims = claim(backend, 10).await;
    assert_eq!((claims.runs.len(), claims.next_due), (0, None));
    let wakes = backend.queue().wakes();
    let _ = wakes.notified().now_or_never();
    let woken = wakes.notified();
    limit_running(backend, 1).await;
    if backend.has(Need::Hints) {
        tokio::time::timeout(Duration::from_secs(10), woken).await.expect("new limits wake workers");
    }
    assert_eq!(claim(backend, 10).await.runs.len(), 1);
}

/// The limit holds under concurrent claims, and every run starts eventually.
pub async fn the_limit_holds_under_concurrent_claims(backend: &Fixture) {
    const LIMIT: u32 = 3;
    limit_running(backend, LIMIT).await;
    let mut waiting = crowd(backend, &scope(), 24).await;
    let mut others = crowd(backend, &foreign(), 8).await;
    while !waiting.is_empty() {
        let claiming = (0..8).map(|worker| {
            let queue = backend.queue().clone();
            let request = ClaimRequest::new(format!("worker {worker}"), 2, LEASE);
            tokio::spawn(async move { queue.claim(&request).await.expect("claim").runs })
        });
        let mut claims = Vec::new();
        for claimed in futures::future::join_all(claiming).await {
            claims.extend(claimed.expect("a claiming task"));
        }
        let shares = shares(&claims);
        let share = |scope: Scope| shares.get(&scope.tenant).copied().unwrap_or_default();
        assert_eq!(share(scope()), waiting.len().min(LIMIT as usize), "as many as may run, and no more");
        assert_eq!(share(foreign()), others.len(), "another deployment has no limit");
        for claim in &claims {
            waiting.retain(|run_id| *run_id != claim.run.run_id);
            others.retain(|run_id| *run_id != claim.run.run_id);
        }
        let finishing = claims.iter().map(|claim| backend.queue().finish(claim.lease(), outcome()));
        futures::future::try_join_all(finishing).await.expect("finish");
    }
}

/// A run above the limit is refused and changes nothing. A run that ends others may use their share of the limit.
pub async fn runs_in_flight_are_limited(backend: &Fixture) {
    let limits = DeploymentLimits::default().with_max_runs_in_flight(Some(3));
    limit(backend, &scope(), limits).await;
    let thread = thread_id();
    let (running, pending) = (backend.running(thread).await, backend.add_run(thread).await);
    let delayed = backend.delayed_run(thread_id(), SECOND);
    let delayed_thread = delayed.thread_id;
    let delayed = backend.enqueue(delayed).await;
    let refuse = async |what: &str| {
        let new = backend.new_run(thread_id());
        let id = new.thread_id;
        refused(backend.queue().enqueue(&scope(), new).await, ErrorKind::LimitReached, what);
        assert_eq!(backend.threads().thread(&scope(), id).await.expect("read"), None, "no thread was made");
    };
    refuse("one runs, one waits, one lies ahead").await;
    crowd(backend, &foreign(), 4).await;

    let replacing = backend.run_with(thread, MultitaskStrategy::Interrupt);
    let replacing = backend.queue().enqueue(&scope(), replacing).await.expect("it replaces the pending run");
    assert_eq!(replacing.ended, [pending]);
    assert_eq!(backend.status(thread, pending).await, Some(RunStatus::Interrupted));
    refuse("the running one counts until it has ended").await;
    backend.queue().finish(running.lease(), outcome()).await.expect("finish");
    let one = thread_id();
    let one = (one, backend.add_run(one).await);
    refuse("full again").await;
    for (thread, run_id) in [one, (delayed_thread, delayed)] {
        backend.queue().cancel(&scope(), thread, run_id, interrupt()).await.expect("cancel");
    }
    crowd(backend, &scope(), 2).await;
    refuse("what was cancelled made room for as many").await;
}

/// Under concurrent creation, no more runs are in flight than the limit allows.
pub async fn runs_in_flight_are_limited_under_concurrency(backend: &Fixture) {
    let limits = DeploymentLimits::default().with_max_runs_in_flight(Some(5));
    limit(backend, &scope(), limits).await;
    let creating = (0..20).map(|_| {
        let (queue, new) = (backend.queue().clone(), backend.new_run(thread_id()));
        tokio::spawn(async move { queue.enqueue(&scope(), new).await.map_err(|error| error.kind()) })
    });
    let mut created = 0;
    for result in futures::future::join_all(creating).await {
        match result.expect("a creating task") {
            Ok(_) => created += 1,
            Err(kind) => assert_eq!(kind, ErrorKind::LimitReached),
        }
    }
    assert_eq!(created, 5);
    assert_eq!(claim(backend, 100).await.runs.len(), 5);
}
