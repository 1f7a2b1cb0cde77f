//! Crons: creating, changing and finding them.

use std::time::Duration;

use langopen_core::clock::Timestamp;
use langopen_core::error::ErrorKind::{AlreadyExists, Invalid, NotFound};
use langopen_core::ids::{AssistantId, CronId, ThreadId};
use langopen_core::json::{JsonMap, RawObject};
use langopen_core::model::{
    Cron, CronCreator, CronPatch, CronQuery, CronSort, IfExists, NewAssistant, NewCron, OnCompletion, SortOrder,
};
use langopen_core::tenant::Scope;
use serde_json::json;
use uuid::Uuid;

use super::Fixture;
use super::support::{foreign, map, owned_by, raw, refused, scope};

pub(super) const MINUTE: Duration = Duration::from_secs(60);

impl Fixture {
    pub(super) async fn new_assistant(&self) -> AssistantId {
        let new = NewAssistant {
            assistant_id: AssistantId(Uuid::new_v4()),
            graph_id: "agent".to_owned(),
            config: JsonMap::new(),
            context: JsonMap::new(),
            metadata: JsonMap::new(),
            name: "mine".to_owned(),
            description: None,
        };
        let assistant = self.assistants().create_assistant(&scope(), new, IfExists::Raise).await;
        assistant.expect("a new assistant").assistant_id
    }

    /// A cron that fires each minute, without a thread.
    pub(super) fn new_cron(&self, assistant_id: AssistantId) -> NewCron {
        NewCron {
            cron_id: CronId(Uuid::now_v7()),
            assistant_id,
            thread_id: None,
            creator: CronCreator {
                identity: "ada".to_owned(),
                permissions: vec!["read".to_owned()],
                user: Some(map(json!({"identity": "ada", "team": 7}))),
            },
            schedule: "* * * * *".to_owned(),
            timezone: None,
            end_time: None,
            payload: raw(json!({"schedule": "* * * * *", "input": {"n": 1}})),
            metadata: map(json!({"owner": "ada"})),
            on_run_completed: Some(OnCompletion::Delete),
            enabled: true,
        }
    }

    pub(super) async fn add_cron(&self, new: NewCron) -> Cron {
        self.crons().create_cron(&scope(), new).await.expect("a new cron")
    }

    pub(super) async fn patch_cron(&self, id: CronId, patch: CronPatch) -> Cron {
        self.crons().update_cron(&scope(), id, patch).await.expect("a changed cron")
    }

    /// The next full minute.
    pub(super) fn next_minute(&self) -> Timestamp {
        let minute = 60_000_000;
        Timestamp::from_micros((self.now().as_micros() / minute + 1) * minute)
    }
}

async fn found(backend: &Fixture, scope: &Scope, query: CronQuery) -> Vec<CronId> {
    let limit = if query.limit == 0 { 100 } else { query.limit };
    let query = query.with_limit(limit);
    let page = backend.crons().search_crons(scope, &query).await.expect("search");
    page.items.iter().map(|cron| cron.cron_id).collect()
}

/// A cron is returned as it was created, with its next moment.
pub async fn a_new_cron_knows_its_next_moment(backend: &Fixture) {
    let assistant_id = backend.new_assistant().await;
    let new = NewCron { thread_id: Some(backend.new_thread().await), ..backend.new_cron(assistant_id) };
    let cron = backend.add_cron(new.clone()).await;
    assert_eq!(cron.next_run_date, Some(backend.next_minute()));
    assert_eq!((cron.created_at, cron.updated_at), (backend.now(), backend.now()));
    assert_eq!((&cron.creator, &cron.metadata, &cron.payload), (&new.creator, &new.metadata, &new.payload));
    assert_eq!((cron.thread_id, cron.on_run_completed), (new.thread_id, new.on_run_completed));
    assert_eq!(backend.crons().cron(&scope(), cron.cron_id).await.expect("read"), Some(cron));
    let late = backend.add_cron(NewCron { end_time: Some(backend.now()), ..backend.new_cron(assistant_id) }).await;
    assert_eq!(late.next_run_date, None, "its end lies before its first moment");
}

