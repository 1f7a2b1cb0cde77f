use std::sync::Arc;

use async_trait::async_trait;
use langopen_core::clock::Timestamp;
use langopen_core::error::{Error, Result};
use langopen_core::ids::{AssistantId, CronId};
use langopen_core::model::{Cron, CronFiring, CronPatch, CronQuery, DueCron, DueCrons, NewCron, Page};
use langopen_core::storage::Crons;
use langopen_core::tenant::{Scope, Tenant};
use tokio::sync::Notify;

use super::Memory;
use super::state::State;
use crate::rules::{cron, documents::in_scope};

pub(super) struct CronRow {
    pub(super) tenant: Tenant,
    pub(super) cron: Cron,
}

impl CronRow {
    fn visible(&self, scope: &Scope) -> bool {
        in_scope(scope, &self.tenant, &self.cron.metadata)
    }
}

impl State {
    /// Refuses a firing that is not due for its cron.
    pub(super) fn check_firing(
        &self,
        operation: &'static str,
        scope: &Scope,
        firing: CronFiring,
        now: Timestamp,
    ) -> Result<()> {
        let row = self.crons.get(&firing.cron_id).filter(|row| row.tenant == scope.tenant);
        cron::check_firing(operation, row.map(|row| &row.cron), firing, now)
    }

    pub(super) fn advance_cron(&mut self, firing: CronFiring) {
        if let Some(row) = self.crons.get_mut(&firing.cron_id) {
            row.cron.next_run_date = firing.next;
        }
    }

    /// Removes the crons of an assistant.
    pub(super) fn remove_crons_of(&mut self, tenant: &Tenant, id: AssistantId) {
        self.crons.retain(|_, row| row.tenant != *tenant || row.cron.assistant_id != id);
    }

    fn visible_crons(&self, scope: &Scope) -> impl Iterator<Item = Cron> {
        self.crons.values().filter(|row| row.visible(scope)).map(|row| row.cron.clone())
    }
}

#[async_trait]
impl Crons for Memory {
    async fn create_cron(&self, scope: &Scope, new: NewCron) -> Result<Cron> {
        const OPERATION: &str = "crons.create";
        let mut state = self.state();
        if !state.assistants.contains_key(&(scope.tenant.clone(), new.assistant_id)) {
            return Err(Error::not_found(OPERATION, format!("there is no assistant {}", new.assistant_id)));
        }
        if let Some(id) = new.thread_id
            && state.threads.get(&id).is_none_or(|row| row.tenant != scope.tenant)
        {
            return Err(Error::not_found(OPERATION, format!("there is no thread {id}")));
        }
        if state.crons.contains_key(&new.cron_id) {
            return Err(cron::taken(OPERATION, new.cron_id));
        }
        let cron = cron::row(new, self.now())?;
        state.crons.insert(cron.cron_id, CronRow { tenant: scope.tenant.clone(), cron: cron.clone() });
        self.shared.cron_wakes.notify_one();
        Ok(cron)
    }

    async fn cron(&self, scope: &Scope, id: CronId) -> Result<Option<Cron>> {
        Ok(self.state().crons.get(&id).filter(|row| row.visible(scope)).map(|row| row.cron.clone()))
    }

    async fn update_cron(&self, scope: &Scope, id: CronId, patch: CronPatch) -> Result<Cron> {
        let mut state = self.state();
        let row = state.crons.get_mut(&id).filter(|row| row.visible(scope));
        let row = row.ok_or_else(|| cron::not_found("crons.update", id))?;
        row.cron = cron::patched(row.cron.clone(), patch, self.now())?;
        self.shared.cron_wakes.notify_one();
        Ok(row.cron.clone())
    }

    async fn delete_cron(&self, scope: &Scope, id: CronId) -> Result<()> {
        let mut state = self.state();
        if !state.crons.get(&id).is_some_and(|row| row.visible(scope)) {
            return Err(cron::not_found("crons.delete", id));
        }
        state.crons.remove(&id);
        Ok(())
    }

    async fn search_crons(&self, scope: &Scope, query: &CronQuery) -> Result<Page<Cron>> {
        cron::search(self.state().visible_crons(scope), query)
    }

    async fn count_crons(&self, scope: &Scope, query: &CronQuery) -> Result<u64> {
        Ok(self.state().visible_crons(scope).filter(|each| cron::answers(each, query)).count() as u64)
    }

    async fn due_crons(&self, limit: u32) -> Result<DueCrons> {
        let now = self.now();
        let state = self.state();
        let firing = state.crons.values().filter(|row| row.cron.may_fire(now));
        let mut coming: Vec<_> = firing.filter_map(|row| Some((row.cron.next_run_date?, row))).collect();
        coming.sort_by_key(|(next, row)| (*next, row.cron.cron_id));
        let due = coming.iter().take(limit as usize).take_while(|(next, _)| *next <= now);
        let crons: Vec<_> =
            due.map(|(_, row)| DueCron { tenant: row.tenant.clone(), cron: row.cron.clone() }).collect();
        let next_due = coming.get(crons.len()).map(|(next, _)| *next);
        Ok(DueCrons { crons, next_due })
    }

    async fn skip_cron(&self, scope: &Scope, firing: CronFiring) -> Result<()> {
        let now = self.now();
        let mut state = self.state();
        state.check_firing("crons.skip", scope, firing, now)?;
        state.advance_cron(firing);
        Ok(())
    }

    fn cron_wakes(&self) -> Arc<Notify> {
        self.shared.cron_wakes.clone()
    }
}
