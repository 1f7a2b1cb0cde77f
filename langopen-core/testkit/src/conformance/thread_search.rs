//! Finding threads.

use langopen_core::filter::{MetadataFilter, contains};
use langopen_core::ids::ThreadId;
use langopen_core::model::{SortOrder, ThreadPatch, ThreadQuery, ThreadSort, ThreadStatus};
use langopen_core::tenant::Scope;
use serde_json::{Value, json};

use super::Fixture;
use super::support::{SECOND, map, scope, state, thread_id};

fn all() -> ThreadQuery {
    ThreadQuery::default().with_limit(100).with_sort_by(ThreadSort::CreatedAt).with_sort_order(SortOrder::Asc)
}

async fn found(backend: &Fixture, query: &ThreadQuery) -> (Vec<ThreadId>, bool) {
    let page = backend.threads().search_threads(&scope(), query).await.expect("search");
    let number = backend.threads().count_threads(&scope(), query).await.expect("count");
    let seen = u64::from(query.offset) + page.items.len() as u64;
    // An offset may lie beyond the end.
    assert_eq!(number > seen, page.more, "a count of {number} agrees with whether more rows follow: {query:?}");
    assert!(number >= seen || page.items.is_empty(), "{number} is not less than what was found: {query:?}");
    (page.items.iter().map(|thread| thread.thread_id).collect(), page.more)
}

/// Metadata and values match by containment: objects by key and recursively, arrays as sets, numbers by value, null as
/// itself.
pub async fn containment_finds_metadata_and_values(backend: &Fixture) {
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
        let by_metadata = found(backend, &all().with_metadata(map(part.clone()))).await;
        assert_eq!(by_metadata, (expected(in_metadata), false), "metadata that contains {part}");
        let by_values = found(backend, &all().with_values(map(part.clone()))).await;
        assert_eq!(by_values, (expected(in_values), false), "values that contain {part}");
    }
    assert_eq!(found(backend, &all()).await.0, [bare, in_metadata, in_values], "an empty condition fits all");
    let both = all().with_metadata(map(json!({"user": "ada"}))).with_values(map(json!({"user": "ada"})));
    assert_eq!(found(backend, &both).await.0, [], "all conditions must hold");
}

/// Search sorts by every column in both directions, and pages neither lose nor repeat a row.
pub async fn search_sorts_and_pages(backend: &Fixture) {
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(backend.thread_with(json!({"even": n % 2 == 0})).await.thread_id);
        backend.clock.advance(SECOND);
    }
    backend.threads().update_thread(&scope(), ids[1], ThreadPatch::default()).await.expect("update");
    backend.clock.advance(SECOND);
    backend.set_state(ids[0], ThreadStatus::Error, state("1", json!({}))).await;
    let by_default = found(backend, &ThreadQuery::default().with_limit(100)).await.0;
    assert_eq!(by_default, [ids[0], ids[1], ids[4], ids[3], ids[2]], "the latest update first");
    let sorted =
        async |sort_by, sort_order| found(backend, &all().with_sort_by(sort_by).with_sort_order(sort_order)).await.0;
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
            let query = all().with_metadata(map(metadata.clone())).with_limit(2).with_offset(paged.len() as u32);
            let (page, more) = found(backend, &query).await;
            assert!(page.len() == 2 || !more, "a page before the last is full");
            paged.extend(page);
            if !more {
                break;
            }
        }
        assert_eq!(paged, expected, "pages of {metadata}");
    }
    assert_eq!(found(backend, &all().with_offset(9)).await, (vec![], false));
    assert_eq!(found(backend, &all().with_limit(5)).await, (ids, false), "nothing follows a page that just fits");
}

/// Ids and status narrow a search.
pub async fn search_narrows_by_ids_and_status(backend: &Fixture) {
    let (idle, busy) = (backend.new_thread().await, backend.new_thread().await);
    backend.add_run(busy).await;
    let by =
        async |ids: Option<Vec<ThreadId>>, status| found(backend, &all().with_ids(ids).with_status(status)).await.0;
    assert_eq!(by(None, Some(ThreadStatus::Busy)).await, [busy]);
    assert_eq!(by(None, Some(ThreadStatus::Idle)).await, [idle]);
    assert_eq!(by(None, Some(ThreadStatus::Error)).await, []);
    assert_eq!(by(Some(vec![busy, thread_id()]), None).await, [busy]);
    assert_eq!(by(Some(vec![busy]), Some(ThreadStatus::Idle)).await, []);
    assert_eq!(by(Some(vec![]), None).await, [], "no id is none, not any");
}