/// An invalid cron is refused, and nothing is stored.
pub async fn a_bad_cron_is_refused(backend: &Fixture) {
    let assistant_id = backend.new_assistant().await;
    let good = backend.new_cron(assistant_id);
    let nowhere = backend.new_cron(AssistantId(Uuid::new_v4()));
    let no_thread = NewCron { thread_id: Some(ThreadId(Uuid::new_v4())), ..good.clone() };
    let create = async |scope: Scope, new: NewCron| backend.crons().create_cron(&scope, new).await;
    refused(create(scope(), nowhere).await, NotFound, "a missing assistant");
    refused(create(scope(), no_thread).await, NotFound, "a missing thread");
    refused(create(foreign(), good.clone()).await, NotFound, "a foreign assistant");
    for schedule in ["bad", "0 0 31 2 *"] {
        let bad = NewCron { schedule: schedule.to_owned(), ..good.clone() };
        refused(create(scope(), bad).await, Invalid, "a bad schedule");
    }
    let bad = NewCron { timezone: Some("Mars/X".to_owned()), ..good.clone() };
    refused(create(scope(), bad).await, Invalid, "a bad time zone");
    assert_eq!(backend.crons().cron(&scope(), good.cron_id).await.expect("read"), None);
    backend.add_cron(good.clone()).await;
    refused(create(scope(), good).await, AlreadyExists, "a taken id");
}

