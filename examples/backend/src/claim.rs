//! Claims: a worker takes ready runs.

use std::collections::{BTreeMap, BTreeSet};

use langopen_core::queue::{Claim, ClaimRequest, Claims};
use langopen_core::{RunId, RunStatus, Tenant, Timestamp};

use crate::line::{Place, Stage};
use crate::state::State;

/// What the choice of the next run must know of a tenant.
struct Turn {
    /// The most running runs of its deployment.
    limit: u32,
    running: u32,
    ready: BTreeSet<Place>,
}

impl State {
    /// Claims runs. `now` dates the rows, and `steady` measures the leases.
    pub(crate) fn claim(&mut self, request: &ClaimRequest, now: Timestamp, steady: Timestamp) -> Claims {
        if request.max == 0 {
            return Claims::default();
        }
        self.put_due_in_line(now);
        let mut chosen = self.expired(request, steady);
        chosen.truncate(request.max);
        self.choose_ready(request, &mut chosen);
        let until = steady.plus(request.lease);
        let runs: Vec<_> = chosen.into_iter().filter_map(|run_id| self.start(run_id, now, until)).collect();
        let next_due = if runs.len() < request.max { self.next_due(request) } else { None };
        Claims { runs, next_due }
    }

    /// The requested runs whose lease has expired, the earliest first.
    fn expired(&self, request: &ClaimRequest, steady: Timestamp) -> Vec<RunId> {
        let wanted = self.line.iter().filter(|(_, entry)| request.wants(&entry.tenant));
        let mut expired: Vec<_> = wanted
            .filter_map(|(run_id, entry)| match entry.stage {
                Stage::Running(until) if until <= steady => Some((until, *run_id)),
                _ => None,
            })
            .collect();
        expired.sort_unstable();
        expired.into_iter().map(|(_, run_id)| run_id).collect()
    }

    /// The running runs of each requested tenant, and its ready runs.
    fn turns(&self, request: &ClaimRequest) -> BTreeMap<&Tenant, Turn> {
        let mut turns = BTreeMap::new();
        for (run_id, entry) in self.line.iter().filter(|(_, entry)| request.wants(&entry.tenant)) {
            let turn = turns.entry(&entry.tenant).or_insert_with(|| Turn {
                limit: self.limits(&entry.tenant).max_running_runs.unwrap_or(u32::MAX),
                running: 0,
                ready: BTreeSet::new(),
            });
            match entry.stage {
                // A run with an expired lease already counts as running.
                Stage::Running(_) => turn.running += 1,
                Stage::Ready => {
                    turn.ready.insert((entry.starts_at, *run_id));
                }
                Stage::Delayed | Stage::InLine => {}
            }
        }
        turns
    }

    /// Adds ready runs to the chosen ones. The next run is that of the tenant with the fewest running runs.
    fn choose_ready(&self, request: &ClaimRequest, chosen: &mut Vec<RunId>) {
        let mut turns = self.turns(request);
        while chosen.len() < request.max {
            let may_run = turns.values_mut().filter(|turn| turn.running < turn.limit && !turn.ready.is_empty());
            let next = may_run.min_by_key(|turn| (turn.running, turn.ready.first().copied()));
            let Some(turn) = next else { return };
            turn.running += 1;
            chosen.extend(turn.ready.pop_first().map(|(_, run_id)| run_id));
        }
    }

    /// Begins the next attempt of a run.
    fn start(&mut self, run_id: RunId, now: Timestamp, until: Timestamp) -> Option<Claim> {
        let entry = self.line.get_mut(&run_id)?;
        let row = self.runs.get_mut(&run_id)?;
        entry.stage = Stage::Running(until);
        row.run.status = RunStatus::Running;
        row.run.attempt += 1;
        row.run.updated_at = now;
        Some(Claim {
            tenant: row.tenant.clone(),
            run: row.run.clone(),
            fresh_thread: self.threads.get(&entry.thread_id)?.history.is_empty(),
            cancel: entry.cancel.clone(),
            losses: entry.losses,
        })
    }

    /// When the first delayed run of the requested tenants becomes due.
    fn next_due(&self, request: &ClaimRequest) -> Option<Timestamp> {
        let delayed = self.line.values().filter(|entry| entry.stage == Stage::Delayed && request.wants(&entry.tenant));
        delayed.map(|entry| entry.starts_at).min()
    }
}
