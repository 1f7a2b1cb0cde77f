//! Stores a graph's checkpoints and writes at the right moments.

use langopen_core::error::Result;

use super::checkpoint::{Pending, encoded_writes};
use super::plan::{NO_TASK, Write, index_of};
use super::steps::Level;

impl Level {
    /// Makes a checkpoint of the state.
    pub(super) async fn put(&mut self, source: &str) -> Result<()> {
        self.previous = self.current_id();
        self.saved.checkpoint.renew(self.shared.clock.as_ref());
        self.saved.metadata = self.shared.metadata(source, self.step, &self.parents);
        self.saved.parent_id.clone_from(&self.stored);
        if self.shared.stores_steps() {
            self.store_checkpoint().await?;
        }
        self.step += 1;
        Ok(())
    }

    fn current_id(&self) -> Option<String> {
        (!self.saved.metadata.is_empty()).then(|| self.saved.checkpoint.id.clone())
    }

    async fn store_checkpoint(&mut self) -> Result<()> {
        let new = self.saved.encoded(&self.shared.location(&self.namespace), &self.known)?;
        self.shared.events_are_stored().await;
        self.shared.storage.put_checkpoint(new).await?;
        self.known.clone_from(&self.saved.checkpoint.versions);
        self.stored = Some(self.saved.checkpoint.id.clone());
        Ok(())
    }

    /// Stores the last checkpoint and its writes, if they are not stored yet.
    pub(super) async fn store_end(&mut self) -> Result<()> {
        if self.saved.metadata.is_empty() {
            return Ok(());
        }
        if self.stored.as_ref() != Some(&self.saved.checkpoint.id) {
            self.store_checkpoint().await?;
        }
        let mut tasks: Vec<(&str, Vec<Write>)> = Vec::new();
        for Pending { task_id, write } in &self.saved.pending {
            match tasks.iter_mut().find(|(held, _)| held == task_id) {
                Some((_, writes)) => writes.push(write.clone()),
                None => tasks.push((task_id, vec![write.clone()])),
            }
        }
        for (task_id, writes) in tasks {
            let path = self.tasks.iter().find(|task| task.id == task_id).map_or("", |task| task.path.as_str());
            self.store_writes(task_id, path, &writes).await?;
        }
        Ok(())
    }

    /// Records the writes of a task, so that the task need not run again if its step does not complete.
    pub(super) async fn put_writes(&mut self, task_id: &str, path: &str, writes: &[Write]) -> Result<()> {
        let replaced = |pending: &Pending| {
            pending.task_id == task_id
                && index_of(&pending.write.channel).is_some()
                && writes.iter().any(|write| write.channel == pending.write.channel)
        };
        self.saved.pending.retain(|pending| !replaced(pending));
        let new = writes.iter().map(|write| Pending { task_id: task_id.to_owned(), write: write.clone() });
        self.saved.pending.extend(new);
        if !self.shared.stores_steps() {
            return Ok(());
        }
        if task_id != NO_TASK {
            return self.store_writes(task_id, path, writes).await;
        }
        // Writes of several commands at one checkpoint accumulate, so each write must retain its index.
        let own =
            self.saved.pending.iter().filter(|pending| pending.task_id == NO_TASK).map(|pending| pending.write.clone());
        let (special, mut all): (Vec<_>, Vec<_>) = own.partition(|write| index_of(&write.channel).is_some());
        all.extend(special);
        self.store_writes(task_id, path, &all).await
    }

    async fn store_writes(&self, task_id: &str, path: &str, writes: &[Write]) -> Result<()> {
        let location = self.shared.location(&self.namespace);
        let rows = encoded_writes(&location, &self.saved.checkpoint.id, task_id, path, writes)?;
        self.shared.events_are_stored().await;
        self.shared.storage.put_writes(rows).await
    }
}
