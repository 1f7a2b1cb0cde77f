//! Where an import goes.

use std::sync::Arc;

use langopen_core::Storage;

use crate::cli::ImportOptions;
use crate::error::CommandError;
use crate::up::data::DataFolder;
use crate::up::database::Database;

/// A database of ours.
pub(super) struct Target {
    database: Database,
    /// Held until the end: no server may work on it meanwhile.
    _data: DataFolder,
}

impl Target {
    pub(super) async fn open(options: &ImportOptions) -> Result<Self, CommandError> {
        if options.database.is_some() {
            return Err(CommandError::OptionUnavailable { option: "database" });
        }
        let data = DataFolder::hold(options.data.clone())?;
        let database = Database::open(false, &data.database()).await?;
        Ok(Self { database, _data: data })
    }

    pub(super) fn storage(&self) -> Arc<dyn Storage> {
        self.database.storage()
    }

    pub(super) async fn close(self) {
        self.database.close().await;
    }
}
