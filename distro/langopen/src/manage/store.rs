//! The database of an installation, beside the processes that serve it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use langopen_core::Storage;
use langopen_core::backend::sqlite::{Sqlite, SqliteOptions};

use crate::error::CommandError;

/// Which installation.
#[derive(Debug, Clone, Args)]
pub(crate) struct StoreOptions {
    /// The installation's database.
    #[arg(long, env = "LANGOPEN_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// The data folder of `langopen up`, if there is no --database. The server may be running.
    #[arg(long, env = "LANGOPEN_DATA", default_value = ".langopen", value_name = "DIR")]
    data: PathBuf,
}

/// An open database.
pub(super) struct Store {
    sqlite: Sqlite,
}

impl StoreOptions {
    pub(super) async fn open(&self) -> Result<Store, CommandError> {
        if self.database.is_some() {
            return Err(CommandError::OptionUnavailable { option: "database" });
        }
        let path = self.data.join("langopen.db");
        if !path.is_file() {
            return Err(CommandError::NoDatabase { path });
        }
        Ok(Store { sqlite: Sqlite::open(&path, SqliteOptions::default().beside_owner()).await? })
    }
}

impl Store {
    pub(super) fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.sqlite.clone())
    }

    pub(super) async fn close(self) {
        self.sqlite.close().await;
    }
}
