//! Assistants and their versions.

use langopen_core::error::ErrorKind;
use langopen_core::ids::AssistantId;
use langopen_core::json::JsonMap;
use langopen_core::model::{
    Assistant, AssistantPatch, AssistantQuery, AssistantSort, AssistantVersionQuery, IfExists, NewAssistant, NewRun,
    NewThread, RunThread, SortOrder,
};
use langopen_core::queue::Heartbeat;
use langopen_core::run_state::RunStatus;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{LEASE, SECOND, map, refused, scope, thread_id};
use super::{Fixture, Need};

fn new(name: &str, metadata: Value) -> NewAssistant {
    NewAssistant {
        assistant_id: AssistantId(Uuid::new_v4()),
        graph_id: "agent".to_owned(),
        config: map(json!({"tags": ["a"]})),
        context: map(json!({"model": "x"})),
        metadata: map(metadata),
        name: name.to_owned(),
        description: Some("first".to_owned()),
    }
}

async fn create(backend: &Fixture, name: &str, metadata: Value) -> Assistant {
    let new = new(name, metadata);
    backend.assistants().create_assistant(&scope(), new, IfExists::Raise).await.expect("a new assistant")
}

/// A new assistant is version 1, has the given fields, and can be read.
pub async fn a_new_assistant_is_version_one(backend: &Fixture) {
    let given = new("One", json!({"team": "red"}));
    let made = backend.assistants().create_assistant(&scope(), given.clone(), IfExists::Raise).await.expect("create");
    assert_eq!((made.version, made.created_at, made.updated_at), (1, backend.now(), backend.now()));
    assert_eq!((&made.config, &made.context, &made.metadata), (&given.config, &given.context, &given.metadata));
    assert_eq!((made.name.as_str(), &made.description, made.graph_id.as_str()), ("One", &given.description, "agent"));
    let read = backend.assistants().assistant(&scope(), made.assistant_id).await.expect("read");
    assert_eq!(read, Some(made), "the row that is read equals the created row");
}

/// Creating with a taken id fails, or returns the existing row unchanged.
pub async fn a_taken_id_is_refused_or_returned(backend: &Fixture) {
    let first = create(backend, "First", json!({})).await;
    let again = NewAssistant { assistant_id: first.assistant_id, ..new("Second", json!({})) };
    let raised = backend.assistants().create_assistant(&scope(), again.clone(), IfExists::Raise).await;
    refused(raised, ErrorKind::AlreadyExists, "creating over a taken id");
    let there = backend.assistants().create_assistant(&scope(), again, IfExists::DoNothing).await.expect("do nothing");
    assert_eq!(there, first, "the row that exists is returned unchanged");
}

/// Each patch makes a version above the highest. Metadata is merged, other fields are replaced, and unset fields stay.
pub async fn each_patch_makes_a_version(backend: &Fixture) {
    let first = create(backend, "Name", json!({"a": 1, "b": 1})).await;
    let id = first.assistant_id;
    backend.clock.advance(SECOND);
    let patch = AssistantPatch::default()
        .with_metadata(Some(map(json!({"b": 2, "c": [3]}))))
        .with_config(Some(map(json!({"recursion_limit": 5}))));
    let second = backend.assistants().update_assistant(&scope(), id, patch).await.expect("update");
    let expected = Assistant {
        version: 2,
        metadata: map(json!({"a": 1, "b": 2, "c": [3]})),
        config: map(json!({"recursion_limit": 5})),
        updated_at: backend.now(),
        ..first.clone()
    };
    assert_eq!(second, expected);
    let third = backend.assistants().update_assistant(&scope(), id, AssistantPatch::default()).await.expect("update");
    assert_eq!(third.version, 3, "a patch without a change makes a version too");
    let versions = backend
        .assistants()
        .assistant_versions(&scope(), id, &AssistantVersionQuery::default().with_limit(10))
        .await
        .expect("versions");
    assert_eq!(versions.iter().map(|each| each.version).collect::<Vec<_>>(), [3, 2, 1], "newest first");
    assert_eq!(versions[2], first, "an old version does not change");
    let page = backend
        .assistants()
        .assistant_versions(&scope(), id, &AssistantVersionQuery::default().with_limit(1).with_offset(1))
        .await
        .expect("versions");
    assert_eq!(page, [second]);
    let found = backend
        .assistants()
        .assistant_versions(
            &scope(),
            id,
            &AssistantVersionQuery::default().with_metadata(map(json!({"b": 1}))).with_limit(10),
        )
        .await
        .expect("versions");
    assert_eq!(found, [first], "the filter applies to the metadata of each version");
    let missing =
        backend.assistants().update_assistant(&scope(), AssistantId(Uuid::new_v4()), AssistantPatch::default()).await;
    refused(missing, ErrorKind::NotFound, "updating no assistant");
}

