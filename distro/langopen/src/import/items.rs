//! Items of the long-term store.

use langopen_core::model::{FieldVector, ItemReadOptions, NewStoreItem};
use langopen_core::{RawJson, Scope, Storage};

use super::error::ImportError;
use super::report::Report;
use super::source::{ItemRow, Source, Totals};

/// Imports the items that the target lacks. The least recently updated ones come first, so that their order stays the
/// same.
pub(super) async fn take_items(
    source: &mut Source,
    (storage, scope): (&dyn Storage, &Scope),
    report: &Report,
    totals: &Totals,
) -> Result<(), ImportError> {
    source.open_items().await?;
    loop {
        let rows = source.next_items().await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let vectors = source.vectors(&row).await?;
            take_item(row, vectors, (storage, scope), report).await?;
            report.progress(totals);
        }
    }
}

async fn take_item(
    row: ItemRow,
    vectors: Vec<(String, Vec<f32>)>,
    (storage, scope): (&dyn Storage, &Scope),
    report: &Report,
) -> Result<(), ImportError> {
    let namespace: Vec<String> = row.prefix.split('.').map(str::to_owned).collect();
    if storage.item(scope, &namespace, &row.key, ItemReadOptions::default()).await?.is_some() {
        report.present.add(1);
        return Ok(());
    }
    let value = match RawJson::from_text(row.value) {
        Ok(value) if value.as_str().starts_with('{') => value,
        _ => {
            report.failed(format_args!("item {:?} of {}", row.key, row.prefix), "its value is not a JSON object");
            return Ok(());
        }
    };
    let count = vectors.len();
    let vectors = vectors.into_iter().map(|(path, vector)| FieldVector { path, vector }).collect();
    let new = NewStoreItem { namespace, key: row.key, value, ttl_minutes: row.ttl_minutes, vectors, lease: None };
    storage.put_item(scope, new).await?;
    report.items.add(1);
    report.vectors.add(count);
    Ok(())
}
