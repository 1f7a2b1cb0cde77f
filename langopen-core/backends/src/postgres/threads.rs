use async_trait::async_trait;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::RawJson;
use langopen_core::model::{
    IfExists, NewThread, Page, PruneStrategy, PrunedThreads, Thread, ThreadPatch, ThreadQuery, ThreadState,
    ThreadStatus, ThreadStorage,
};
use langopen_core::storage::Threads;
use langopen_core::tenant::Scope;

use super::Postgres;
use super::checkpoint_rows;
use super::columns::{self, Context, get};
use super::session::transaction;
use super::thread_rows::{self, Lock, not_found};
use super::{thread_prune, thread_search};
use crate::rules::documents::{merge, passes};
use crate::rules::thread::{self, StateChange, ThreadChange};

fn taken(operation: &'static str, id: ThreadId) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, format!("thread {id} exists already"))
}

impl Postgres {
    async fn remove_thread(&self, scope: &Scope, id: ThreadId) -> Result<Vec<RunId>> {
        const OPERATION: &str = "threads.delete";
        transaction!(self, OPERATION, |db| {
            thread_rows::must_be_visible(OPERATION, db, scope, id, Lock::Remove).await?;
            let runs = thread_rows::in_flight(OPERATION, db, &[id]).await?;
            thread_rows::remove(OPERATION, db, &[id]).await?;
            Ok(runs)
        })
        .await
    }
}

#[async_trait]
impl Threads for Postgres {
    async fn create_thread(&self, scope: &Scope, new: NewThread, if_exists: IfExists) -> Result<Thread> {
        const OPERATION: &str = "threads.create";
        let (id, now) = (new.thread_id, self.now());
        let thread = thread::row(id, new.metadata, Default::default(), new.ttl, now);
        let mut db = self.session(OPERATION).await?;
        if thread_rows::insert(OPERATION, &mut db, &scope.tenant, &thread).await? {
            return db.done(OPERATION).await.map(|()| thread);
        }
        let there = match if_exists {
            IfExists::DoNothing => thread_rows::visible(OPERATION, &mut db, scope, id, Lock::None).await?,
            IfExists::Raise => None,
        };
        there.ok_or_else(|| taken(OPERATION, id))
    }

    async fn thread(&self, scope: &Scope, id: ThreadId) -> Result<Option<Thread>> {
        const OPERATION: &str = "threads.get";
        thread_rows::visible(OPERATION, &mut *self.session(OPERATION).await?, scope, id, Lock::None).await
    }