/// Activating an older version restores all its fields; the next version is still above the highest.
pub async fn an_older_version_comes_back_whole(backend: &Fixture) {
    let first = create(backend, "Old", json!({"v": 1})).await;
    let id = first.assistant_id;
    let patch = AssistantPatch::default()
        .with_graph_id(Some("other".to_owned()))
        .with_config(Some(map(json!({}))))
        .with_context(Some(map(json!({}))))
        .with_metadata(Some(map(json!({"v": 2}))))
        .with_name(Some("New".to_owned()))
        .with_description(Some("second".to_owned()));
    backend.assistants().update_assistant(&scope(), id, patch).await.expect("update");
    backend.clock.advance(SECOND);
    let latest = backend.assistants().set_latest_assistant(&scope(), id, 1).await.expect("set latest");
    assert_eq!(latest, Assistant { updated_at: backend.now(), ..first });
    assert_eq!(backend.assistants().assistant(&scope(), id).await.expect("read"), Some(latest));
    let next = backend.assistants().update_assistant(&scope(), id, AssistantPatch::default()).await.expect("update");
    assert_eq!((next.version, next.name.as_str(), next.graph_id.as_str()), (3, "Old", "agent"));
    refused(backend.assistants().set_latest_assistant(&scope(), id, 9).await, ErrorKind::NotFound, "a missing version");
    let missing = backend.assistants().set_latest_assistant(&scope(), AssistantId(Uuid::new_v4()), 1).await;
    refused(missing, ErrorKind::NotFound, "a missing assistant");
}

/// Syncing a system assistant creates it. Later calls change its name and description without a new version.
pub async fn syncing_changes_name_and_description_alone(backend: &Fixture) {
    let given = new("agent", json!({"created_by": "system"}));
    let id = given.assistant_id;
    let made = backend.assistants().sync_system_assistant(&scope(), given.clone()).await.expect("sync");
    assert_eq!((made.version, made.name.as_str()), (1, "agent"));
    let patch = AssistantPatch::default().with_config(Some(map(json!({"mine": true}))));
    let patched = backend.assistants().update_assistant(&scope(), id, patch).await.expect("update");
    let renamed = NewAssistant { name: "Agent".to_owned(), description: None, config: JsonMap::new(), ..given };
    let synced = backend.assistants().sync_system_assistant(&scope(), renamed).await.expect("sync");
    let expected = Assistant { name: "Agent".to_owned(), description: None, ..patched };
    assert_eq!(synced, expected);
    assert_eq!(backend.assistants().assistant(&scope(), id).await.expect("read"), Some(expected));
    let versions = backend
        .assistants()
        .assistant_versions(&scope(), id, &AssistantVersionQuery::default().with_limit(10))
        .await
        .expect("versions");
    assert_eq!(versions.len(), 2, "syncing makes no version");
}

