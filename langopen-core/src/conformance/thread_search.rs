//! Finding threads.

use serde_json::{Value, json};

use super::Backend;
use super::support::{SECOND, map, scope, state, thread_id};
use crate::ids::ThreadId;
use crate::model::{SortOrder, ThreadPatch, ThreadQuery, ThreadSort, ThreadStatus};

fn all() -> ThreadQuery {
    ThreadQuery { limit: 100, sort_by: ThreadSort::CreatedAt, sort_order: SortOrder::Asc, ..Default::default() }
}

async fn found(backend: &Backend, query: &ThreadQuery) -> (Vec<ThreadId>, bool) {
    let page = backend.storage.search_threads(&scope(), query).await.expect("search");
    (page.items.iter().map(|thread| thread.thread_id).collect(), page.more)
}

/// Metadata and values match by containment: objects by key and recursively, arrays as sets, numbers by value, null as itself.
pub async fn containment_finds_metadata_and_values(backend: &Backend) {
    let document = json!({"user": "ada", "n": 1, "none": null, "tags": ["a", "b", {"k": 1, "l": [1, 2]}], "deep": {"x": {"y": true, "z": 0}}});
    let bare = backend.new_thread().await;
    backend.clock.advance(SECOND);
    let in_metadata = backend.thread_with(document.clone()).await.thread_id;
    backend.clock.advance(SECOND);
    let in_values = backend.new_thread().await;
    backend.set_state(in_values, ThreadStatus::Idle, state("1", document)).await;
    let cases: [(Value, bool); 14] = [
        (json!({"user": "ada"}), true),
        (json!({"n": 1.0}), true),
        (json!({"none": null}), true),
        (json!({"tags": ["b", "a"]}), true),
        (json!({"tags": [{"k": 1}]}), true),
        (json!({"tags": [{"l": [2]}]}), true),
        (json!({"tags": []}), true),
        (json!({"deep": {"x": {"y": true}}}), true),
        (json!({"missing": null}), false),
        (json!({"user": "Ada"}), false),
        (json!({"n": "1"}), false),
        (json!({"tags": ["c"]}), false),
        (json!({"tags": "a"}), false),
        (json!({"user": "ada", "deep": {"x": {"y": false}}}), false),
    ];
    for (part, fits) in cases {
        let expected = |id| if fits { vec![id] } else { vec![] };
        let by_metadata = found(backend, &ThreadQuery { metadata: map(part.clone()), ..all() }).await;
        assert_eq!(by_metadata, (expected(in_metadata), false), "metadata that contains {part}");
        let by_values = found(backend, &ThreadQuery { values: map(part.clone()), ..all() }).await;
        assert_eq!(by_values, (expected(in_values), false), "values that contain {part}");
    }
    assert_eq!(found(backend, &all()).await.0, [bare, in_metadata, in_values], "an empty condition fits all");
    let both = ThreadQuery { metadata: map(json!({"user": "ada"})), values: map(json!({"user": "ada"})), ..all() };
    assert_eq!(found(backend, &both).await.0, [], "all conditions must hold");
}

/// Search sorts by any column in both directions, and pages without losing or repeating a row.
pub async fn search_sorts_and_pages(backend: &Backend) {
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(backend.thread_with(json!({"even": n % 2 == 0})).await.thread_id);
        backend.clock.advance(SECOND);
    }
    backend.storage.update_thread(&scope(), ids[1], ThreadPatch::default()).await.expect("update");
    backend.clock.advance(SECOND);
    backend.set_state(ids[0], ThreadStatus::Error, state("1", json!({}))).await;
    let by_default = found(backend, &ThreadQuery { limit: 100, ..Default::default() }).await.0;
    assert_eq!(by_default, [ids[0], ids[1], ids[4], ids[3], ids[2]], "the latest update first");
    let sorted = async |sort_by, sort_order| found(backend, &ThreadQuery { sort_by, sort_order, ..all() }).await.0;
    let reversed: Vec<_> = ids.iter().rev().copied().collect();
    assert_eq!(sorted(ThreadSort::CreatedAt, SortOrder::Asc).await, ids);
    assert_eq!(sorted(ThreadSort::CreatedAt, SortOrder::Desc).await, reversed);
    assert_eq!(sorted(ThreadSort::ThreadId, SortOrder::Asc).await, ids, "ids of version 7 rise");
    assert_eq!(sorted(ThreadSort::ThreadId, SortOrder::Desc).await, reversed);
    assert_eq!(sorted(ThreadSort::StateUpdatedAt, SortOrder::Desc).await[0], ids[0]);
    assert_eq!(sorted(ThreadSort::Status, SortOrder::Asc).await[0], ids[0], "error sorts before idle");
    let conditions = [(json!({}), ids.clone()), (json!({"even": true}), vec![ids[0], ids[2], ids[4]])];
    for (metadata, expected) in conditions {
        let mut paged = Vec::new();
        loop {
            let query = ThreadQuery { metadata: map(metadata.clone()), limit: 2, offset: paged.len() as u32, ..all() };
            let (page, more) = found(backend, &query).await;
            assert!(page.len() == 2 || !more, "a page before the last is full");
            paged.extend(page);
            if !more {
                break;
            }
        }
        assert_eq!(paged, expected, "pages of {metadata}");
    }
    assert_eq!(found(backend, &ThreadQuery { offset: 9, ..all() }).await, (vec![], false));
    assert_eq!(
        found(backend, &ThreadQuery { limit: 5, ..all() }).await,
        (ids, false),
        "nothing follows a page that just fits"
    );
}

/// Ids and status narrow a search.
pub async fn search_narrows_by_ids_and_status(backend: &Backend) {
    let (idle, busy) = (backend.new_thread().await, backend.new_thread().await);
    backend.add_run(busy).await;
    let by = async |ids: Option<Vec<ThreadId>>, status| found(backend, &ThreadQuery { ids, status, ..all() }).await.0;
    assert_eq!(by(None, Some(ThreadStatus::Busy)).await, [busy]);
    assert_eq!(by(None, Some(ThreadStatus::Idle)).await, [idle]);
    assert_eq!(by(None, Some(ThreadStatus::Error)).await, []);
    assert_eq!(by(Some(vec![busy, thread_id()]), None).await, [busy]);
    assert_eq!(by(Some(vec![busy]), Some(ThreadStatus::Idle)).await, []);
    assert_eq!(by(Some(vec![]), None).await, [], "no id is none, not any");
}
