//! A request: its caller, its parameters, and the form of its answer.

use http::HeaderMap;
use langopen_core::model::Assistant;
use langopen_core::{RawJson, Scope};
use rmcp::model::ErrorData;
use serde::de::DeserializeOwned;

use super::dialect::Dialect;
use super::fields::KnownFields;
use super::tools::Shown;
use crate::agent::App;
use crate::agent::Forwarded;
use crate::doors::json_rpc::invalid;
use crate::http::access::Caller;

/// The most messages in a task's history.
const LONGEST_HISTORY: usize = 10;

/// The header with the scope of histories.
const SCOPE_HEADER: &str = "langgraph-a2a-history-scope";

/// The messages in a task's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HistoryScope {
    /// All messages of the context up to the task's end.
    Context,
    /// Only the task's messages.
    Task,
}

/// How answers show tasks.
#[derive(Debug, Clone)]
pub(super) struct Show {
    pub(super) dialect: Dialect,
    pub(super) scope: HistoryScope,
    /// The most messages in the history.
    pub(super) history: usize,
    /// The tools whose answers the history includes.
    pub(super) tools: Shown,
}

/// A request to an agent.
pub(super) struct Request {
    pub(super) app: App,
    pub(super) caller: Caller,
    pub(super) forwarded: Forwarded,
    pub(super) headers: HeaderMap,
    /// The agent. The caller may read it in `scope`.
    pub(super) assistant: Assistant,
    pub(super) scope: Scope,
    pub(super) dialect: Dialect,
    /// The request's JSON-RPC id.
    pub(super) id: RawJson,
    pub(super) params: RawJson,
    pub(super) known_fields: KnownFields,
    /// The agent's URL, as the client reached it.
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

    /// The scope of the caller's deployment. It is for threads that the caller is already authorized for.
    pub(super) fn rows(&self) -> Scope {
        Scope::tenant(self.caller.identity.tenant.clone())
    }

    /// How to show tasks with a history of this length and scope.
    ///
    /// # Errors
    /// If the length is negative or the scope is unknown.
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