/// Keys and values are treated as data, whatever characters they contain.
pub async fn keys_and_values_are_data(backend: &Fixture) {
    let texts = [
        "",
        " ",
        "a.b",
        "a[0]",
        "$",
        "$.a",
        "#-1",
        "a\"b",
        "a'b",
        "a\\b",
        "a\\\"b",
        "\\u0041",
        "%",
        "_",
        "?",
        "?1",
        ":a",
        "@a",
        "--",
        "/*",
        "'; DROP TABLE threads; --",
        "\" OR 1=1 --",
        "') OR 1=1 --",
        "{}",
        "null",
        "true",
        "0",
        "é",
        "e\u{301}",
        "É",
        "ключ",
        "漢字",
        "🧵",
        "\u{1}",
        "\t\n",
        "\u{7f}",
        "\u{2028}",
        "\u{feff}",
    ];
    let bystander = backend.thread_with(json!({"other": {"other": "other"}})).await.thread_id;
    for text in texts {
        let whole = backend.thread_with(json!({text: {text: [text, {text: text}]}, "values": text})).await.thread_id;
        let in_values = backend.new_thread().await;
        backend.set_state(in_values, ThreadStatus::Idle, state("1", json!({text: {text: [text]}}))).await;
        for part in [
            json!({text: {text: [text]}}),
            json!({text: {text: [{text: text}]}}),
            json!({text: {text: []}, "values": text}),
        ] {
            let query = all().with_metadata(map(part.clone()));
            assert_eq!(found(backend, &query).await.0, [whole], "metadata {part}");
        }
        let query = all().with_values(map(json!({text: {text: [text]}})));
        assert_eq!(found(backend, &query).await.0, [in_values], "values with {text:?}");
        for filter in [
            MetadataFilter::Equals("values".to_owned(), text.into()),
            MetadataFilter::Any(vec![MetadataFilter::Equals(text.to_owned(), json!({text: [text, {text: text}]}))]),
        ] {
            let scope = Scope { filter: Some(filter.clone()), ..scope() };
            let page = backend.threads().search_threads(&scope, &all()).await.expect("search");
            let ids: Vec<_> = page.items.iter().map(|thread| thread.thread_id).collect();
            assert_eq!(ids, [whole], "{filter:?}");
            assert_eq!(backend.threads().count_threads(&scope, &all()).await.expect("count"), 1, "{filter:?}");
        }
        for id in [whole, in_values] {
            backend.threads().delete_thread(&scope(), id).await.expect("delete");
        }
    }
    assert_eq!(found(backend, &all()).await.0, [bystander], "nothing else was touched");
}

