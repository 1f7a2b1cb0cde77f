use async_trait::async_trait;
use futures::FutureExt;
use langopen_core::error::{Error, ErrorKind, Result};
use langopen_core::ids::{RunId, ThreadId};
use langopen_core::json::RawJson;
use langopen_core::model::{
    IfExists, NewThread, Page, PruneStrategy, PrunedThreads, Thread, ThreadPatch, ThreadQuery, ThreadState,
    ThreadStatus, ThreadStorage,
};
use langopen_core::storage::Threads;
use langopen_core::tenant::Scope;
use sqlx::Row;

use super::Sqlite;
use super::checkpoint_rows;
use super::columns::{self, Context, get};
use super::thread_rows::{self, not_found};
use super::{thread_prune, thread_search};
use crate::rules::documents::{merge, passes};
use crate::rules::thread::{self, StateChange, ThreadChange};

fn taken(operation: &'static str, id: ThreadId) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, format!("thread {id} exists already"))
}

#[async_trait]
impl Threads for Sqlite {
    async fn create_thread(&self, scope: &Scope, new: NewThread, if_exists: IfExists) -> Result<Thread> {
        const OPERATION: &str = "threads.create";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                let id = new.thread_id;
                if thread_rows::exists(OPERATION, db, id).await? {
                    let there = match if_exists {
                        IfExists::DoNothing => thread_rows::visible(OPERATION, db, &scope, id).await?,
                        IfExists::Raise => None,
                    };
                    return there.ok_or_else(|| taken(OPERATION, id));
                }
                let thread = thread::row(id, new.metadata, Default::default(), new.ttl, now);
                thread_rows::insert(OPERATION, db, &scope.tenant, &thread).await?;
                Ok(thread)
            }
            .boxed()
        })
        .await
    }

    async fn thread(&self, scope: &Scope, id: ThreadId) -> Result<Option<Thread>> {
        thread_rows::visible("threads.get", self.readers(), scope, id).await
    }

    async fn update_thread(&self, scope: &Scope, id: ThreadId, patch: ThreadPatch) -> Result<Thread> {
        const OPERATION: &str = "threads.update";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                let thread = thread_rows::visible(OPERATION, &mut *db, &scope, id).await?;
                let mut thread = thread.ok_or_else(|| not_found(OPERATION, id))?;
                merge(&mut thread.metadata, patch.metadata);
                thread.ttl = patch.ttl.or(thread.ttl);
                thread.updated_at = now;
                thread_rows::set_patched(OPERATION, db, &thread).await?;
                Ok(thread)
            }
            .boxed()
        })
        .await
    }

    async fn delete_thread(&self, scope: &Scope, id: ThreadId) -> Result<Vec<RunId>> {
        const OPERATION: &str = "threads.delete";
        let scope = scope.clone();
        let gone = self.write_whole(OPERATION, move |db| {
            async move {
                thread_rows::must_be_visible(OPERATION, db, &scope, id).await?;
                let runs = thread_rows::in_flight(OPERATION, db, id).await?;
                thread_rows::remove(OPERATION, db, id).await?;
                Ok(runs)
            }
            .boxed()
        });
        let gone = gone.await?;
        self.stop_deleted(&gone);
        Ok(gone)
    }

    async fn search_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<Page<Thread>> {
        thread_search::search(self.readers(), scope, query).await
    }

    async fn count_threads(&self, scope: &Scope, query: &ThreadQuery) -> Result<u64> {
        thread_search::count(self.readers(), scope, query).await
    }

    async fn copy_thread(&self, scope: &Scope, source: ThreadId, new: ThreadId) -> Result<Thread> {
        const OPERATION: &str = "threads.copy";
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                let there = thread_rows::visible(OPERATION, &mut *db, &scope, source).await?;
                let there = there.ok_or_else(|| not_found(OPERATION, source))?;
                if thread_rows::exists(OPERATION, db, new).await? {
                    return Err(taken(OPERATION, new));
                }
                let mut copy = thread::row(new, there.metadata, there.config, there.ttl, now);
                copy.values = there.values;
                thread_rows::insert(OPERATION, db, &scope.tenant, &copy).await?;
                checkpoint_rows::copy(OPERATION, db, source, new).await?;
                Ok(copy)
            }
            .boxed()
        })
        .await
    }

    async fn thread_storage(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadStorage>> {
        const OPERATION: &str = "threads.storage";
        let mut db = self.readers().begin().await.context(OPERATION)?;
        match thread_rows::is_visible(OPERATION, &mut *db, scope, id).await? {
            true => checkpoint_rows::volumes(OPERATION, &mut db, id).await.map(Some),
            false => Ok(None),
        }
    }

    async fn prune_threads(&self, scope: &Scope, ids: &[ThreadId], strategy: PruneStrategy) -> Result<PrunedThreads> {
        const OPERATION: &str = "threads.prune";
        let mut done = PrunedThreads::default();
        for ids in ids.chunks(thread_prune::AT_ONCE) {
            let (scope, now) = (scope.clone(), self.now());
            let ids = columns::id_list(ids.iter().map(|id| id.0))?;
            let job = self.write(OPERATION, move |db| {
                async move {
                    let found = thread_prune::prunable(OPERATION, db, &scope, &ids).await?;
                    let wanted = found.into_iter().map(|id| (id, strategy)).collect();
                    thread_prune::prune(OPERATION, db, wanted, now).await
                }
                .boxed()
            });
            let PrunedThreads { deleted, cut } = job.await?;
            done.deleted.extend(deleted);
            done.cut.extend(cut);
        }
        Ok(done)
    }

    async fn sweep_threads(&self, limit: u32) -> Result<PrunedThreads> {
        const OPERATION: &str = "threads.sweep";
        let now = self.now();
        let job = self.write(OPERATION, move |db| {
            async move {
                let expired = thread_prune::expired(OPERATION, db, now, limit).await?;
                thread_prune::prune(OPERATION, db, expired, now).await
            }
            .boxed()
        });
        job.await
    }

    async fn latest_state(&self, scope: &Scope, id: ThreadId) -> Result<Option<ThreadState>> {
        let row = sqlx::query(
            "SELECT metadata, state_checkpoint_id, state_rest, \"values\" FROM threads t
             WHERE thread_id = ? AND tenant = ? AND \"values\" IS NOT NULL AND state_checkpoint_id =
                (SELECT checkpoint_id FROM checkpoints c WHERE c.thread_id = t.thread_id AND checkpoint_ns = ''
                 ORDER BY position DESC LIMIT 1)",
        );
        let row = row.bind(id.0).bind(scope.tenant.as_str()).fetch_optional(self.readers()).await;
        let Some(row) = row.context("threads.latest_state")? else { return Ok(None) };
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
        let (scope, now) = (scope.clone(), self.now());
        self.write(OPERATION, move |db| {
            async move {
                let there = thread_rows::visible(OPERATION, &mut *db, &scope, id).await?;
                let mut thread = there.ok_or_else(|| not_found(OPERATION, id))?;
                let in_flight = sqlx::query(
                    "SELECT EXISTS (SELECT 1 FROM runs WHERE thread_id = ?1 AND status = 'running')
                         OR EXISTS (SELECT 1 FROM runs WHERE thread_id = ?1 AND status = 'pending')",
                );
                let in_flight = in_flight.bind(id.0).fetch_one(&mut *db).await.context(OPERATION)?;
                if in_flight.try_get(0).context(OPERATION)? {
                    return Err(Error::conflict(OPERATION, format!("a run is in flight on thread {id}")));
                }
                let change = ThreadChange {
                    status,
                    error: thread.error.clone(),
                    interrupts,
                    values: Some(state.values),
                    state: StateChange::Set { checkpoint_id: state.checkpoint_id, rest: state.rest },
                };
                thread_rows::apply(OPERATION, db, id, &change, now).await?;
                (thread.status, thread.updated_at, thread.state_updated_at) = (change.status, now, now);
                (thread.interrupts, thread.values) = (Some(change.interrupts), change.values);
                Ok(thread)
            }
            .boxed()
        })
        .await
    }
}
