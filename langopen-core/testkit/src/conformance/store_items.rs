//! The long-term store.

use langopen_core::model::{
    FieldVector, FilterOperator, ItemFilter, ItemReadOptions, NamespaceQuery, NewStoreItem, StoreItem, StoreItemQuery,
};
use langopen_core::tenant::{Scope, Tenant};
use serde_json::{Value, json};

use super::Fixture;
use super::support::{SECOND, raw, scope};

fn labels(namespace: &[&str]) -> Vec<String> {
    namespace.iter().map(|label| (*label).to_owned()).collect()
}

async fn put(backend: &Fixture, namespace: &[&str], key: &str, value: Value, ttl_minutes: Option<f64>) {
    let new = NewStoreItem {
        namespace: labels(namespace),
        key: key.to_owned(),
        value: raw(value),
        ttl_minutes,
        vectors: Vec::new(),
        lease: None,
    };
    backend.items().put_item(&scope(), new).await.expect("put");
}

async fn get(backend: &Fixture, namespace: &[&str], key: &str, refresh_ttl: bool) -> Option<StoreItem> {
    backend
        .items()
        .item(&scope(), &labels(namespace), key, ItemReadOptions::default().with_refresh_ttl(refresh_ttl))
        .await
        .expect("read")
}

async fn search(backend: &Fixture, query: StoreItemQuery) -> (Vec<String>, bool) {
    let page = backend.items().search_items(&scope(), &query).await.expect("search");
    (page.items.into_iter().map(|found| found.item.key).collect(), page.more)
}

async fn namespaces(backend: &Fixture, query: NamespaceQuery) -> Vec<String> {
    let found = backend.items().list_namespaces(&scope(), &query).await.expect("list");
    found.into_iter().map(|namespace| namespace.join("/")).collect()
}

/// An item is returned as it was put. Putting it again replaces the value and keeps `created_at`.
pub async fn an_item_comes_back_and_keeps_its_birth(backend: &Fixture) {
    let born = backend.now();
    put(backend, &["a", "b"], "k", json!({"n": 1, "text": "é🧵\u{1f}"}), None).await;
    let expected = StoreItem {
        namespace: labels(&["a", "b"]),
        key: "k".to_owned(),
        value: raw(json!({"n": 1, "text": "é🧵\u{1f}"})),
        created_at: born,
        updated_at: born,
    };
    assert_eq!(get(backend, &["a", "b"], "k", false).await, Some(expected.clone()));
    backend.clock.advance(SECOND);
    put(backend, &["a", "b"], "k", json!({"n": 2}), None).await;
    let replaced = StoreItem { value: raw(json!({"n": 2})), updated_at: backend.now(), ..expected };
    assert_eq!(get(backend, &["a", "b"], "k", false).await, Some(replaced));
    for (namespace, key) in [(&["a"][..], "k"), (&["a", "b", "c"], "k"), (&["a", "b"], "K")] {
        assert_eq!(get(backend, namespace, key, false).await, None, "{namespace:?} {key}");
    }
    for _ in 0..2 {
        backend.items().delete_item(&scope(), &labels(&["a", "b"]), "k", None).await.expect("delete, twice too");
        assert_eq!(get(backend, &["a", "b"], "k", false).await, None);
    }
}