/// Search filters by graph, part of the name and metadata, sorts without regard to case, and pages.
pub async fn search_filters_sorts_and_pages(backend: &Fixture) {
    let mut ids = Vec::new();
    for (name, team) in [("beta", "red"), ("Alpha", "blue"), ("gamma ALPHA", "red")] {
        ids.push(create(backend, name, json!({"team": team, "tags": ["x", {"k": 1}]})).await.assistant_id);
        backend.clock.advance(SECOND);
    }
    let patch = AssistantPatch::default().with_graph_id(Some("Another".to_owned()));
    backend.assistants().update_assistant(&scope(), ids[0], patch).await.expect("update");
    let base = AssistantQuery::default().with_limit(10);
    let by = |sort_by, sort_order| base.clone().with_sort_by(sort_by).with_sort_order(sort_order);
    let mut sorted_ids = ids.clone();
    sorted_ids.sort();
    let cases = [
        ("the newest first by default", base.clone(), vec![ids[2], ids[1], ids[0]]),
        ("by name", by(AssistantSort::Name, SortOrder::Asc), vec![ids[1], ids[0], ids[2]]),
        ("by name, from the end", by(AssistantSort::Name, SortOrder::Desc), vec![ids[2], ids[0], ids[1]]),
        ("by update", by(AssistantSort::UpdatedAt, SortOrder::Desc), vec![ids[0], ids[2], ids[1]]),
        ("by id", by(AssistantSort::AssistantId, SortOrder::Asc), sorted_ids),
        ("a part of the name", base.clone().with_name(Some("aLPha".to_owned())), vec![ids[2], ids[1]]),
        ("the graph in force", base.clone().with_graph_id(Some("agent".to_owned())), vec![ids[2], ids[1]]),
        ("metadata", base.clone().with_metadata(map(json!({"team": "red"}))), vec![ids[2], ids[0]]),
        ("deep", base.clone().with_metadata(map(json!({"tags": [{"k": 1.0}]}))), vec![ids[2], ids[1], ids[0]]),
        ("nothing", base.clone().with_metadata(map(json!({"tags": ["y"]}))), vec![]),
    ];
    for (what, query, expected) in cases {
        let page = backend.assistants().search_assistants(&scope(), &query).await.expect("search");
        let found: Vec<_> = page.items.iter().map(|each| each.assistant_id).collect();
        assert_eq!((&found, page.more), (&expected, false), "{what}");
        let one = query.with_limit(1).with_offset(1);
        let number = backend.assistants().count_assistants(&scope(), &one).await.expect("count");
        assert_eq!(number, expected.len() as u64, "a count ignores pages: {what}");
    }
    let graphs = backend.assistants().search_assistants(&scope(), &by(AssistantSort::GraphId, SortOrder::Asc)).await;
    let graphs = graphs.expect("search").items;
    assert!(graphs[2].graph_id == "Another" && graphs[0].graph_id == "agent", "agent sorts before Another: {graphs:?}");
    for (limit, offset, expected, more) in
        [(2, 0, vec![ids[2], ids[1]], true), (2, 2, vec![ids[0]], false), (2, 5, vec![], false)]
    {
        let query = base.clone().with_limit(limit).with_offset(offset);
        let page = backend.assistants().search_assistants(&scope(), &query).await.expect("search");
        let found: Vec<_> = page.items.iter().map(|each| each.assistant_id).collect();
        assert_eq!((found, page.more), (expected, more), "limit {limit}, offset {offset}");
    }
}

/// A search for several graphs returns only their assistants; case folding includes letters beyond ASCII.
pub async fn a_search_shows_the_wanted_graphs_alone(backend: &Fixture) {
    let plain = create(backend, "ÄRGER %_", json!({})).await.assistant_id;
    let other = create(backend, "Ärger", json!({})).await;
    let patch = AssistantPatch::default().with_graph_id(Some("other".to_owned()));
    let other =
        backend.assistants().update_assistant(&scope(), other.assistant_id, patch).await.expect("update").assistant_id;
    let base =
        AssistantQuery::default().with_limit(10).with_sort_by(AssistantSort::Name).with_sort_order(SortOrder::Asc);
    let of = |graphs: &[&str]| {
        let graphs = graphs.iter().map(|graph| (*graph).to_owned()).collect();
        base.clone().with_graphs(Some(graphs))
    };
    let named = |name: &str| base.clone().with_name(Some(name.to_owned()));
    let cases = [
        (base.clone(), vec![other, plain]),
        (of(&["agent", "other", "'"]), vec![other, plain]),
        (of(&["other"]), vec![other]),
        (of(&[]), vec![]),
        (of(&["other"]).with_graph_id(Some("agent".to_owned())), vec![]),
        (named("äRG"), vec![other, plain]),
        (named("%"), vec![plain]),
        (named("_"), vec![plain]),
        (named("'"), vec![]),
        (named(""), vec![other, plain]),
    ];
    for (query, expected) in cases {
        let page = backend.assistants().search_assistants(&scope(), &query).await.expect("search");
        assert_eq!(page.items.iter().map(|each| each.assistant_id).collect::<Vec<_>>(), expected, "{query:?}");
        let number = backend.assistants().count_assistants(&scope(), &query).await.expect("count");
        assert_eq!(number, expected.len() as u64, "{query:?}");
    }
}