/// Numbers match by value, whatever their notation. Texts, booleans and null match only their own kind.
pub async fn scalars_match_by_value_and_kind(backend: &Fixture) {
    let values = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(0.1),
        json!(1e300),
        json!(-0.0),
        json!(""),
        json!("1"),
        json!("true"),
        json!("null"),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(9_007_199_254_740_993_i64),
        json!([]),
        json!({}),
        json!([1]),
        json!([[1]]),
        json!({"a": 1}),
        json!({"a": null}),
        json!([null]),
        json!([true, "1", 1.0]),
        json!([{"a": [1, 2]}, {"a": [3]}]),
    ];
    let wanted = [
        json!(1.0),
        json!(0.0),
        json!(-1.0),
        json!(3),
        json!([1.0]),
        json!([[]]),
        json!([[1.0]]),
        json!({"a": 1.0}),
        json!([{"a": [2]}]),
        json!([{"a": [3, 3]}]),
        json!([{"a": [1, 3]}]),
        json!([{}]),
        json!([1, 1]),
        json!(0.100000001),
        json!(9_007_199_254_740_992_i64),
        json!(i64::MIN),
        json!([null, null]),
        json!(1e300),
        json!([true]),
        json!({"b": null}),
        json!({"a": {}}),
    ];
    let mut held = Vec::new();
    for value in &values {
        held.push((value, backend.thread_with(json!({"k": value, "l": {"m": value}})).await.thread_id));
        backend.clock.advance(SECOND);
    }
    for part in values.iter().chain(&wanted) {
        let expected: Vec<_> = held.iter().filter(|(held, _)| contains(held, part)).map(|(_, id)| *id).collect();
        for metadata in [json!({"k": part}), json!({"l": {"m": part}})] {
            let query = all().with_metadata(map(metadata.clone()));
            assert_eq!(found(backend, &query).await.0, expected, "{metadata}");
        }
        let filters = [
            MetadataFilter::Equals("k".to_owned(), part.clone()),
            MetadataFilter::Contains("k".to_owned(), part.clone()),
            MetadataFilter::Any(vec![
                MetadataFilter::Equals("k".to_owned(), part.clone()),
                MetadataFilter::Equals("k".to_owned(), json!("1")),
            ]),
            MetadataFilter::All(vec![
                MetadataFilter::Contains("k".to_owned(), part.clone()),
                MetadataFilter::Any(vec![]),
            ]),
            MetadataFilter::All(vec![MetadataFilter::All(vec![])]),
        ];
        for filter in filters {
            let passing = |value: &Value| filter.matches(&map(json!({"k": value})));
            let expected: Vec<_> = held.iter().filter(|(held, _)| passing(held)).map(|(_, id)| *id).collect();
            let scope = Scope { filter: Some(filter.clone()), ..scope() };
            let mut paged = Vec::new();
            loop {
                let query = all().with_limit(3).with_offset(paged.len() as u32);
                let page = backend.threads().search_threads(&scope, &query).await.expect("search");
                paged.extend(page.items.iter().map(|thread| thread.thread_id));
                if !page.more {
                    break;
                }
            }
            assert_eq!(paged, expected, "{filter:?}");
            let number = backend.threads().count_threads(&scope, &all()).await.expect("count");
            assert_eq!(number, expected.len() as u64, "{filter:?}");
        }
    }
}

/// Conditions may have any number of keys and any depth that a client sends.
pub async fn large_conditions_are_answered(backend: &Fixture) {
    let wide = |last: i64| {
        let entries = (0..500).map(|n| (format!("k{n}"), if n == 499 { json!(last) } else { json!(n) }));
        Value::Object(entries.collect())
    };
    let deep = |last: i64| {
        (0..100).fold(json!(last), |inner, n| if n % 2 == 0 { json!({"k": inner}) } else { json!([inner]) })
    };
    let long = |last: i64| json!((0..500).map(|n| if n == 499 { last } else { n }).collect::<Vec<_>>());
    for shape in [&wide as &(dyn Fn(i64) -> Value + Sync), &deep, &long] {
        let fits = backend.thread_with(json!({"d": shape(-1), "e": 1})).await.thread_id;
        let other = backend.thread_with(json!({"d": shape(-2), "e": 1})).await.thread_id;
        let query = all().with_metadata(map(json!({"d": shape(-1), "e": 1})));
        assert_eq!(found(backend, &query).await.0, [fits]);
        let equals = |last| MetadataFilter::Equals("d".to_owned(), shape(last));
        let nested = (0..50).fold(equals(-1), |inner, _| MetadataFilter::Any(vec![MetadataFilter::All(vec![inner])]));
        let many = MetadataFilter::Any((0..500).map(|_| equals(-3)).chain([equals(-1)]).collect());
        for filter in [nested, many] {
            let scope = Scope { filter: Some(filter), ..scope() };
            let page = backend.threads().search_threads(&scope, &all()).await.expect("search");
            assert_eq!(page.items.iter().map(|thread| thread.thread_id).collect::<Vec<_>>(), [fits]);
            assert_eq!(backend.threads().count_threads(&scope, &all()).await.expect("count"), 1);
        }
        for id in [fits, other] {
            backend.threads().delete_thread(&scope(), id).await.expect("delete");
        }
    }
}
