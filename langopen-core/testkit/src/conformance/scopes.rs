//! Rows outside of the scope behave as if they did not exist.

use langopen_core::error::ErrorKind::{AlreadyExists, NotFound};
use langopen_core::ids::{AssistantId, ThreadId};
use langopen_core::json::JsonMap;
use langopen_core::model::{
    AssistantPatch, AssistantQuery, AssistantVersionQuery, CheckpointKey, CheckpointList, IfExists, ItemReadOptions,
    NamespaceQuery, NewAssistant, NewRun, NewStoreItem, NewThread, RunQuery, RunThread, StoreItemQuery, ThreadPatch,
    ThreadQuery, ThreadStatus,
};
use langopen_core::run_state::RunStatus;
use langopen_core::tenant::Scope;
use serde_json::json;
use uuid::Uuid;

use super::Fixture;
use super::support::{checkpoint, foreign, interrupt, map, owned_by, raw, refused, scope, state, writes};

fn assistant(id: AssistantId) -> NewAssistant {
    NewAssistant {
        assistant_id: id,
        graph_id: "agent".to_owned(),
        config: JsonMap::new(),
        context: JsonMap::new(),
        metadata: map(json!({"owner": "ada"})),
        name: "mine".to_owned(),
        description: None,
    }
}

/// Tries every operation on an assistant from a scope that hides it.
async fn assistants_are_hidden(backend: &Fixture, id: AssistantId, hidden: &Scope) {
    assert_eq!(backend.assistants().assistant(hidden, id).await.expect("read"), None);
    assert_eq!(
        backend
            .assistants()
            .assistant_versions(hidden, id, &AssistantVersionQuery::default().with_limit(10))
            .await
            .expect("versions"),
        []
    );
    let query = AssistantQuery::default().with_limit(10);
    assert_eq!(backend.assistants().search_assistants(hidden, &query).await.expect("search").items, []);
    refused(backend.assistants().update_assistant(hidden, id, AssistantPatch::default()).await, NotFound, "update");
    refused(backend.assistants().set_latest_assistant(hidden, id, 1).await, NotFound, "set latest");
    assert_eq!(backend.assistants().count_assistants(hidden, &query).await.expect("count"), 0);
    refused(backend.assistants().delete_assistant(hidden, id, Some(&scope())).await, NotFound, "delete");
}

/// Tries every operation on a thread with a pending run and a checkpoint from a scope that hides it.
async fn threads_are_hidden(backend: &Fixture, id: ThreadId, hidden: &Scope) {
    let queue = backend.queue();
    let before = backend.row(id).await;
    let run_id =
        backend.runs().list_runs(&scope(), id, &RunQuery::default().with_limit(1)).await.expect("list").items[0].run_id;
    assert_eq!(backend.threads().thread(hidden, id).await.expect("read"), None);
    let query = ThreadQuery::default().with_limit(10);
    assert_eq!(backend.threads().search_threads(hidden, &query).await.expect("search").items, []);
    assert_eq!(backend.threads().latest_state(hidden, id).await.expect("latest state"), None);
    refused(backend.threads().update_thread(hidden, id, ThreadPatch::default()).await, NotFound, "update");
    refused(backend.threads().copy_thread(hidden, id, super::support::thread_id()).await, NotFound, "copy");
    refused(backend.threads().delete_thread(hidden, id).await, NotFound, "delete");
    let set = backend.threads().set_thread_state(hidden, id, ThreadStatus::Idle, raw(json!({})), state("1", json!({})));
    refused(set.await, NotFound, "set the state");
    for if_exists in [IfExists::Raise, IfExists::DoNothing] {
        let new = NewThread { thread_id: id, metadata: JsonMap::new(), ttl: None };
        refused(backend.threads().create_thread(hidden, new, if_exists).await, AlreadyExists, "create");
    }

    assert_eq!(backend.runs().run(hidden, id, run_id).await.expect("read"), None);
    assert_eq!(
        backend.runs().list_runs(hidden, id, &RunQuery::default().with_limit(10)).await.expect("list").items,
        []
    );
    refused(backend.runs().delete_run(hidden, id, run_id).await, NotFound, "delete a run");
    refused(queue.cancel(hidden, id, run_id, interrupt()).await, NotFound, "cancel a run");
    for (create, kind) in [(true, AlreadyExists), (false, NotFound)] {
        let new = backend.new_run(id);
        let new = NewRun { thread: RunThread { create, ..new.thread.clone() }, ..new };
        refused(queue.enqueue(hidden, new).await, kind, "enqueue on a hidden thread");
    }

    let key = CheckpointKey { thread_id: id, checkpoint_ns: String::new(), checkpoint_id: None };
    assert_eq!(backend.checkpoints().checkpoint(hidden, &key).await.expect("read"), None);
    assert_eq!(backend.checkpoints().list_checkpoints(hidden, id, &CheckpointList::default()).await.expect("list"), []);
    refused(backend.checkpoints().put_checkpoint(hidden, checkpoint(id, "9")).await, NotFound, "put a checkpoint");
    refused(backend.checkpoints().put_writes(hidden, writes(id, "1", vec![])).await, NotFound, "put writes");
    // Removing nothing may succeed; whatever the answer is, the checkpoints must stay.
    let _ = backend.checkpoints().delete_checkpoints(hidden, id, None).await;
    assert_eq!(
        backend.checkpoints().list_checkpoints(&scope(), id, &CheckpointList::default()).await.expect("list").len(),
        1
    );
    assert_eq!(backend.row(id).await, before, "none of the calls changed the row");
}

