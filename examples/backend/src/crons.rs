use std::sync::Arc;

use async_trait::async_trait;
use langopen_backends::rules::cron;
use langopen_backends::rules::documents::in_scope;
use langopen_core::model::{Cron, CronFiring, CronPatch, CronQuery, DueCron, DueCrons, NewCron, Page};
use langopen_core::storage::Crons;
use langopen_core::{CronId, Error, Result, Scope, Tenant, Timestamp};
use tokio::sync::Notify;

use crate::MyBackend;
use crate::state::State;

pub(crate) struct CronRow {
    pub(crate) tenant: Tenant,
    pub(crate) cron: Cron,
}

impl CronRow {
    fn is_visible(&self, scope: &Scope) -> bool {
        in_scope(scope, &self.tenant, &self.cron.metadata)
    }
}

impl State {
    fn crons_of(&self, scope: &Scope) -> impl Iterator<Item = &Cron> {
        self.crons.values().filter(|row| row.is_visible(scope)).map(|row| &row.cron)
    }

    fn cron_mut(&mut self, operation: &'static str, scope: &Scope, id: CronId) -> Result<&mut Cron> {
        let row = self.crons.get_mut(&id).filter(|row| row.is_visible(scope));
        row.map(|row| &mut row.cron).ok_or_else(|| cron::not_found(operation, id))
    }

    /// Refuses a firing that is not due. The scope's filter does not apply, because the scheduler fires the cron.
    pub(crate) fn check_firing(
        &self,
        operation: &'static str,
        scope: &Scope,
        firing: CronFiring,
        now: Timestamp,
    ) -> Result<()> {
        let row = self.crons.get(&firing.cron_id).filter(|row| row.tenant == scope.tenant);
        cron::check_firing(operation, row.map(|row| &row.cron), firing, now)
    }

    /// Moves a cron on to its next moment, after a check of the firing in the same step.
    pub(crate) fn move_cron_on(&mut self, firing: CronFiring) {
        if let Some(row) = self.crons.get_mut(&firing.cron_id) {
            row.cron.next_run_date = firing.next;
        }
    }
}

#[async_trait]
impl Crons for MyBackend {
    async fn create_cron(&self, scope: &Scope, new: NewCron) -> Result<Cron> {
        const OPERATION: &str = "crons.create";
        let mut state = self.state();
        // The caller has decided which assistant and thread it may use, so only the tenant counts here.
        let (tenant, assistant_id) = (scope.tenant.clone(), new.assistant_id);
        if !state.assistants.contains_key(&(tenant.clone(), assistant_id)) {
            return Err(Error::not_found(OPERATION, format!("there is no assistant {assistant_id}")));
        }
        if let Some(id) = new.thread_id
            && state.threads.get(&id).is_none_or(|row| row.tenant != tenant)
        {
            return Err(Error::not_found(OPERATION, format!("there is no thread {id}")));
        }
        if state.crons.contains_key(&new.cron_id) {
            return Err(cron::taken(OPERATION, new.cron_id));
        }
        let cron = cron::row(new, self.clock.now())?;
        state.crons.insert(cron.cron_id, CronRow { tenant, cron: cron.clone() });
        state.hints.crons.notify_one();
        Ok(cron)
    }

    async fn cron(&self, scope: &Scope, id: CronId) -> Result<Option<Cron>> {
        Ok(self.state().crons_of(scope).find(|cron| cron.cron_id == id).cloned())
    }

    async fn update_cron(&self, scope: &Scope, id: CronId, patch: CronPatch) -> Result<Cron> {
        let mut state = self.state();
        let row = state.cron_mut("crons.update", scope, id)?;
        let patched = cron::patched(row.clone(), patch, self.clock.now())?;
        *row = patched.clone();
        state.hints.crons.notify_one();
        Ok(patched)
    }

    async fn delete_cron(&self, scope: &Scope, id: CronId) -> Result<()> {
        let mut state = self.state();
        state.cron_mut("crons.delete", scope, id)?;
        state.crons.remove(&id);
        Ok(())
    }

    async fn search_crons(&self, scope: &Scope, query: &CronQuery) -> Result<Page<Cron>> {
        cron::search(self.state().crons_of(scope).cloned(), query)
    }

    async fn count_crons(&self, scope: &Scope, query: &CronQuery) -> Result<u64> {
        Ok(self.state().crons_of(scope).filter(|each| cron::answers(each, query)).count() as u64)
    }

    async fn due_crons(&self, limit: u32) -> Result<DueCrons> {
        let (state, now) = (self.state(), self.clock.now());
        let enabled = state.crons.values().filter(|row| row.cron.may_fire(now));
        let mut coming: Vec<_> = enabled.filter_map(|row| Some((row.cron.next_run_date?, row))).collect();
        coming.sort_by_key(|(next, row)| (*next, row.cron.cron_id));
        let due = coming.iter().take(limit as usize).take_while(|(next, _)| *next <= now);
        let due = due.map(|(_, row)| DueCron { tenant: row.tenant.clone(), cron: row.cron.clone() });
        let crons: Vec<_> = due.collect();
        let next_due = coming.get(crons.len()).map(|(next, _)| *next);
        Ok(DueCrons { crons, next_due })
    }

    async fn skip_cron(&self, scope: &Scope, firing: CronFiring) -> Result<()> {
        let mut state = self.state();
        state.check_firing("crons.skip", scope, firing, self.clock.now())?;
        state.move_cron_on(firing);
        Ok(())
    }

    fn cron_wakes(&self) -> Arc<Notify> {
        self.state().hints.crons.clone()
    }
}
