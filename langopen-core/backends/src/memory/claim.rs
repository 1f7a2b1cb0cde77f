//! Chooses the runs that start next.

use std::collections::HashMap;

use langopen_core::clock::Timestamp;
use langopen_core::ids::RunId;
use langopen_core::queue::{Claim, ClaimRequest, Claims};
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::Tenant;

use super::state::{Slot, State};

/// The number of running runs of each tenant.
type Running = HashMap<Tenant, u32>;

impl State {
    pub(super) fn claim(&mut self, request: &ClaimRequest, now: Timestamp, steady: Timestamp) -> Claims {
        let mut claims = Claims::default();
        if request.max > 0 {
            self.wake_delayed(now);
        }
        let mut running = self.running();
        while claims.runs.len() < request.max {
            let next = self.take_expired(request, steady).or_else(|| self.take_next(request, &mut running));
            match next.and_then(|run_id| self.start(run_id, now, steady.plus(request.lease))) {
                Some(claim) => claims.runs.push(claim),
                None => {
                    claims.next_due = self.next_due(request);
                    break;
                }
            }
        }
        claims
    }

    fn running(&self) -> Running {
        let mut running = Running::new();
        for row in self.leases.iter().filter_map(|slot| self.runs.get(&slot.1)) {
            *running.entry(row.tenant.clone()).or_default() += 1;
        }
        running
    }

    /// The requested tenants that have ready runs and are below their limit. Each comes with its number of running runs
    /// and its first ready run.
    fn turns<'a>(
        &'a self,
        request: &'a ClaimRequest,
        running: &'a Running,
    ) -> impl Iterator<Item = (&'a Tenant, u32, Slot)> {
        self.ready.iter().filter(|(tenant, _)| request.wants(tenant)).filter_map(|(tenant, ready)| {
            let running = running.get(tenant).copied().unwrap_or_default();
            let has_room = self.limits(tenant).max_running_runs.is_none_or(|limit| running < limit);
            Some((tenant, running, *ready.first().filter(|_| has_room)?))
        })
    }

    fn next_due(&self, request: &ClaimRequest) -> Option<Timestamp> {
        let wanted = |slot: &&Slot| self.runs.get(&slot.1).is_some_and(|row| request.wants(&row.tenant));
        self.delayed.iter().find(wanted).map(|slot| slot.0)
    }

    fn take_expired(&mut self, request: &ClaimRequest, steady: Timestamp) -> Option<RunId> {
        let mut expired = self.leases.iter().take_while(|slot| slot.0 <= steady);
        let wanted = |run_id| self.runs.get(run_id).is_some_and(|row| request.wants(&row.tenant));
        let slot = *expired.find(|slot| wanted(&slot.1))?;
        self.leases.remove(&slot);
        Some(slot.1)
    }

    fn take_next(&mut self, request: &ClaimRequest, running: &mut Running) -> Option<RunId> {
        let turns = self.turns(request, running);
        let (tenant, _, slot) = turns.min_by_key(|(_, running, slot)| (*running, *slot))?;
        let tenant = tenant.clone();
        self.take_ready(&tenant, slot);
        let thread = self.threads.get_mut(&self.runs.get(&slot.1)?.run.thread_id)?;
        thread.pending.remove(&slot);
        thread.ready = None;
        *running.entry(tenant).or_default() += 1;
        Some(slot.1)
    }

    /// Starts the next attempt of a run that is in no set of the queue.
    fn start(&mut self, run_id: RunId, now: Timestamp, expires_at: Timestamp) -> Option<Claim> {
        let row = self.runs.get_mut(&run_id)?;
        let thread = self.threads.get_mut(&row.run.thread_id)?;
        row.lease_expires_at = Some(expires_at);
        row.run.status = RunStatus::Running;
        row.run.attempt += 1;
        row.run.updated_at = now;
        thread.running = Some(run_id);
        self.leases.insert((expires_at, run_id));
        Some(Claim {
            tenant: row.tenant.clone(),
            run: row.run.clone(),
            fresh_thread: thread.checkpoints.is_empty(),
            cancel: row.cancel.clone(),
            losses: row.losses,
        })
    }
}
