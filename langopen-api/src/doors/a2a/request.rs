//! What comes with a method: who asks, and how the answer is to look.

use http::HeaderMap;
use langopen_core::model::Assistant;
use langopen_core::{RawJson, Scope};
use rmcp::model::ErrorData;
use serde::de::DeserializeOwned;

use super::dialect::Dialect;
use super::tools::Shown;
use crate::doors::json_rpc::invalid;
use crate::http::access::Caller;
use crate::http::extract::Forwarded;
use crate::server::App;

/// How many messages of a task's history are shown at most.
const LONGEST_HISTORY: usize = 10;

/// Names the scope of histories in a request's headers.
const SCOPE_HEADER: &str = "langgraph-a2a-history-scope";

/// Which messages a task's history holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HistoryScope {
    /// Those of the context up to the task's end.
    Context,
    /// The task's own.
    Task,
}

/// How tasks are shown.
#[derive(Debug, Clone)]
pub(super) struct Show {
    pub(super) dialect: Dialect,
    pub(super) scope: HistoryScope,
    /// How many messages at most.
    pub(super) history: usize,
    /// Which tools' answers are among them.
    pub(super) tools: Shown,
}

/// A request to an agent.
pub(super) struct Request {
    pub(super) app: App,
    pub(super) caller: Caller,
    pub(super) forwarded: Forwarded,
    pub(super) headers: HeaderMap,
    /// The agent, which the caller may read in `scope`.
    pub(super) assistant: Assistant,
    pub(super) scope: Scope,
    pub(super) dialect: Dialect,
    /// The id of the request.
    pub(super) id: RawJson,
    pub(super) params: RawJson,
    /// Where the agent is talked to, as the client reached it.
    pub(super) address: String,
}

impl Request {
    /// The method's parameters.
    pub(super) fn params<T: DeserializeOwned>(&self) -> Result<T, ErrorData> {
        self.params.decode().map_err(|error| {
            let message = error.to_string();
            let message = message.split_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            invalid(format!("Invalid params: {message}"))
        })
    }

    /// Rows of the caller's deployment, of a thread that the caller was authorized for.
    pub(super) fn rows(&self) -> Scope {
        Scope::tenant(self.caller.identity.tenant.clone())
    }

    /// How tasks are shown with a history of this length and scope.
    ///
    /// # Errors
    /// For a length below zero, and an unknown scope.
    pub(super) fn show(&self, (length, scope): (Option<i64>, Option<&str>)) -> Result<Show, ErrorData> {
        let history = match length {
            None => LONGEST_HISTORY,
            Some(length) => usize::try_from(length).map_err(|_| invalid("historyLength must not be negative"))?,
        };
        let header = || self.headers.get(SCOPE_HEADER).map(|scope| scope.to_str().unwrap_or_default());
        let scope = match scope.or_else(header) {
            None | Some("context") => HistoryScope::Context,
            Some("task") => HistoryScope::Task,
            Some(_) => return Err(invalid("historyScope must be 'context' or 'task'")),
        };
        let tools = self.app.settings.a2a_tool_results.clone();
        Ok(Show { dialect: self.dialect, scope, history: history.min(LONGEST_HISTORY), tools })
    }
}