/// A search with a vector returns the nearest items first, with their scores, then the items without a vector. Putting
/// an item again replaces its vectors, and removed items are not found.
pub async fn search_finds_the_nearest_first(backend: &Fixture) {
    let vectors = |vectors: &[(&str, [f32; 2])]| {
        let vector =
            |(path, vector): &(&str, [f32; 2])| FieldVector { path: (*path).to_owned(), vector: vector.to_vec() };
        vectors.iter().map(vector).collect::<Vec<_>>()
    };
    let put = async |key: &str, namespace: &str, meant: Vec<FieldVector>| {
        let (namespace, value) = (labels(&["v", namespace]), raw(json!({"key": key})));
        let new =
            NewStoreItem { namespace, key: key.to_owned(), value, ttl_minutes: None, vectors: meant, lease: None };
        backend.items().put_item(&scope(), new).await.expect("put");
    };
    put("east", "a", vectors(&[("text", [2.0, 0.0])])).await;
    put("north", "a", vectors(&[("text", [0.0, 1.0])])).await;
    put("both", "b", vectors(&[("title", [-1.0, 0.0]), ("text", [1.0, 1.0])])).await;
    backend.clock.advance(SECOND);
    put("silent", "a", vectors(&[])).await;
    put("long", "a", vec![FieldVector { path: String::new(), vector: vec![1.0, 0.0, 0.0] }]).await;
    put("gone", "a", vectors(&[("text", [1.0, 0.0])])).await;
    backend.items().delete_item(&scope(), &labels(&["v", "a"]), "gone", None).await.expect("delete");

    let search = async |prefix: &[&str], vector: [f32; 2], limit| {
        let namespace_prefix = labels(prefix);
        let query = StoreItemQuery::default()
            .with_namespace_prefix(namespace_prefix)
            .with_vector(Some(vector.to_vec()))
            .with_limit(limit);
        let page = backend.items().search_items(&scope(), &query).await.expect("search");
        let shown = |score: f64| format!("{score:.3}").replace("-0.000", "0.000");
        let found = page.items.into_iter().map(|found| (found.item.key, found.score.map(shown)));
        (found.collect::<Vec<_>>(), page.more)
    };
    let found = |key: &str, score: &str| (key.to_owned(), (!score.is_empty()).then(|| score.to_owned()));
    let all = vec![
        found("east", "1.000"),
        found("both", "0.707"),
        found("north", "0.000"),
        found("long", ""),
        found("silent", ""),
    ];
    assert_eq!(search(&["v"], [3.0, 0.0], 10).await, (all, false));
    assert_eq!(search(&["v", "a"], [0.0, 1.0], 1).await, (vec![found("north", "1.000")], true));
    put("east", "a", vectors(&[("text", [-1.0, 0.0])])).await;
    assert_eq!(search(&["v"], [1.0, 0.0], 1).await.0, vec![found("both", "0.707")], "its old vector is removed");
    let other = Scope::tenant(Tenant::new("other", "p", "d").expect("a tenant"));
    let query = StoreItemQuery::default().with_vector(Some(vec![1.0, 0.0])).with_limit(10);
    let theirs = backend.items().search_items(&other, &query).await.expect("search");
    assert!(theirs.items.is_empty());
}

/// An item expires after its time to live, unless a refreshing read or search restarts it. No operation finds an
/// expired item.
pub async fn items_expire(backend: &Fixture) {
    put(backend, &["t"], "far", json!({}), Some(1e300)).await;
    assert!(get(backend, &["t"], "far", true).await.is_some(), "a moment beyond the last timestamp never comes");
    assert!(get(backend, &["t"], "far", true).await.is_some(), "also after a refresh");
    backend.items().delete_item(&scope(), &labels(&["t"]), "far", None).await.expect("delete");
    let prefix = StoreItemQuery::default().with_limit(10);
    put(backend, &["t"], "short", json!({}), Some(1.0)).await;
    put(backend, &["t"], "half", json!({}), Some(0.5)).await;
    put(backend, &["u"], "never", json!({}), None).await;
    let born = backend.now();
    backend.clock.advance(SECOND * 29);
    assert!(get(backend, &["t"], "half", false).await.is_some());
    backend.clock.advance(SECOND);
    assert_eq!(get(backend, &["t"], "half", false).await, None, "after half a minute");
    assert!(get(backend, &["t"], "short", true).await.is_some());
    backend.clock.advance(SECOND * 59);
    assert!(get(backend, &["t"], "short", false).await.is_some(), "the refreshing read restarted the time to live");
    let found = search(backend, prefix.clone().with_refresh_ttl(true)).await.0;
    assert!(found.contains(&"short".to_owned()) && !found.contains(&"half".to_owned()), "{found:?}");
    backend.clock.advance(SECOND * 59);
    assert!(get(backend, &["t"], "short", false).await.is_some(), "the refreshing search restarted the time to live");
    let updated = get(backend, &["t"], "short", false).await.map(|item| (item.created_at, item.updated_at));
    assert_eq!(updated, Some((born, born)), "reading does not change an item's times");
    backend.clock.advance(SECOND);
    assert_eq!(get(backend, &["t"], "short", true).await, None, "a read does not bring an expired item back");
    assert_eq!(search(backend, prefix).await, (vec!["never".to_owned()], false));
    assert_eq!(namespaces(backend, NamespaceQuery::default().with_limit(10)).await, ["u"]);
    put(backend, &["t"], "short", json!({}), None).await;
    let anew = get(backend, &["t"], "short", false).await.map(|item| item.created_at);
    assert_eq!(anew, Some(backend.now()), "an expired item does not exist, so this one is new");
}