    async fn update_thread(&self, scope: &Scope, id: ThreadId, patch: ThreadPatch) -> Result<Thread> {
        const OPERATION: &str = "threads.update";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            let thread = thread_rows::visible(OPERATION, db, scope, id, Lock::Change).await?;
            let mut thread = thread.ok_or_else(|| not_found(OPERATION, id))?;
            merge(&mut thread.metadata, patch.metadata.clone());
            thread.ttl = patch.ttl.or(thread.ttl);
            thread.updated_at = now;
            thread_rows::set_patched(OPERATION, db, &thread).await?;
            Ok(thread)
        })
        .await
    }

    async fn delete_thread(&self, scope: &Scope, id: ThreadId) -> Result<Vec<RunId>> {
        let gone = self.remove_thread(scope, id).await?;
        self.stop_deleted(&gone);
        Ok(gone)
    }

    async fn search_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<Page<Thread>> {
        thread_search::search(self, scope, query).await
    }

    async fn count_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<u64> {
        thread_search::count(self, scope, query).await
    }

    async fn copy_thread(&self, scope: &Scope, source: ThreadId, new: ThreadId) -> Result<Thread> {
        const OPERATION: &str = "threads.copy";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            let there = thread_rows::visible(OPERATION, db, scope, source, Lock::Change).await?;
            let there = there.ok_or_else(|| not_found(OPERATION, source))?;
            let mut copy = thread::row(new, there.metadata, there.config, there.ttl, now);
            copy.values = there.values;
            if !thread_rows::insert(OPERATION, db, &scope.tenant, &copy).await? {
                return Err(taken(OPERATION, new));
            }
            checkpoint_rows::copy(OPERATION, db, source, new).await?;
            Ok(copy)
        })
        .await
    }

    async fn thread_storage(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadStorage>> {
        const OPERATION: &str = "threads.storage";
        let mut db = self.session(OPERATION).await?;
        match thread_rows::is_visible(OPERATION, &mut db, scope, id, Lock::None).await? {
            true => checkpoint_rows::volumes(OPERATION, &mut db, id).await.map(Some),
            false => Ok(None),
        }
    }

    async fn prune_threads(&self, scope: &Scope, ids: &[ThreadId], strategy: PruneStrategy) -> Result<PrunedThreads> {
        const OPERATION: &str = "threads.prune";
        let mut done = PrunedThreads::default();
        for ids in ids.chunks(thread_prune::AT_ONCE) {
            let now = self.now();
            let pruned = transaction!(self, OPERATION, |db| {
                let found = thread_prune::prunable(OPERATION, db, scope, ids).await?;
                let wanted = found.into_iter().map(|id| (id, strategy)).collect();
                let pruned = thread_prune::prune(OPERATION, db, wanted, now).await?;
                Ok(pruned)
            });
            let PrunedThreads { deleted, cut } = pruned.await?;
            done.deleted.extend(deleted);
            done.cut.extend(cut);
        }
        Ok(done)
    }

    async fn sweep_threads(&self, limit: u32) -> Result<PrunedThreads> {
        const OPERATION: &str = "threads.sweep";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            let expired = thread_prune::expired(OPERATION, db, now, limit).await?;
            let pruned = thread_prune::prune(OPERATION, db, expired, now).await?;
            Ok(pruned)
        })
        .await
    }

    async fn latest_state(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadState>> {
        const OPERATION: &str = "threads.latest_state";
        let row = sqlx::query(
            "SELECT metadata, state_checkpoint_id, state_rest, \"values\" FROM threads t
             WHERE thread_id = $1 AND tenant = $2 AND \"values\" IS NOT NULL AND state_checkpoint_id =
                (SELECT checkpoint_id FROM checkpoints c WHERE c.thread_id = t.thread_id AND checkpoint_ns = ''
                 ORDER BY position DESC LIMIT 1)",
        );
        let row = row.bind(id.0).bind(scope.tenant.as_str());
        let row = row.fetch_optional(&mut *self.session(OPERATION).await?).await.context(OPERATION)?;
        let Some(row) = row else { return Ok(None) };
        if !passes(scope, &columns::json(&row, "metadata")?) {
            return Ok(None);
        }
        let (values, rest) = (columns::raw(&row, "values")?, columns::raw(&row, "state_rest")?);
        Ok(Some(ThreadState { checkpoint_id: get(&row, "state_checkpoint_id")?, values, rest }))
    }

    async fn set_thread_state(
        &self,
        scope: &Scope,
        id: ThreadId,
        status: ThreadStatus,
        interrupts: RawJson,
        state: ThreadState,
    ) -> Result<Thread> {
        const OPERATION: &str = "threads.set_state";
        let now = self.now();
        transaction!(self, OPERATION, |db| {
            let there = thread_rows::visible(OPERATION, db, scope, id, Lock::Change).await?;
            let mut thread = there.ok_or_else(|| not_found(OPERATION, id))?;
            if !thread_rows::in_flight(OPERATION, db, &[id]).await?.is_empty() {
                return Err(Error::conflict(OPERATION, format!("a run is in flight on thread {id}")));
            }
            let change = ThreadChange {
                status,
                error: thread.error.clone(),
                interrupts: interrupts.clone(),
                values: Some(state.values.clone()),
                state: StateChange::Set { checkpoint_id: state.checkpoint_id.clone(), rest: state.rest.clone() },
            };
            thread_rows::apply(OPERATION, db, id, &change, now).await?;
            (thread.status, thread.updated_at, thread.state_updated_at) = (change.status, now, now);
            (thread.interrupts, thread.values) = (Some(change.interrupts), change.values);
            Ok(thread)
        })
        .await
    }
}
