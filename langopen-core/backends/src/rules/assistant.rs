//! The versions of assistants, and how a search selects and sorts assistants.

use std::cmp::Ordering;

use langopen_core::clock::Timestamp;
use langopen_core::error::Result;
use langopen_core::filter::contains_all;
use langopen_core::model::{Assistant, AssistantPatch, AssistantQuery, AssistantSort, NewAssistant, Page, SortOrder};

use super::documents::{cannot_sort, merge, page};

/// Version 1 of a new assistant.
pub fn first(new: NewAssistant, now: Timestamp) -> Assistant {
    Assistant {
        assistant_id: new.assistant_id,
        graph_id: new.graph_id,
        config: new.config,
        context: new.context,
        metadata: new.metadata,
        name: new.name,
        description: new.description,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// The version that results when the patch is applied to `current`.
pub fn patched(current: Assistant, version: i64, patch: AssistantPatch, now: Timestamp) -> Assistant {
    let mut metadata = current.metadata;
    merge(&mut metadata, patch.metadata.unwrap_or_default());
    Assistant {
        graph_id: patch.graph_id.unwrap_or(current.graph_id),
        config: patch.config.unwrap_or(current.config),
        context: patch.context.unwrap_or(current.context),
        metadata,
        name: patch.name.unwrap_or(current.name),
        description: patch.description.or(current.description),
        version,
        updated_at: now,
        ..current
    }
}

/// Whether an assistant matches the query. `name` is the query's name in lower case.
fn answers(assistant: &Assistant, query: &AssistantQuery, name: Option<&str>) -> bool {
    query.graph_id.as_ref().is_none_or(|graph_id| *graph_id == assistant.graph_id)
        && query.graphs.as_ref().is_none_or(|graphs| graphs.contains(&assistant.graph_id))
        && name.is_none_or(|name| assistant.name.to_lowercase().contains(name))
        && contains_all(&assistant.metadata, &query.metadata)
}

fn comparison(by: AssistantSort) -> Result<fn(&Assistant, &Assistant) -> Ordering> {
    Ok(match by {
        AssistantSort::AssistantId => |_, _| Ordering::Equal,
        AssistantSort::CreatedAt => |a, b| a.created_at.cmp(&b.created_at),
        AssistantSort::UpdatedAt => |a, b| a.updated_at.cmp(&b.updated_at),
        AssistantSort::Name => |a, b| a.name.to_lowercase().cmp(&b.name.to_lowercase()),
        AssistantSort::GraphId => |a, b| a.graph_id.to_lowercase().cmp(&b.graph_id.to_lowercase()),
        by => return Err(cannot_sort("assistants.search", by)),
    })
}

/// The assistants that match the query, unsorted.
pub fn found<'a>(
    assistants: impl Iterator<Item = &'a Assistant>,
    query: &AssistantQuery,
) -> impl Iterator<Item = &'a Assistant> {
    let name = query.name.as_ref().map(|name| name.to_lowercase());
    assistants.filter(move |each| answers(each, query, name.as_deref()))
}

/// Selects the matching assistants, sorts them and cuts out the page.
///
/// # Errors
/// - `Invalid`: the order is not known here.
pub fn search<'a>(assistants: impl Iterator<Item = &'a Assistant>, query: &AssistantQuery) -> Result<Page<Assistant>> {
    let compare = comparison(query.sort_by)?;
    let mut found: Vec<_> = found(assistants, query).collect();
    found.sort_by(|a, b| {
        let order = compare(a, b).then(a.assistant_id.cmp(&b.assistant_id));
        if query.sort_order == SortOrder::Desc { order.reverse() } else { order }
    });
    Ok(page(found.into_iter().cloned(), query.offset, query.limit))
}
