use std::collections::BTreeMap;

use async_trait::async_trait;
use langopen_backends::rules::documents::passes;
use langopen_backends::rules::{assistant, run};
use langopen_core::filter::contains_all;
use langopen_core::model::{
    Assistant, AssistantPatch, AssistantQuery, AssistantVersionQuery, IfExists, NewAssistant, Page,
};
use langopen_core::storage::{Assistants, DeletedAssistant};
use langopen_core::{AssistantId, Error, ErrorKind, Result, Scope, Tenant, ThreadId, Timestamp};

use crate::MyBackend;
use crate::state::State;

pub(crate) struct AssistantRow {
    /// The active version.
    active: Assistant,
    /// All versions, with the active one.
    versions: BTreeMap<i64, Assistant>,
}

impl AssistantRow {
    /// Stores a version and activates it.
    fn activate(&mut self, version: Assistant) -> Assistant {
        self.versions.insert(version.version, version.clone());
        self.active = version.clone();
        version
    }
}

fn key(scope: &Scope, id: AssistantId) -> (Tenant, AssistantId) {
    (scope.tenant.clone(), id)
}

fn taken(operation: &'static str, id: AssistantId) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, format!("assistant {id} exists already"))
}

impl State {
    fn assistant(&self, scope: &Scope, id: AssistantId) -> Option<&AssistantRow> {
        self.assistants.get(&key(scope, id)).filter(|row| passes(scope, &row.active.metadata))
    }

    fn assistant_mut(&mut self, operation: &'static str, scope: &Scope, id: AssistantId) -> Result<&mut AssistantRow> {
        let row = self.assistants.get_mut(&key(scope, id)).filter(|row| passes(scope, &row.active.metadata));
        row.ok_or_else(|| Error::not_found(operation, format!("there is no assistant {id}")))
    }

    fn assistants_of(&self, scope: &Scope) -> impl Iterator<Item = &Assistant> {
        let own = self.assistants.iter().filter(|((tenant, _), _)| *tenant == scope.tenant);
        own.map(|(_, row)| &row.active).filter(|active| passes(scope, &active.metadata))
    }

    fn add_assistant(&mut self, scope: &Scope, new: NewAssistant, now: Timestamp) -> Assistant {
        let first = assistant::first(new, now);
        let versions = BTreeMap::from([(first.version, first.clone())]);
        self.assistants.insert(key(scope, first.assistant_id), AssistantRow { active: first.clone(), versions });
        first
    }

    /// The threads of the scope whose metadata names the assistant.
    fn threads_of(&self, scope: &Scope, id: AssistantId) -> Vec<ThreadId> {
        let name = serde_json::Value::from(id.to_string());
        let shown = self.threads.iter().filter(|(_, row)| row.is_visible(scope));
        let named = shown.filter(|(_, row)| row.thread.metadata.get("assistant_id") == Some(&name));
        named.map(|(id, _)| *id).collect()
    }
}

#[async_trait]
impl Assistants for MyBackend {
    async fn create_assistant(&self, scope: &Scope, new: NewAssistant, if_exists: IfExists) -> Result<Assistant> {
        let (mut state, id) = (self.state(), new.assistant_id);
        if !state.assistants.contains_key(&key(scope, id)) {
            return Ok(state.add_assistant(scope, new, self.clock.now()));
        }
        let shown = state.assistant(scope, id).filter(|_| if_exists == IfExists::DoNothing);
        shown.map(|row| row.active.clone()).ok_or_else(|| taken("assistants.create", id))
    }

    async fn sync_system_assistant(&self, scope: &Scope, new: NewAssistant) -> Result<Assistant> {
        const OPERATION: &str = "assistants.sync";
        let (mut state, id) = (self.state(), new.assistant_id);
        if !state.assistants.contains_key(&key(scope, id)) {
            return Ok(state.add_assistant(scope, new, self.clock.now()));
        }
        let row = state.assistant_mut(OPERATION, scope, id).map_err(|_| taken(OPERATION, id))?;
        let synced = Assistant { name: new.name, description: new.description, ..row.active.clone() };
        Ok(row.activate(synced))
    }

    async fn assistant(&self, scope: &Scope, id: AssistantId) -> Result<Option<Assistant>> {
        Ok(self.state().assistant(scope, id).map(|row| row.active.clone()))
    }

    async fn update_assistant(&self, scope: &Scope, id: AssistantId, patch: AssistantPatch) -> Result<Assistant> {
        let mut state = self.state();
        let row = state.assistant_mut("assistants.update", scope, id)?;
        let version = row.versions.keys().next_back().map_or(1, |highest| highest + 1);
        let patched = assistant::patched(row.active.clone(), version, patch, self.clock.now());
        Ok(row.activate(patched))
    }

    async fn delete_assistant(
        &self,
        scope: &Scope,
        id: AssistantId,
        threads: Option<&Scope>,
    ) -> Result<DeletedAssistant> {
        let mut state = self.state();
        state.assistant_mut("assistants.delete", scope, id)?;
        state.assistants.remove(&key(scope, id));
        state.crons.retain(|_, row| row.tenant != scope.tenant || row.cron.assistant_id != id);
        let threads = threads.map(|shown| state.threads_of(shown, id)).unwrap_or_default();
        for thread_id in &threads {
            state.remove_thread(*thread_id);
        }
        let runs_it = |run_id| state.runs.get(&run_id).is_some_and(|row| row.run.assistant_id == id);
        let runs = state.in_flight(|run_id, entry| entry.tenant == scope.tenant && runs_it(run_id));
        let done = state.cancel_runs(&runs, &run::assistant_deleted(), self.clock.now());
        Ok(DeletedAssistant { threads, ended: done.ended })
    }

    async fn search_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<Page<Assistant>> {
        assistant::search(self.state().assistants_of(scope), query)
    }

    async fn count_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<u64> {
        Ok(assistant::found(self.state().assistants_of(scope), query).count() as u64)
    }

    async fn assistant_versions(
        &self,
        scope: &Scope,
        id: AssistantId,
        query: &AssistantVersionQuery,
    ) -> Result<Vec<Assistant>> {
        let state = self.state();
        let versions = state.assistant(scope, id).into_iter().flat_map(|row| row.versions.values().rev());
        let found = versions.filter(|version| contains_all(&version.metadata, &query.metadata));
        Ok(found.skip(query.offset as usize).take(query.limit as usize).cloned().collect())
    }

    async fn set_latest_assistant(&self, scope: &Scope, id: AssistantId, version: i64) -> Result<Assistant> {
        const OPERATION: &str = "assistants.set_latest";
        let mut state = self.state();
        let row = state.assistant_mut(OPERATION, scope, id)?;
        let missing = || Error::not_found(OPERATION, format!("the assistant has no version {version}"));
        let wanted = row.versions.get(&version).ok_or_else(missing)?;
        let wanted = Assistant { updated_at: self.clock.now(), ..wanted.clone() };
        Ok(row.activate(wanted))
    }
}
