//! The database that an import writes to.

use std::path::Path;
use std::sync::Arc;

use langopen_core::Storage;

use crate::cli::ImportOptions;
use crate::database::{DataStore, Database};
use crate::error::CommandError;
use crate::up::data::DataFolder;

/// A LangOpen database.
pub(super) struct Target {
    database: Database,
    /// The locked data folder: no server may use it during the import.
    _data: Option<DataFolder>,
}

impl Target {
    pub(super) async fn open(options: &ImportOptions) -> Result<Self, CommandError> {
        match DataStore::of(options.database()?.as_deref(), None)? {
            DataStore::Sqlite => {
                let data = DataFolder::hold(options.data.clone())?;
                let database = Database::open(DataStore::Sqlite, &data.database()?).await?;
                Ok(Self { database, _data: Some(data) })
            }
            DataStore::Memory => Err(CommandError::Setting {
                name: "--database",
                why: "data in memory is lost when this command ends".to_owned(),
            }),
            backend => Ok(Self { database: Database::open(backend, Path::new("")).await?, _data: None }),
        }
    }

    pub(super) fn storage(&self) -> Arc<dyn Storage> {
        self.database.storage()
    }

    pub(super) async fn close(self) {
        self.database.close().await;
    }
}
