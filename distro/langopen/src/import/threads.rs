//! Imports threads with their checkpoints.

use std::collections::HashMap;

use langopen_core::model::{CheckpointKey, IfExists, NewCheckpoint, NewThread, PendingWrites};
use langopen_core::{AssistantId, ErrorKind, JsonMap, RawJson, Scope, Storage, Tenant, ThreadId};
use serde_json::Value;
use uuid::Uuid;

use super::checkpoint::{Damaged, Document};
use super::error::ImportError;
use super::report::Report;
use super::source::{CheckpointRow, Reader};
use crate::cli::{ImportOptions, OtherThreadIds};

/// The metadata key that holds a thread's original id.
const IMPORTED_ID: &str = "imported_thread_id";

/// The target of the threads, and the options of the import.
pub(super) struct Threads<'a> {
    pub(super) storage: &'a dyn Storage,
    pub(super) scope: Scope,
    pub(super) options: &'a ImportOptions,
    pub(super) report: &'a Report,
}

/// Why a thread was not imported.
enum Failure {
    /// This thread is damaged. Other threads may succeed.
    Thread(String),
    /// The source or the target failed, so that no thread can succeed.
    Everything(ImportError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Everything(error.into())
    }
}

impl From<langopen_core::Error> for Failure {
    fn from(error: langopen_core::Error) -> Self {
        Self::Everything(error.into())
    }
}

impl From<Damaged> for Failure {
    fn from(damaged: Damaged) -> Self {
        Self::Thread(damaged.to_string())
    }
}

/// The thread's id in the target. A UUID stays the same. From any other id the import derives a UUID, which is always
/// the same within a tenant.
pub(super) fn thread_id(tenant: &Tenant, id: &str) -> ThreadId {
    match own_uuid(id) {
        Some(own) => ThreadId(own),
        None => {
            let name = format!("langopen:thread:{}:{id}", tenant.as_str());
            ThreadId(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()))
        }
    }
}

fn own_uuid(id: &str) -> Option<Uuid> {
    // Other forms of a UUID (in braces, without hyphens) count as ordinary text.
    id.parse().ok().filter(|_| id.len() == 36)
}