/// A patch merges documents and leaves unset fields unchanged.
pub async fn a_patch_merges_documents(backend: &Fixture) {
    let before = backend.add_cron(backend.new_cron(backend.new_assistant().await)).await;
    backend.clock.advance(Duration::from_secs(1));
    let mut payload = RawObject::default();
    payload.insert("input", raw(json!({"m": 2})));
    payload.insert("webhook", raw(json!("https://example.com")));
    let metadata = map(json!({"more": 1}));
    let keep = Some(OnCompletion::Keep);
    let patch = CronPatch::default().with_payload(payload).with_metadata(metadata).with_on_run_completed(keep);
    let after = backend.patch_cron(before.cron_id, patch).await;
    assert_eq!(after.payload.as_str(), r#"{"schedule":"* * * * *","input":{"m":2},"webhook":"https://example.com"}"#);
    assert_eq!((after.metadata.clone(), after.on_run_completed), (map(json!({"owner": "ada", "more": 1})), keep));
    assert_eq!((after.updated_at, after.created_at), (backend.now(), before.created_at));
    assert_eq!((&after.schedule, after.next_run_date), (&before.schedule, before.next_run_date));
    assert_eq!(backend.crons().cron(&scope(), before.cron_id).await.expect("read"), Some(after.clone()));
    let bad = CronPatch::default().with_timezone(Some("Mars/X".to_owned()));
    refused(backend.crons().update_cron(&scope(), before.cron_id, bad).await, Invalid, "a bad time zone");
    assert_eq!(backend.crons().cron(&scope(), before.cron_id).await.expect("read"), Some(after));
    let thread_id = Some(backend.new_thread().await);
    let new = NewCron { thread_id, on_run_completed: None, ..backend.new_cron(before.assistant_id) };
    let id = backend.add_cron(new).await.cron_id;
    let patch = CronPatch::default().with_on_run_completed(keep);
    assert_eq!(backend.patch_cron(id, patch).await.on_run_completed, None, "a thread's cron makes no threads");
}

/// Changing the schedule, the time zone or the end, and enabling, compute the next moment anew.
pub async fn a_patch_moves_the_next_moment(backend: &Fixture) {
    let cron = backend.add_cron(backend.new_cron(backend.new_assistant().await)).await;
    let patch = async |patch: CronPatch| backend.patch_cron(cron.cron_id, patch).await.next_run_date;
    let minute = backend.next_minute();
    let day = CronPatch::default().with_schedule(Some("0 12 * * *".to_owned()));
    let noon = patch(day).await.expect("a next moment");
    assert_eq!(noon.as_micros() % 86_400_000_000, 43_200_000_000);
    let zone = CronPatch::default().with_timezone(Some("Asia/Tokyo".to_owned()));
    assert_eq!(patch(zone).await.expect("a next moment").as_micros() % 86_400_000_000, 10_800_000_000);
    let ends = |at: Option<Timestamp>| CronPatch::default().with_end_time(Some(at));
    assert_eq!(patch(ends(Some(backend.now().plus(MINUTE)))).await, None, "it ends before its next moment");
    assert!(patch(ends(None)).await.is_some(), "without an end the cron continues");
    let each_minute = CronPatch::default().with_schedule(Some("* * * * *".to_owned()));
    assert_eq!(patch(each_minute).await, Some(minute));
    let enabled = |enabled: bool| CronPatch::default().with_enabled(Some(enabled));
    assert_eq!(patch(enabled(false)).await, Some(minute));
    backend.clock.advance(MINUTE * 10);
    assert_eq!(patch(CronPatch::default()).await, Some(minute), "a disabled cron does not move on");
    assert_eq!(patch(enabled(true)).await, Some(backend.next_minute()), "missed firings are not repeated");
    backend.clock.advance(MINUTE);
    let due = Some(backend.next_minute()).map(|next| Timestamp::from_micros(next.as_micros() - 60_000_000));
    assert_eq!(patch(enabled(true)).await, due, "a firing that is due is not lost by a patch");
}

/// Search filters, sorts and pages; counts ignore pages.
pub async fn search_filters_sorts_and_pages(backend: &Fixture) {
    let (one, two) = (backend.new_assistant().await, backend.new_assistant().await);
    let thread_id = Some(backend.new_thread().await);
    let mut ids = Vec::new();
    for (n, new) in [
        backend.new_cron(one),
        NewCron { thread_id, schedule: "0 0 1 1 *".to_owned(), ..backend.new_cron(one) },
        NewCron { enabled: false, metadata: map(json!({"deep": {"a": 1, "b": 2}})), ..backend.new_cron(two) },
        NewCron { end_time: Some(backend.now()), ..backend.new_cron(two) },
    ]
    .into_iter()
    .enumerate()
    {
        backend.clock.advance(Duration::from_micros(n as u64));
        ids.push(backend.add_cron(new).await.cron_id);
    }
    let all = CronQuery::default;
    let search = async |query: CronQuery| found(backend, &scope(), query).await;
    assert_eq!(search(all()).await, [ids[3], ids[2], ids[1], ids[0]], "newest first");
    assert_eq!(search(all().with_assistant_id(Some(one))).await, [ids[1], ids[0]]);
    assert_eq!(search(all().with_thread_id(thread_id)).await, [ids[1]]);
    assert_eq!(search(all().with_enabled(Some(false))).await, [ids[2]]);
    assert_eq!(search(all().with_metadata(map(json!({"deep": {"b": 2}})))).await, [ids[2]]);
    assert_eq!(search(all().with_limit(2).with_offset(1)).await, [ids[2], ids[1]]);
    for (sort_order, first) in [(SortOrder::Asc, [ids[0], ids[2]]), (SortOrder::Desc, [ids[1], ids[2]])] {
        let sorted = search(all().with_sort_by(CronSort::NextRunDate).with_sort_order(sort_order)).await;
        assert_eq!((sorted[0], sorted[3]), (first[0], ids[3]), "by the next moment; without one last");
        let sorted = search(all().with_sort_by(CronSort::EndTime).with_sort_order(sort_order)).await;
        assert_eq!(sorted[0], ids[3], "crons without an end are last");
        let sorted = search(all().with_sort_by(CronSort::ThreadId).with_sort_order(sort_order)).await;
        assert_eq!(sorted[0], ids[1]);
    }
    let count = async |query: CronQuery| backend.crons().count_crons(&scope(), &query).await.expect("count");
    assert_eq!(count(all().with_limit(1).with_offset(3)).await, 4);
    assert_eq!(count(all().with_assistant_id(Some(two)).with_enabled(Some(true))).await, 1);
}

/// Crons outside of the scope behave as if they did not exist.
pub async fn crons_are_hidden(backend: &Fixture) {
    let cron = backend.add_cron(backend.new_cron(backend.new_assistant().await)).await;
    let id = cron.cron_id;
    for hidden in [foreign(), owned_by("eve")] {
        assert_eq!(backend.crons().cron(&hidden, id).await.expect("read"), None);
        refused(backend.crons().update_cron(&hidden, id, CronPatch::default()).await, NotFound, "update");
        refused(backend.crons().delete_cron(&hidden, id).await, NotFound, "delete");
        assert_eq!(found(backend, &hidden, CronQuery::default()).await, []);
        assert_eq!(backend.crons().count_crons(&hidden, &CronQuery::default()).await.expect("count"), 0);
    }
    let ada = owned_by("ada");
    assert_eq!(backend.crons().cron(&ada, id).await.expect("read"), Some(cron));
    assert_eq!(found(backend, &ada, CronQuery::default()).await, [id]);
    backend.crons().delete_cron(&ada, id).await.expect("delete");
    refused(backend.crons().delete_cron(&ada, id).await, NotFound, "it is gone");
}

/// A cron is removed with its assistant and with its thread.
pub async fn crons_go_with_what_they_hang_on(backend: &Fixture) {
    let (one, two) = (backend.new_assistant().await, backend.new_assistant().await);
    let thread_id = backend.new_thread().await;
    let on_thread = |assistant_id| NewCron { thread_id: Some(thread_id), ..backend.new_cron(assistant_id) };
    for new in [backend.new_cron(one), on_thread(one), on_thread(two)] {
        backend.add_cron(new).await;
    }
    let stays = backend.add_cron(backend.new_cron(two)).await.cron_id;
    backend.assistants().delete_assistant(&scope(), one, None).await.expect("delete the assistant");
    assert_eq!(found(backend, &scope(), CronQuery::default()).await.len(), 2);
    backend.threads().delete_thread(&scope(), thread_id).await.expect("delete the thread");
    assert_eq!(found(backend, &scope(), CronQuery::default()).await, [stays]);
}
