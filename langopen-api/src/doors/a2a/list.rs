//! `ListTasks`: pages of tasks, ordered by their last status change, newest first.

use langopen_core::model::RunPosition;
use langopen_core::{RunId, Timestamp};
use rmcp::model::ErrorData;
use serde::{Deserialize, Serialize};

use super::destination::readable;
use super::dialect::State;
use super::endpoint::Answered;
use super::request::Request;
use super::search::{self, Found, Wanted};
use super::shapes::Task;
use super::task;
use crate::doors::json_rpc::{answer, failed, invalid};

const PAGE_SIZE: u32 = 50;
const MAX_PAGE_SIZE: u32 = 100;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Params {
    context_id: Option<String>,
    status: Option<String>,
    page_size: Option<i64>,
    page_token: Option<String>,
    history_length: Option<i64>,
    history_scope: Option<String>,
    status_timestamp_after: Option<String>,
    include_artifacts: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tasks: Vec<Task>,
    total_size: usize,
    /// The number of tasks on this page.
    page_size: usize,
    next_page_token: String,
}

/// The beginning of a page: the position of the last task before it, and the number of tasks on earlier pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    place: RunPosition,
    before: usize,
}

impl Token {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (before, micros, run_id) = (parts.next()?, parts.next()?, parts.next()?);
        let place = (Timestamp::from_micros(micros.parse().ok()?), run_id.parse().ok()?);
        Some(Self { place, before: before.parse().ok()? })
    }

    fn text(self) -> String {
        let (at, RunId(run_id)) = self.place;
        format!("{}.{}.{run_id}", self.before, at.as_micros())
    }
}

pub(super) async fn list(request: &Request) -> Result<Answered, ErrorData> {
    let params: Params = request.params()?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let show = request.show((params.history_length, params.history_scope.as_deref()))?;
    let page_size = match params.page_size {
        None => PAGE_SIZE,
        Some(size) => u32::try_from(size)
            .ok()
            .filter(|size| (1..=MAX_PAGE_SIZE).contains(size))
            .ok_or_else(|| invalid(format!("pageSize must be from 1 to {MAX_PAGE_SIZE}")))?,
    };
    let wrong = |what: &str, text: &str| invalid(format!("Invalid {what}: {text}"));
    let token = match given(params.page_token) {
        None => None,
        Some(token) => Some(Token::parse(&token).ok_or_else(|| wrong("pageToken", &token))?),
    };
    let state = match given(params.status).filter(|state| state != "TASK_STATE_UNSPECIFIED") {
        None => None,
        Some(state) => Some(State::parse(&state).ok_or_else(|| wrong("status", &state))?),
    };
    let since = match given(params.status_timestamp_after) {
        None => None,
        Some(text) => Some(Timestamp::parse(&text).ok_or_else(|| wrong("statusTimestampAfter", &text))?),
    };
    let wanted = Wanted { state, since, after: token.map(|token| token.place), most: page_size as usize };
    let found = match given(params.context_id) {
        Some(id) => match id.parse() {
            Ok(id) => {
                let scope = readable(request, id).await?;
                search::of_context(request, &scope, id, &wanted).await
            }
            // A context is a thread, so its id is a UUID; no context has this id.
            Err(_) => Ok(Found { total: Some(0), ..Found::default() }),
        },
        None => search::of_agent(request, &wanted).await,
    };
    let found = found.map_err(failed)?;

    let before = token.map_or(0, |token| token.before) + found.tasks.len();
    let next = found.next.map_or_else(String::new, |place| Token { place, before }.text());
    // The server does not read further: it knows the tasks up to this page, and whether another page follows.
    let total_size = found.total.unwrap_or(before + usize::from(!next.is_empty()));
    let tasks = found.tasks.iter().map(|(chain, thread)| {
        let mut task = task::shown(request.dialect, chain, thread.as_deref()).task(&show);
        task.artifacts = task.artifacts.filter(|_| params.include_artifacts == Some(true));
        task
    });
    let tasks: Vec<_> = tasks.collect();
    let page_size = tasks.len();
    answer(&Page { tasks, total_size, page_size, next_page_token: next }).map(Answered::Now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn tokens_are_read_as_they_are_written() {
        let token = Token { place: (Timestamp::from_micros(-7), RunId(Uuid::max())), before: 50 };
        assert_eq!(Token::parse(&token.text()), Some(token));
        for text in ["", "1", "1.2", "1.2.x", "-1.2.ffffffff-ffff-ffff-ffff-ffffffffffff", "1..x"] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }
}