impl Threads<'_> {
    /// Imports those parts of a thread that the target lacks.
    ///
    /// # Errors
    /// If the import cannot continue with other threads either.
    pub(super) async fn take(&self, reader: &mut Reader<'_>, id: &str) -> Result<(), ImportError> {
        if own_uuid(id).is_none() && self.options.other_thread_ids == OtherThreadIds::Skip {
            self.report.skipped.add(1);
            return Ok(());
        }
        match self.copy(reader, id).await {
            Ok(()) => self.report.threads.add(1),
            Err(Failure::Thread(why)) => self.report.failed(format_args!("thread {id:?}"), why),
            Err(Failure::Everything(error)) => return Err(error),
        }
        Ok(())
    }

    async fn copy(&self, reader: &mut Reader<'_>, id: &str) -> Result<(), Failure> {
        let thread_id = thread_id(&self.scope.tenant, id);
        let fresh = self.storage.thread(&self.scope, thread_id).await?.is_none();
        if fresh {
            let new = NewThread { thread_id, metadata: self.metadata(reader, id).await?, ttl: None };
            match self.storage.create_thread(&self.scope, new, IfExists::DoNothing).await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    return Err(Failure::Thread(format!("{thread_id} already is a thread of another deployment")));
                }
                created => created.map(drop)?,
            }
        }
        for (checkpoint_ns, newest) in reader.namespaces(id).await? {
            let key = |checkpoint_id: String| CheckpointKey {
                thread_id,
                checkpoint_ns: checkpoint_ns.clone(),
                checkpoint_id: Some(checkpoint_id),
            };
            // Checkpoints are written oldest first, each in one step. If the newest one exists, all of them do.
            if !fresh && self.storage.checkpoint(&self.scope, &key(newest)).await?.is_some() {
                self.report.present.add(1);
                continue;
            }
            self.copy_namespace(reader, (id, &checkpoint_ns), thread_id, fresh).await?;
        }
        Ok(())
    }

    async fn copy_namespace(
        &self,
        reader: &mut Reader<'_>,
        at: (&str, &str),
        thread_id: ThreadId,
        fresh: bool,
    ) -> Result<(), Failure> {
        let mut after = String::new();
        // The channel versions of the checkpoint before. The same version of a channel holds the same value.
        let mut known: HashMap<String, String> = HashMap::new();
        loop {
            let rows = reader.checkpoints(at, &after).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(&last.checkpoint_id);
            for row in rows {
                let checkpoint_id = Some(row.checkpoint_id.clone());
                let key = CheckpointKey { thread_id, checkpoint_ns: at.1.to_owned(), checkpoint_id };
                if !fresh && self.storage.checkpoint(&self.scope, &key).await?.is_some() {
                    self.report.present.add(1);
                    continue;
                }
                let of = |damaged: Damaged| Failure::Thread(format!("checkpoint {}: {damaged}", row.checkpoint_id));
                let new = self.checkpoint(reader, at, &row, &known).await?.map_err(of)?;
                self.copy_writes(reader, at, thread_id, &row.checkpoint_id).await?;
                known = new.channel_versions.iter().cloned().collect();
                self.storage.put_checkpoint(&self.scope, NewCheckpoint { thread_id, ..new }).await?;
                self.report.checkpoints.add(1);
            }
        }
    }

    /// Builds a checkpoint with the blobs that are not in `known`.
    async fn checkpoint(
        &self,
        reader: &mut Reader<'_>,
        at: (&str, &str),
        row: &CheckpointRow,
        known: &HashMap<String, String>,
    ) -> Result<Result<NewCheckpoint, Damaged>, Failure> {
        let mut document = match Document::read(&row.document) {
            Ok(document) => document,
            Err(damaged) => return Ok(Err(damaged)),
        };
        let is_new = |(channel, version): &&(String, String)| known.get(channel) != Some(version);
        let wanted: Vec<_> = document.versions().iter().filter(is_new).cloned().collect();
        let mut blobs = reader.blobs(at, &wanted).await?;
        let mut sends = Vec::new();
        if let Some(parent) = row.parent_checkpoint_id.as_deref().filter(|_| document.lacks_sends()) {
            sends = reader.sends(at.0, parent).await?;
        }
        Ok((|| {
            blobs.extend(document.inline_blobs(&wanted, &blobs)?);
            if !sends.is_empty() {
                blobs.push(document.take_sends(&sends)?);
            }
            blobs.iter().for_each(|blob| self.report.note_kind(&blob.kind));
            let (kind, bytes) = document.encoded()?;
            Ok(NewCheckpoint {
                thread_id: thread_id(&self.scope.tenant, at.0),
                checkpoint_ns: at.1.to_owned(),
                checkpoint_id: row.checkpoint_id.clone(),
                parent_checkpoint_id: row.parent_checkpoint_id.clone(),
                run_id: None,
                attempt: None,
                kind,
                bytes,
                metadata: self.checkpoint_metadata(at.0, &row.metadata)?,
                channel_versions: document.versions().to_vec(),
                blobs,
            })
        })())
    }

    /// Copies the writes before their checkpoint, so that an existing checkpoint is always complete.
    async fn copy_writes(
        &self,
        reader: &mut Reader<'_>,
        at: (&str, &str),
        thread_id: ThreadId,
        checkpoint_id: &str,
    ) -> Result<(), Failure> {
        for task in reader.writes(at, checkpoint_id).await? {
            let count = task.writes.len();
            task.writes.iter().for_each(|write| self.report.note_kind(&write.kind));
            let writes = PendingWrites {
                thread_id,
                checkpoint_ns: at.1.to_owned(),
                checkpoint_id: checkpoint_id.to_owned(),
                run_id: None,
                attempt: None,
                task_path: task.task_path,
                writes: task.writes,
            };
            self.storage.put_writes(&self.scope, writes).await?;
            self.report.writes.add(count);
        }
        Ok(())
    }

    /// A checkpoint's metadata, with the thread's new id if that differs from the original one.
    fn checkpoint_metadata(&self, id: &str, text: &str) -> Result<RawJson, Damaged> {
        let damaged = |error: serde_json::Error| Damaged(format!("its metadata are damaged: {error}"));
        let own = own_uuid(id).is_some();
        let mut metadata: JsonMap = serde_json::from_str(text).map_err(damaged)?;
        match metadata.get_mut("thread_id") {
            Some(held) if !own => *held = thread_id(&self.scope.tenant, id).to_string().into(),
            _ => return RawJson::from_text(text.to_owned()).map_err(damaged),
        }
        RawJson::of(&metadata).map_err(damaged)
    }

    /// A thread's metadata, from the metadata of its checkpoints.
    async fn metadata(&self, reader: &mut Reader<'_>, id: &str) -> Result<JsonMap, sqlx::Error> {
        let mut metadata = JsonMap::new();
        for key in &self.options.metadata_keys {
            if let Some(value) = held(reader, id, key).await? {
                metadata.insert(key.clone(), value);
            }
        }
        let named = match &self.options.graph_key {
            Some(key) => held(reader, id, key).await?.as_ref().and_then(Value::as_str).map(str::to_owned),
            None => None,
        };
        if let Some(graph_id) = named.or_else(|| self.options.graph.clone()) {
            metadata.insert("graph_id".to_owned(), graph_id.as_str().into());
            metadata.insert("assistant_id".to_owned(), AssistantId::system(&graph_id).to_string().into());
        }
        if own_uuid(id).is_none() {
            metadata.insert(IMPORTED_ID.to_owned(), id.into());
        }
        Ok(metadata)
    }
}

async fn held(reader: &mut Reader<'_>, id: &str, key: &str) -> Result<Option<Value>, sqlx::Error> {
    Ok(reader.metadata(id, key).await?.and_then(|text| serde_json::from_str(&text).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_no_uuids_always_become_the_same_ones() {
        let tenant = Tenant::default();
        let uuid = "1F0A2B3C-0000-4000-8000-00000000000a";
        assert_eq!(thread_id(&tenant, uuid).to_string(), uuid.to_lowercase());
        let made = thread_id(&tenant, "user-1");
        assert_eq!(made, thread_id(&tenant, "user-1"));
        assert_ne!(made, thread_id(&Tenant::parse("a/b/c").unwrap(), "user-1"));
        assert_ne!(made, thread_id(&tenant, "user-2"));
        assert!(own_uuid("1f0a2b3c000040008000000000000000").is_none());
    }
}