async fn furnish(backend: &Fixture) -> (AssistantId, ThreadId) {
    let id = AssistantId(Uuid::new_v4());
    backend.assistants().create_assistant(&owned_by("ada"), assistant(id), IfExists::Raise).await.expect("assistant");
    let thread_id = backend.thread_with(json!({"owner": "ada"})).await.thread_id;
    backend.put(checkpoint(thread_id, "1")).await;
    backend.set_state(thread_id, ThreadStatus::Idle, state("1", json!({"n": 1}))).await;
    backend.queue().enqueue(&owned_by("ada"), backend.new_run(thread_id)).await.expect("the owner's run");
    (id, thread_id)
}

/// Another tenant finds nothing and changes nothing.
pub async fn another_tenant_sees_nothing(backend: &Fixture) {
    let (assistant_id, thread_id) = furnish(backend).await;
    assistants_are_hidden(backend, assistant_id, &foreign()).await;
    threads_are_hidden(backend, thread_id, &foreign()).await;
    let claim = backend.claim_one().await;
    assert_eq!(claim.tenant, scope().tenant, "a claim names the run's tenant");
}

/// A filter hides the rows that do not match it and shows those that do.
pub async fn a_filter_hides_rows(backend: &Fixture) {
    let (assistant_id, thread_id) = furnish(backend).await;
    let eve = owned_by("eve");
    assistants_are_hidden(backend, assistant_id, &eve).await;
    for if_exists in [IfExists::Raise, IfExists::DoNothing] {
        let over = backend.assistants().create_assistant(&eve, assistant(assistant_id), if_exists).await;
        refused(over, AlreadyExists, "creating over a hidden assistant");
    }
    let over = backend.assistants().sync_system_assistant(&eve, assistant(assistant_id)).await;
    refused(over, AlreadyExists, "syncing over a hidden assistant");
    threads_are_hidden(backend, thread_id, &owned_by("eve")).await;
    let ada = owned_by("ada");
    assert!(backend.assistants().assistant(&ada, assistant_id).await.expect("read").is_some());
    assert!(backend.threads().thread(&ada, thread_id).await.expect("read").is_some());
    assert!(backend.threads().latest_state(&ada, thread_id).await.expect("latest state").is_some());
    let query = ThreadQuery::default().with_limit(1);
    backend.thread_with(json!({"owner": "eve"})).await;
    let page = backend.threads().search_threads(&ada, &query).await.expect("search");
    assert_eq!((page.items.len(), page.more), (1, false), "hidden rows are neither listed nor counted");
    let runs =
        backend.runs().list_runs(&ada, thread_id, &RunQuery::default().with_limit(10)).await.expect("list").items;
    assert!(backend.runs().run(&ada, thread_id, runs[0].run_id).await.expect("read").is_some());
    let key = CheckpointKey { thread_id, checkpoint_ns: String::new(), checkpoint_id: None };
    assert!(backend.checkpoints().checkpoint(&ada, &key).await.expect("read").is_some());
}

