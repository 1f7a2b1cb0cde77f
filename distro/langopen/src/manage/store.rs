//! Opens the database of an installation while other processes serve it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use langopen_backends::sqlite::{Sqlite, SqliteOptions};
use langopen_core::storage::{ApiKeys, Deployments};

use crate::database::{DataStore, Database};
use crate::error::CommandError;
use crate::secret_file;

/// The installation.
#[derive(Debug, Clone, Args)]
pub(crate) struct StoreOptions {
    /// The installation's database, as postgres://USER:PASSWORD@HOST/DATABASE.
    #[arg(long, env = "LANGOPEN_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// A file with the URL of --database.
    #[arg(long, env = "LANGOPEN_DATABASE_URL_FILE", value_name = "FILE", conflicts_with = "database")]
    database_file: Option<PathBuf>,
    /// The data folder of `langopen up`, if there is no --database. The server may be running.
    #[arg(long, env = "LANGOPEN_DATA", default_value = ".langopen", value_name = "DIR")]
    data: PathBuf,
}

/// An open database.
pub(super) enum Store {
    /// A SQLite file that a running server may have open.
    Beside(Sqlite),
    /// A database that processes share.
    Shared(Database),
}

impl StoreOptions {
    fn database(&self) -> Result<Option<String>, CommandError> {
        secret_file::value_or_file(self.database.as_ref(), "--database-file", self.database_file.as_deref())
    }

    pub(super) async fn open(&self) -> Result<Store, CommandError> {
        match DataStore::of(self.database()?.as_deref(), None)? {
            DataStore::Sqlite => {
                let path = self.data.join("langopen.db");
                if !path.is_file() {
                    return Err(CommandError::NoDatabase { path });
                }
                Ok(Store::Beside(Sqlite::open(&path, SqliteOptions::default().beside_owner()).await?))
            }
            DataStore::Memory => Err(CommandError::Setting {
                name: "--database",
                why: "this command cannot reach data in the memory of another process".to_owned(),
            }),
            backend => Ok(Store::Shared(Database::open(backend, Path::new("")).await?)),
        }
    }
}

impl Store {
    pub(super) fn deployments(&self) -> Arc<dyn Deployments> {
        match self {
            Self::Beside(sqlite) => Arc::new(sqlite.clone()),
            Self::Shared(database) => database.deployments(),
        }
    }

    pub(super) fn api_keys(&self) -> Arc<dyn ApiKeys> {
        match self {
            Self::Beside(sqlite) => Arc::new(sqlite.clone()),
            Self::Shared(database) => database.api_keys(),
        }
    }

    pub(super) async fn close(self) {
        match self {
            Self::Beside(sqlite) => sqlite.close().await,
            Self::Shared(database) => database.close().await,
        }
    }
}
