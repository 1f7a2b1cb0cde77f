//! Detects which tables the source has, and which version of each.

use std::collections::HashSet;

use sqlx::{PgConnection, Row};

use super::error::ImportError;

/// A required column that the source lacks.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
}

/// The columns that the import always reads.
const NEEDED: [(&str, &[&str]); 5] = [
    ("checkpoints", &["thread_id", "checkpoint_ns", "checkpoint", "metadata"]),
    ("checkpoint_blobs", &["thread_id", "checkpoint_ns", "channel", "type", "blob"]),
    (
        "checkpoint_writes",
        &["thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "idx", "channel", "type", "blob"],
    ),
    ("store", &["prefix", "key", "value", "updated_at"]),
    ("store_vectors", &["prefix", "key", "field_name", "embedding"]),
];

/// Which tables the source has, and which version of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Whether the source has checkpoints.
    pub(super) threads: bool,
    /// Whether a `ShallowPostgresSaver` wrote the source: it has only the newest checkpoint of each namespace, and
    /// blobs have no versions.
    pub(super) shallow: bool,
    /// Whether writes record the paths of their tasks, as they do since version 2.0.16 of the saver.
    pub(super) task_path: bool,
    /// Whether the source has store items.
    pub(super) items: bool,
    /// Whether items may expire.
    pub(super) ttl: bool,
    /// Whether items have vectors.
    pub(super) vectors: bool,
}

impl Layout {
    /// Inspects the source's tables, within its search path.
    pub(super) async fn of(source: &mut PgConnection) -> Result<Self, ImportError> {
        let rows = sqlx::query(
            "SELECT c.relname::text, a.attname::text FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
             WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid IN (to_regclass('checkpoints')::oid,
                to_regclass('checkpoint_blobs')::oid, to_regclass('checkpoint_writes')::oid, to_regclass('store')::oid,
                to_regclass('store_vectors')::oid)",
        );
        let rows = rows.fetch_all(source).await?;
        let columns = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        Self::from_columns(&columns.collect::<Result<_, sqlx::Error>>()?)
    }

    fn from_columns(columns: &HashSet<(String, String)>) -> Result<Self, ImportError> {
        let has = |table: &str, column: &str| columns.contains(&(table.to_owned(), column.to_owned()));
        let found = |table: &str| columns.iter().any(|(known, _)| known == table);
        let threads = found("checkpoints");
        let layout = Self {
            threads,
            shallow: threads && !has("checkpoints", "checkpoint_id"),
            task_path: has("checkpoint_writes", "task_path"),
            items: found("store"),
            ttl: has("store", "expires_at") && has("store", "ttl_minutes"),
            vectors: found("store") && found("store_vectors"),
        };
        if !layout.threads && !layout.items {
            return Err(ImportError::NoTables);
        }
        for (table, needed) in NEEDED {
            let is_read = if table.starts_with("checkpoint") { threads } else { found(table) };
            if let Some(column) = needed.iter().find(|column| is_read && !has(table, column)) {
                return Err(ImportError::Layout(Missing { table, column }));
            }
        }
        Ok(layout)
    }

    /// The SQL expression of a checkpoint's id.
    pub(super) fn checkpoint_id(self) -> &'static str {
        if self.shallow { "(checkpoint ->> 'id')" } else { "checkpoint_id" }
    }

    /// The SQL expression of the id of a checkpoint's parent.
    pub(super) fn parent_id(self) -> &'static str {
        if self.shallow { "NULL::text" } else { "parent_checkpoint_id" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(tables: &[(&str, &str)]) -> Result<Layout, ImportError> {
        let columns = tables.iter().flat_map(|(table, columns)| {
            columns.split(' ').map(|column| ((*table).to_owned(), column.to_owned())).collect::<Vec<_>>()
        });
        Layout::from_columns(&columns.collect())
    }

    #[test]
    fn layouts_are_recognized_by_their_columns() {
        let checkpoints = "thread_id checkpoint_ns checkpoint_id parent_checkpoint_id type checkpoint metadata";
        let blobs = ("checkpoint_blobs", "thread_id checkpoint_ns channel version type blob");
        let writes = "thread_id checkpoint_ns checkpoint_id task_id idx channel type blob";
        let old = layout(&[("checkpoints", checkpoints), blobs, ("checkpoint_writes", writes)]).unwrap();
        assert!(old.threads && !old.shallow && !old.task_path && !old.items);
        let new_writes = format!("{writes} task_path");
        let new = layout(&[("checkpoints", checkpoints), blobs, ("checkpoint_writes", &new_writes)]).unwrap();
        assert!(new.task_path);
        let shallow = layout(&[
            ("checkpoints", "thread_id checkpoint_ns type checkpoint metadata"),
            ("checkpoint_blobs", "thread_id checkpoint_ns channel type blob"),
            ("checkpoint_writes", writes),
        ]);
        assert!(shallow.unwrap().shallow);
        let items = layout(&[("store", "prefix key value created_at updated_at")]).unwrap();
        assert!(items.items && !items.ttl && !items.vectors && !items.threads);
        assert!(matches!(layout(&[]), Err(ImportError::NoTables)));
        let lacking = layout(&[("checkpoints", checkpoints), ("checkpoint_writes", writes)]);
        assert!(matches!(lacking, Err(ImportError::Layout(Missing { table: "checkpoint_blobs", .. }))));
    }
}