/// System assistants have the same ids in every tenant. No tenant sees or changes another tenant's.
pub async fn tenants_share_assistant_ids(backend: &Fixture) {
    let id = AssistantId::system("agent");
    let patch = |name: &str| AssistantPatch::default().with_name(Some(name.to_owned()));
    let mut runs = Vec::new();
    for (scope, name) in [(scope(), "mine"), (foreign(), "theirs")] {
        let made = backend.assistants().sync_system_assistant(&scope, assistant(id)).await.expect("sync");
        assert_eq!((made.version, made.name.as_str()), (1, "mine"));
        let patched = backend.assistants().update_assistant(&scope, id, patch(name)).await.expect("update");
        assert_eq!((patched.version, patched.name.as_str()), (2, name));
        let new = backend.new_run(super::support::thread_id());
        runs.push(backend.queue().enqueue(&scope, new).await.expect("a run of the assistant").run);
    }
    let foreign_before = backend.assistants().assistant(&foreign(), id).await.expect("read");
    assert_eq!(foreign_before.as_ref().map(|each| each.name.as_str()), Some("theirs"));
    backend.assistants().set_latest_assistant(&scope(), id, 1).await.expect("set latest");
    let query = AssistantQuery::default().with_limit(10);
    for scope in [scope(), foreign()] {
        assert_eq!(backend.assistants().search_assistants(&scope, &query).await.expect("search").items.len(), 1);
        assert_eq!(backend.assistants().count_assistants(&scope, &query).await.expect("count"), 1);
    }
    let ended = backend.assistants().delete_assistant(&scope(), id, Some(&scope())).await.expect("delete");
    let ended: Vec<_> = ended.ended.iter().map(|log| log.run_id).collect();
    assert_eq!(ended, [runs[0].run_id], "its own run alone");
    assert_eq!(backend.assistants().assistant(&scope(), id).await.expect("read"), None);
    assert_eq!(backend.assistants().assistant(&foreign(), id).await.expect("read"), foreign_before);
    let versions = backend
        .assistants()
        .assistant_versions(&foreign(), id, &AssistantVersionQuery::default().with_limit(10))
        .await
        .expect("versions");
    assert_eq!(versions.len(), 2);
    let run = backend.runs().run(&foreign(), runs[1].thread_id, runs[1].run_id).await.expect("read");
    assert_eq!(run.map(|run| run.status), Some(RunStatus::Pending));
    let created =
        backend.assistants().create_assistant(&scope(), assistant(id), IfExists::Raise).await.expect("create anew");
    assert_eq!(created.version, 1);
}

/// Deleting an assistant removes only threads that the scope for threads shows.
pub async fn deleting_with_threads_heeds_their_scope(backend: &Fixture) {
    let (id, mine) = furnish(backend).await;
    let named = |owner: &str| json!({"owner": owner, "assistant_id": id});
    let (shown, hidden) = (backend.thread_with(named("ada")).await, backend.thread_with(named("eve")).await);
    backend.assistants().delete_assistant(&owned_by("ada"), id, Some(&owned_by("ada"))).await.expect("delete");
    for (thread_id, is_there) in [(shown.thread_id, false), (hidden.thread_id, true), (mine, true)] {
        let thread = backend.threads().thread(&scope(), thread_id).await.expect("read");
        assert_eq!(thread.is_some(), is_there, "{thread:?}");
    }
}

/// The ids of rows are unique across tenants: creating with a taken id fails in every tenant.
pub async fn foreign_ids_are_taken(backend: &Fixture) {
    let thread_id = backend.new_thread().await;
    let new = backend.new_run(thread_id);
    let copy = NewRun { thread_id: super::support::thread_id(), ..new.clone() };
    backend.enqueue(new).await;
    refused(backend.queue().enqueue(&foreign(), copy.clone()).await, AlreadyExists, "a foreign run id");
    assert_eq!(backend.threads().thread(&foreign(), copy.thread_id).await.expect("read"), None, "no thread was made");
    let mine = NewThread { thread_id: super::support::thread_id(), metadata: JsonMap::new(), ttl: None };
    backend.threads().create_thread(&foreign(), mine.clone(), IfExists::Raise).await.expect("a foreign thread");
    refused(
        backend.threads().copy_thread(&scope(), thread_id, mine.thread_id).await,
        AlreadyExists,
        "copying to a foreign id",
    );
}

/// Store items belong to a tenant.
pub async fn store_items_belong_to_a_tenant(backend: &Fixture) {
    let namespace = vec!["a".to_owned()];
    let new = NewStoreItem {
        namespace: namespace.clone(),
        key: "k".to_owned(),
        value: raw(json!({})),
        ttl_minutes: None,
        vectors: Vec::new(),
        lease: None,
    };
    backend.items().put_item(&scope(), new).await.expect("put");
    assert_eq!(
        backend.items().item(&foreign(), &namespace, "k", ItemReadOptions::default()).await.expect("read"),
        None
    );
    let query = StoreItemQuery::default().with_limit(10);
    assert_eq!(backend.items().search_items(&foreign(), &query).await.expect("search").items, []);
    let query = NamespaceQuery::default().with_limit(10);
    assert_eq!(backend.items().list_namespaces(&foreign(), &query).await.expect("list"), Vec::<Vec<String>>::new());
    backend.items().delete_item(&foreign(), &namespace, "k", None).await.expect("delete");
    assert!(
        backend.items().item(&scope(), &namespace, "k", ItemReadOptions::default()).await.expect("read").is_some(),
        "another cannot delete it"
    );
}