/// A sweep removes the expired items of every tenant, and no others.
pub async fn a_sweep_removes_what_has_expired(backend: &Fixture) {
    for (key, ttl) in [("a", Some(1.0)), ("b", Some(1.0)), ("c", Some(2.0)), ("d", None)] {
        put(backend, &["t"], key, json!({}), ttl).await;
    }
    let abroad = NewStoreItem {
        namespace: labels(&["t"]),
        key: "a".to_owned(),
        value: json!({}).into(),
        ttl_minutes: Some(1.0),
        vectors: Vec::new(),
        lease: None,
    };
    backend.items().put_item(&super::support::foreign(), abroad).await.expect("put");
    let swept = async || backend.items().sweep_items().await.expect("sweep");
    backend.clock.advance(SECOND * 59);
    assert_eq!(swept().await, 0);
    backend.clock.advance(SECOND);
    assert_eq!(swept().await, 3);
    assert_eq!(swept().await, 0, "once");
    backend.clock.advance(SECOND * 60_000);
    assert_eq!(swept().await, 1);
    assert!(get(backend, &["t"], "d", false).await.is_some());
}

/// A prefix matches whole labels, and filters compare top-level keys.
pub async fn search_matches_whole_labels_and_filters(backend: &Fixture) {
    put(backend, &["users"], "root", json!({"n": 1}), None).await;
    put(backend, &["users", "ada"], "ada", json!({"n": 2, "s": "b", "o": {"x": [1]}}), None).await;
    put(backend, &["users", "ada", "deep"], "deep", json!({"n": 2.5, "s": "c", "none": null}), None).await;
    put(backend, &["users", "adam"], "adam", json!({"n": "2"}), None).await;
    put(backend, &["users2"], "users2", json!({}), None).await;
    put(backend, &["us\",\"ers", "a\u{1f}b"], "odd", json!({"odd": true}), None).await;
    let base = StoreItemQuery::default().with_limit(10);
    let prefixes: [(&[&str], &[&str]); 6] = [
        (&[], &["ada", "adam", "deep", "odd", "root", "users2"]),
        (&["users"], &["ada", "adam", "deep", "root"]),
        (&["users", "ada"], &["ada", "deep"]),
        (&["users", "ada", "deep"], &["deep"]),
        (&["user"], &[]),
        (&["us\",\"ers"], &["odd"]),
    ];
    for (prefix, expected) in prefixes {
        let query = base.clone().with_namespace_prefix(labels(prefix));
        let mut found = search(backend, query).await.0;
        found.sort();
        assert_eq!(found, expected, "prefix {prefix:?}");
    }
    use FilterOperator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let filters: [(&str, FilterOperator, Value, &[&str]); 9] = [
        ("n", Equal, json!(2.0), &["ada"]),
        ("n", Greater, json!(1), &["ada", "deep"]),
        ("n", GreaterOrEqual, json!(2.5), &["deep"]),
        ("n", Less, json!(2), &["root"]),
        ("n", LessOrEqual, json!(2), &["ada", "root"]),
        ("n", NotEqual, json!(2), &["adam", "deep", "root"]),
        ("s", Greater, json!("b"), &["deep"]),
        ("o", Equal, json!({"x": [1]}), &["ada"]),
        ("none", Equal, json!(null), &["ada", "adam", "deep", "root"]),
    ];
    for (key, operator, value, expected) in filters {
        let filter = ItemFilter { key: key.to_owned(), operator, value: value.clone() };
        let query = base.clone().with_namespace_prefix(labels(&["users"])).with_filters(vec![filter]);
        let mut found = search(backend, query).await.0;
        found.sort();
        assert_eq!(found, expected, "{key} {operator:?} {value}");
    }
    let both = [("n", Greater, json!(1)), ("s", Equal, json!("b"))];
    let filters = both.map(|(key, operator, value)| ItemFilter { key: key.to_owned(), operator, value }).to_vec();
    assert_eq!(search(backend, base.with_filters(filters)).await.0, ["ada"], "all filters must hold");
}

