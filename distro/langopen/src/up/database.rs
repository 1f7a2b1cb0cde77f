//! Where data is kept: in the data folder's SQLite file, or in this process's memory.

use std::path::Path;
use std::sync::Arc;

use langopen_core::backend::memory::{Memory, MemoryEventLog};
use langopen_core::backend::sqlite::{Sqlite, SqliteOptions};
use langopen_core::outbox::Outbox;
use langopen_core::{EventLog, Queue, Result, Storage};

/// The value of `--database` that keeps everything in memory.
pub(crate) const IN_MEMORY: &str = "memory:";

/// The backends of one kind.
pub(crate) enum Database {
    /// One file.
    Sqlite(Sqlite),
    /// Gone with the process: for trials and tests.
    Memory(Arc<Memory>, Arc<MemoryEventLog>),
}

impl Database {
    pub(crate) async fn open(in_memory: bool, file: &Path) -> Result<Self> {
        Ok(match in_memory {
            true => Self::Memory(Arc::new(Memory::new()), Arc::new(MemoryEventLog::new())),
            false => Self::Sqlite(Sqlite::open(file, SqliteOptions::default()).await?),
        })
    }

    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        match self {
            Self::Sqlite(sqlite) => Arc::new(sqlite.clone()),
            Self::Memory(memory, _) => memory.clone(),
        }
    }

    pub(crate) fn queue(&self) -> Arc<dyn Queue> {
        match self {
            Self::Sqlite(sqlite) => Arc::new(sqlite.clone()),
            Self::Memory(memory, _) => memory.clone(),
        }
    }

    pub(crate) fn outbox(&self) -> Arc<dyn Outbox> {
        match self {
            Self::Sqlite(sqlite) => Arc::new(sqlite.clone()),
            Self::Memory(memory, _) => memory.clone(),
        }
    }

    pub(crate) fn events(&self) -> Arc<dyn EventLog> {
        match self {
            Self::Sqlite(sqlite) => Arc::new(sqlite.event_log()),
            Self::Memory(_, events) => events.clone(),
        }
    }

    pub(crate) async fn close(self) {
        if let Self::Sqlite(sqlite) = self {
            sqlite.close().await;
        }
    }
}