/// Deleting an assistant cancels its runs in flight: pending runs end, running runs receive a cancel. Runs of other
/// assistants continue.
pub async fn deleting_ends_the_runs_in_flight(backend: &Fixture) {
    for delete_threads in [false, true] {
        let (gone, stays) = (create(backend, "gone", json!({})).await, create(backend, "stays", json!({})).await);
        let run_of = |assistant: &Assistant, thread_id| {
            let metadata = map(json!({"assistant_id": assistant.assistant_id}));
            let new = backend.new_run(thread_id);
            NewRun { assistant_id: assistant.assistant_id, thread: RunThread { metadata, ..new.thread.clone() }, ..new }
        };
        let (mine, shared, temporary) = (thread_id(), thread_id(), thread_id());
        let running = backend.enqueue(run_of(&gone, mine)).await;
        let claim = backend.claim_one().await;
        let pending = backend.enqueue(run_of(&gone, mine)).await;
        let on_shared = backend.enqueue(run_of(&gone, shared)).await;
        let others = backend.enqueue(run_of(&stays, shared)).await;
        backend.enqueue(NewRun { temporary: true, ..run_of(&gone, temporary) }).await;
        let mut cancels = backend.queue().cancels();
        let deleted = backend
            .assistants()
            .delete_assistant(&scope(), gone.assistant_id, delete_threads.then(scope).as_ref())
            .await
            .expect("delete");
        let ended: Vec<_> = deleted.ended.iter().map(|log| log.run_id).collect();
        assert!([mine, temporary].iter().all(|id| deleted.threads.contains(id) == delete_threads));
        let cancelled: Vec<_> = std::iter::from_fn(|| cancels.try_recv().ok()).map(|signal| signal.run_id).collect();
        assert!(
            (!backend.has(Need::Hints) || cancelled.contains(&running)) && !cancelled.contains(&others),
            "the worker of the running run receives a cancel: {cancelled:?}"
        );
        assert_eq!(ended.contains(&pending), !delete_threads, "runs that are removed with their thread are not listed");
        assert!(ended.contains(&on_shared) && !ended.contains(&others));
        assert_eq!(ended.len(), if delete_threads { 1 } else { 3 }, "and the temporary one: {ended:?}");
        assert_eq!(
            backend.threads().thread(&scope(), temporary).await.expect("read"),
            None,
            "a temporary run leaves nothing"
        );
        let (of_pending, of_running) = match delete_threads {
            true => (None, None),
            false => (Some(RunStatus::Interrupted), Some(RunStatus::Running)),
        };
        assert_eq!(backend.status(mine, pending).await, of_pending);
        assert_eq!(backend.status(mine, running).await, of_running);
        assert_eq!(backend.status(shared, on_shared).await, Some(RunStatus::Interrupted));
        assert_eq!(backend.claimed_ids().await, [others], "another assistant's run continues");
        if !delete_threads {
            let beat = backend.queue().heartbeat(&[claim.lease()], LEASE).await.expect("a heartbeat");
            assert!(matches!(&beat[0], Heartbeat::Held(Some(_))), "{beat:?}");
        }
        let metadata = backend.row(shared).await.metadata;
        assert_eq!(metadata["assistant_id"], json!(stays.assistant_id), "the thread of the last run's assistant stays");
    }
}

/// Deleting an assistant removes its versions, and on request the threads whose metadata names it.
pub async fn deleting_takes_versions_and_named_threads(backend: &Fixture) {
    for delete_threads in [false, true] {
        let (gone, stays) = (create(backend, "gone", json!({})).await, create(backend, "stays", json!({})).await);
        let mut threads = Vec::new();
        for assistant in [&gone, &stays] {
            let metadata = map(json!({"assistant_id": assistant.assistant_id}));
            let new = NewThread { thread_id: thread_id(), metadata, ttl: None };
            threads
                .push(backend.threads().create_thread(&scope(), new, IfExists::Raise).await.expect("thread").thread_id);
        }
        let id = gone.assistant_id;
        let deleted = backend.assistants().delete_assistant(&scope(), id, delete_threads.then(scope).as_ref()).await;
        let deleted = deleted.expect("delete").threads;
        assert_eq!(deleted, threads[..usize::from(delete_threads)], "the answer lists the removed threads");
        assert_eq!(backend.assistants().assistant(&scope(), id).await.expect("read"), None);
        let versions = backend
            .assistants()
            .assistant_versions(&scope(), id, &AssistantVersionQuery::default().with_limit(10))
            .await
            .expect("versions");
        assert_eq!(versions, [], "the versions are gone");
        let named = backend.threads().thread(&scope(), threads[0]).await.expect("read");
        assert_eq!(named.is_none(), delete_threads, "threads of the assistant, delete_threads={delete_threads}");
        assert!(
            backend.threads().thread(&scope(), threads[1]).await.expect("read").is_some(),
            "another's thread stays"
        );
        assert!(backend.assistants().assistant(&scope(), stays.assistant_id).await.expect("read").is_some());
        refused(backend.assistants().delete_assistant(&scope(), id, None).await, ErrorKind::NotFound, "deleting twice");
    }
}