/// Search pages, most recently updated first.
pub async fn search_pages_most_recent_first(backend: &Fixture) {
    for key in ["a", "b", "c", "d"] {
        put(backend, &["p"], key, json!({"even": key == "b" || key == "d"}), None).await;
        backend.clock.advance(SECOND);
    }
    put(backend, &["p"], "a", json!({"even": false}), None).await;
    let page = |limit, offset| StoreItemQuery::default().with_limit(limit).with_offset(offset);
    assert_eq!(search(backend, page(3, 0)).await, (labels(&["a", "d", "c"]), true));
    assert_eq!(search(backend, page(3, 3)).await, (labels(&["b"]), false));
    assert!(!search(backend, page(4, 0)).await.1, "nothing follows a page that just fits");
    let filters = vec![ItemFilter { key: "even".to_owned(), operator: FilterOperator::Equal, value: json!(true) }];
    let even = |offset| page(1, offset).with_filters(filters.clone());
    assert_eq!(search(backend, even(0)).await, (labels(&["d"]), true));
    assert_eq!(search(backend, even(1)).await, (labels(&["b"]), false));
    let scored = backend.items().search_items(&scope(), &page(10, 0)).await.expect("search").items;
    assert!(scored.iter().all(|found| found.score.is_none()), "a search without a query has no scores");
}

/// Namespaces are listed once each, sorted, by prefix and suffix with wildcards, truncated to a depth, and paged.
pub async fn namespaces_match_wildcards_and_depth(backend: &Fixture) {
    for namespace in [&["a", "b", "c"][..], &["a", "b", "d"], &["a", "x", "c"], &["ab"], &["b", "c"], &["c"]] {
        put(backend, namespace, "k", json!({}), None).await;
        put(backend, namespace, "l", json!({}), None).await;
    }
    let all = NamespaceQuery::default().with_limit(100);
    let by = |prefix: &[&str], suffix: &[&str]| all.clone().with_prefix(labels(prefix)).with_suffix(labels(suffix));
    let cases: [(NamespaceQuery, &[&str]); 10] = [
        (all.clone(), &["a/b/c", "a/b/d", "a/x/c", "ab", "b/c", "c"]),
        (by(&["a"], &[]), &["a/b/c", "a/b/d", "a/x/c"]),
        (by(&["a", "*", "c"], &[]), &["a/b/c", "a/x/c"]),
        (by(&["*", "b"], &[]), &["a/b/c", "a/b/d"]),
        (by(&[], &["c"]), &["a/b/c", "a/x/c", "b/c", "c"]),
        (by(&[], &["*", "c"]), &["a/b/c", "a/x/c", "b/c"]),
        (by(&["a"], &["d"]), &["a/b/d"]),
        (all.clone().with_max_depth(Some(2)), &["a/b", "a/x", "ab", "b/c", "c"]),
        (by(&[], &["c"]).with_max_depth(Some(1)), &["a", "b", "c"]),
        (NamespaceQuery::default().with_limit(2).with_offset(1).with_max_depth(Some(1)), &["ab", "b"]),
    ];
    for (query, expected) in cases {
        let what = format!("{query:?}");
        assert_eq!(namespaces(backend, query).await, expected, "{what}");
    }
}
