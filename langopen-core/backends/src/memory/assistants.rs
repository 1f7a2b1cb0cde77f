use std::collections::BTreeMap;

use async_trait::async_trait;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::filter::contains_all;
use langopen_core::ids::AssistantId;
use langopen_core::json::JsonMap;
use langopen_core::model::{
    Assistant, AssistantPatch, AssistantQuery, AssistantVersionQuery, IfExists, NewAssistant, Page,
};
use langopen_core::queue::InFlight;
use langopen_core::storage::{Assistants, DeletedAssistant};
use langopen_core::tenant::{Scope, Tenant};

use super::Memory;
use super::state::{AssistantRow, RunRow, State};
use crate::rules::{assistant, documents::passes, run};

fn visible<'a>(row: &'a AssistantRow, scope: &Scope) -> Option<&'a Assistant> {
    row.in_force().filter(|assistant| passes(scope, &assistant.metadata))
}

fn key(scope: &Scope, id: AssistantId) -> (Tenant, AssistantId) {
    (scope.tenant.clone(), id)
}

impl State {
    fn assistant_mut(&mut self, operation: &'static str, scope: &Scope, id: AssistantId) -> Result<&mut AssistantRow> {
        self.assistants
            .get_mut(&key(scope, id))
            .filter(|row| visible(row, scope).is_some())
            .ok_or_else(|| Error::not_found(operation, format!("there is no assistant {id}")))
    }

    /// The current versions of the assistants that the scope shows.
    fn assistants_of<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = &'a Assistant> {
        let rows = self.assistants.iter().filter(|((tenant, _), _)| *tenant == scope.tenant);
        rows.filter_map(|(_, row)| visible(row, scope))
    }
}

impl Memory {
    fn add_assistant(&self, state: &mut State, scope: &Scope, new: NewAssistant) -> Assistant {
        let first = assistant::first(new, self.now());
        let versions = BTreeMap::from([(first.version, first.clone())]);
        let row = AssistantRow { version: first.version, versions };
        state.assistants.insert(key(scope, first.assistant_id), row);
        first
    }
}

#[async_trait]
impl Assistants for Memory {
    async fn create_assistant(&self, scope: &Scope, new: NewAssistant, if_exists: IfExists) -> Result<Assistant> {
        let mut state = self.state();
        if let Some(row) = state.assistants.get(&key(scope, new.assistant_id)) {
            return match (if_exists, visible(row, scope)) {
                (IfExists::DoNothing, Some(there)) => Ok(there.clone()),
                _ => Err(taken("assistants.create", new.assistant_id)),
            };
        }
        Ok(self.add_assistant(&mut state, scope, new))
    }

    async fn sync_system_assistant(&self, scope: &Scope, new: NewAssistant) -> Result<Assistant> {
        let mut state = self.state();
        if !state.assistants.contains_key(&key(scope, new.assistant_id)) {
            return Ok(self.add_assistant(&mut state, scope, new));
        }
        let row = state
            .assistant_mut("assistants.sync", scope, new.assistant_id)
            .map_err(|_| taken("assistants.sync", new.assistant_id))?;
        let version = row.version;
        let current = row.versions.get_mut(&version).ok_or_else(|| missing_version("assistants.sync", version))?;
        current.name = new.name;
        current.description = new.description;
        Ok(current.clone())
    }

    async fn assistant(&self, scope: &Scope, id: AssistantId) -> Result<Option<Assistant>> {
        Ok(self.state().assistants.get(&key(scope, id)).and_then(|row| visible(row, scope)).cloned())
    }

    async fn update_assistant(&self, scope: &Scope, id: AssistantId, patch: AssistantPatch) -> Result<Assistant> {
        let mut state = self.state();
        let row = state.assistant_mut("assistants.update", scope, id)?;
        let current = row.in_force().cloned().ok_or_else(|| missing_version("assistants.update", row.version))?;
        let version = row.versions.keys().next_back().map_or(1, |highest| highest + 1);
        let patched = assistant::patched(current, version, patch, self.now());
        row.versions.insert(version, patched.clone());
        row.version = version;
        Ok(patched)
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
        state.remove_crons_of(&scope.tenant, id);
        let mut gone = Vec::new();
        if let Some(shown) = threads {
            let text = id.to_string();
            let named = |metadata: &JsonMap| metadata.get("assistant_id").and_then(|id| id.as_str()) == Some(&text);
            gone = state
                .threads
                .iter()
                .filter(|(_, row)| row.visible(shown) && named(&row.thread.metadata))
                .map(|(id, _)| *id)
                .collect();
            let runs: Vec<_> = gone.iter().flat_map(|id| state.remove_thread(*id)).collect();
            self.stop_deleted(&runs);
        }
        let of_it = |row: &RunRow| row.tenant == scope.tenant && row.run.assistant_id == id;
        let stopped = state.stop(InFlight::All, of_it, &run::assistant_deleted(), self.now());
        Ok(DeletedAssistant { threads: gone, ended: self.tell(stopped).ended })
    }

    async fn search_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<Page<Assistant>> {
        let state = self.state();
        assistant::search(state.assistants_of(scope), query)
    }

    async fn count_assistants(&self, scope: &Scope, query: &AssistantQuery) -> Result<u64> {
        let state = self.state();
        Ok(assistant::found(state.assistants_of(scope), query).count() as u64)
    }

    async fn assistant_versions(
        &self,
        scope: &Scope,
        id: AssistantId,
        query: &AssistantVersionQuery,
    ) -> Result<Vec<Assistant>> {
        let state = self.state();
        let row = state.assistants.get(&key(scope, id)).filter(|row| visible(row, scope).is_some());
        let versions = row.into_iter().flat_map(|row| row.versions.values().rev());
        let found = versions.filter(|version| contains_all(&version.metadata, &query.metadata));
        Ok(found.skip(query.offset as usize).take(query.limit as usize).cloned().collect())
    }

    async fn set_latest_assistant(&self, scope: &Scope, id: AssistantId, version: i64) -> Result<Assistant> {
        let mut state = self.state();
        let row = state.assistant_mut("assistants.set_latest", scope, id)?;
        let wanted = row.versions.get_mut(&version).ok_or_else(|| missing_version("assistants.set_latest", version))?;
        wanted.updated_at = self.now();
        row.version = version;
        Ok(wanted.clone())
    }
}

fn taken(operation: &'static str, id: AssistantId) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, format!("assistant {id} exists already"))
}

fn missing_version(operation: &'static str, version: i64) -> Error {
    Error::not_found(operation, format!("the assistant has no version {version}"))
}
