//! `ListTasks`: tasks as the runs of threads show them. Whatever the page, it is two queries.

use std::collections::HashMap;

use langopen_core::auth::{Action, Resource};
use langopen_core::model::{RunQuery, SortOrder, Thread, ThreadQuery, ThreadSort, ThreadStatus};
use langopen_core::{JsonMap, Scope, ThreadId, Timestamp};
use rmcp::model::ErrorData;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::chain::Chain;
use super::dialect::State;
use super::endpoint::Answered;
use super::place::readable;
use super::request::Request;
use super::shapes::Task;
use super::task;
use crate::error::ApiResult;
use crate::json_rpc::{answer, failed, invalid};

const PAGE_SIZE: u32 = 50;
const MAX_PAGE_SIZE: u32 = 100;

/// How many contexts are looked at together, those that were used last first; a page does not reach beyond them.
const CONTEXTS: u32 = 50;

/// How many runs of them are looked at, the newest first.
const MOST_RUNS: u32 = 1000;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Params {
    context_id: Option<String>,
    status: Option<String>,
    page_size: Option<i64>,
    page_token: Option<String>,
    history_length: Option<i64>,
    status_timestamp_after: Option<String>,
    include_artifacts: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tasks: Vec<Task>,
    total_size: usize,
    page_size: u32,
    next_page_token: String,
}

/// Where a page begins: after so many contexts, and so many tasks of the next ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Token {
    contexts: u32,
    tasks: usize,
}

impl Token {
    fn parse(text: &str) -> Option<Self> {
        let (contexts, tasks) = text.split_once('.')?;
        Some(Self { contexts: contexts.parse().ok()?, tasks: tasks.parse().ok()? })
    }

    fn text(self) -> String {
        format!("{}.{}", self.contexts, self.tasks)
    }
}

/// Tasks with the rows of their threads, and whether there are more contexts.
struct Found {
    chains: Vec<Chain>,
    threads: HashMap<ThreadId, Thread>,
    more: bool,
}

pub(super) async fn list(request: &Request) -> Result<Answered, ErrorData> {
    let params: Params = request.params()?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let show = request.show(params.history_length)?;
    let page_size = match params.page_size {
        None | Some(0) => PAGE_SIZE,
        Some(size) => u32::try_from(size)
            .ok()
            .filter(|size| *size <= MAX_PAGE_SIZE)
            .ok_or_else(|| invalid(format!("pageSize must be from 1 to {MAX_PAGE_SIZE}")))?,
    };
    let wrong = |what: &str, text: &str| invalid(format!("Invalid {what}: {text}"));
    let token = match given(params.page_token) {
        None => Token::default(),
        Some(token) => Token::parse(&token).ok_or_else(|| wrong("pageToken", &token))?,
    };
    let state = match given(params.status).filter(|state| state != "TASK_STATE_UNSPECIFIED") {
        None => None,
        Some(state) => Some(State::parse(&state).ok_or_else(|| wrong("status", &state))?),
    };
    let since = match given(params.status_timestamp_after) {
        None => None,
        Some(text) => Some(Timestamp::parse(&text).ok_or_else(|| wrong("statusTimestampAfter", &text))?),
    };
    let Found { mut chains, threads, more } = match given(params.context_id) {
        Some(id) => {
            let id = id.parse().map_err(|_| invalid("Invalid context ID: must be a UUID"))?;
            let scope = readable(request, id).await?;
            of_context(request, &scope, id).await
        }
        None => of_agent(request, token.contexts).await,
    }
    .map_err(|error| failed(&error))?;

    chains.retain(|chain| chain.run().assistant_id == request.assistant.assistant_id);
    let waits = |chain: &Chain| {
        let thread = threads.get(&chain.task.thread_id);
        chain.newest && thread.is_some_and(|thread| thread.status == ThreadStatus::Interrupted)
    };
    chains.retain(|chain| state.is_none_or(|wanted| task::state(chain.run(), waits(chain)) == wanted));
    chains.retain(|chain| since.is_none_or(|since| chain.run().updated_at >= since));
    chains.sort_by_key(|chain| std::cmp::Reverse((chain.run().updated_at, chain.run().run_id)));
    let total_size = chains.len();
    let end = token.tasks.saturating_add(page_size as usize);
    let next = match (end < total_size, more) {
        (true, _) => Token { tasks: end, ..token }.text(),
        (false, true) => Token { contexts: token.contexts + CONTEXTS, tasks: 0 }.text(),
        (false, false) => String::new(),
    };
    let page = chains.into_iter().skip(token.tasks).take(page_size as usize);
    let tasks = page.map(|chain| {
        let picture = task::shown(request.dialect, &chain, threads.get(&chain.task.thread_id));
        let mut task = picture.task(show);
        task.artifacts = task.artifacts.filter(|_| params.include_artifacts == Some(true));
        task
    });
    answer(&Page { tasks: tasks.collect(), total_size, page_size, next_page_token: next }).map(Answered::Now)
}

async fn of_context(request: &Request, scope: &Scope, id: ThreadId) -> ApiResult<Found> {
    let storage = &request.app.storage;
    let query = RunQuery { limit: MOST_RUNS, ..RunQuery::default() };
    let runs = storage.list_runs(scope, id, &query).await?.items;
    let threads = storage.thread(scope, id).await?.map(|thread| (id, thread)).into_iter().collect();
    Ok(Found { chains: Chain::all(runs), threads, more: false })
}

/// The tasks of contexts that the agent was the last to be talked to in.
async fn of_agent(request: &Request, offset: u32) -> ApiResult<Found> {
    let agent = request.assistant.assistant_id.to_string();
    let mut query = ThreadQuery {
        metadata: JsonMap::from_iter([("assistant_id".to_owned(), agent.into())]),
        limit: CONTEXTS,
        offset,
        sort_by: ThreadSort::UpdatedAt,
        sort_order: SortOrder::Desc,
        ..ThreadQuery::default()
    };
    let value = || {
        json!({
            "metadata": query.metadata, "values": {}, "status": null, "limit": CONTEXTS, "offset": offset, "ids": null,
            "thread_id": null,
        })
    };
    let mut permit = request.caller.may(Resource::Threads, Action::Search, value).await?;
    query.metadata = permit.object("metadata", query.metadata);
    query.values = permit.object("values", query.values);
    query.status = permit.take("status", query.status)?;
    query.ids = permit.take("ids", query.ids)?;
    let page = request.app.storage.search_threads(&permit.scope, &query).await?;
    let ids: Vec<_> = page.items.iter().map(|thread| thread.thread_id).collect();
    let runs = request.app.storage.runs_of_threads(&permit.scope, &ids, MOST_RUNS).await?;
    let mut by_thread: HashMap<ThreadId, Vec<_>> = HashMap::new();
    for run in runs {
        by_thread.entry(run.thread_id).or_default().push(run);
    }
    let chains = by_thread.into_values().flat_map(Chain::all).collect();
    let threads = page.items.into_iter().map(|thread| (thread.thread_id, thread)).collect();
    Ok(Found { chains, threads, more: page.more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_are_written() {
        let token = Token { contexts: 50, tasks: 7 };
        assert_eq!(Token::parse(&token.text()), Some(token));
        for text in ["", "1", "1.", ".1", "-1.0", "a.b"] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }
}
