//! The failures and questions of nodes.

use std::error::Error as StdError;
use std::fmt;

use langopen_core::error::Error;
use langopen_core::model::RunError;
use serde_json::{Value, json};

/// The message that clients see if the real one is hidden.
const MASK: &str = "An internal error occurred";

/// Why a node ended early: it failed, or it asked a question
/// ([`NodeContext::interrupt`](super::NodeContext::interrupt)).
///
/// [`NodeError::new`] shows its class and message to clients. The operator `?` converts other errors: clients see the
/// class, and only the log has the text. The message of a [`langopen_core::Error`] is written for clients, so they see
/// it too.
pub struct NodeError(pub(super) Cause);

pub(super) enum Cause {
    Failed(Failure),
    /// The questions; empty if the graph stopped at a configured node.
    Interrupted(Vec<Interrupt>),
}

/// A failure, for clients and for the log.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) class: String,
    /// The message; `None` if clients may not see it.
    pub(super) message: Option<String>,
    pub(super) detail: String,
    pub(super) retryable: bool,
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Interrupt {
    pub(super) id: String,
    pub(super) value: Value,
}

impl NodeError {
    /// A failure that clients see completely: `class` is the error's name, e.g. `ValueError`.
    pub fn new(class: impl Into<String>, message: impl Into<String>) -> Self {
        let (class, message) = (class.into(), message.into());
        let detail = format!("{class}: {message}");
        Self(Cause::Failed(Failure { class, message: Some(message), detail, retryable: false }))
    }

    /// A failure of which clients see only the class; `detail` goes to the log.
    pub fn masked(class: impl Into<String>, detail: impl Into<String>) -> Self {
        let failure = Failure { class: class.into(), message: None, detail: detail.into(), retryable: false };
        Self(Cause::Failed(failure))
    }

    /// A failure because the graph or its input requests something impossible.
    pub(super) fn invalid_update(message: impl Into<String>) -> Self {
        Self::new("InvalidUpdateError", message)
    }

    pub(super) fn interrupted(interrupts: Vec<Interrupt>) -> Self {
        Self(Cause::Interrupted(interrupts))
    }

    /// Converts the failure to the answer of a call that the graph rejected.
    pub(super) fn refusal(self, operation: &'static str) -> Error {
        let message = match self.0 {
            Cause::Failed(failure) => failure.message.unwrap_or_else(|| MASK.to_owned()),
            Cause::Interrupted(_) => "the graph stopped to ask a question".to_owned(),
        };
        Error::new(langopen_core::ErrorKind::Graph, operation, message)
    }
}

impl fmt::Debug for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Failed(failure) => f.write_str(&failure.detail),
            Cause::Interrupted(interrupts) => write!(f, "interrupted by {interrupts:?}"),
        }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for NodeError {
    fn from(error: E) -> Self {
        let mut detail = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            detail = format!("{detail}: {cause}");
            source = cause.source();
        }
        // The texts of this error type are written for clients.
        let any: &(dyn StdError + 'static) = &error;
        let own = any.downcast_ref::<Error>();
        let class = std::any::type_name::<E>().rsplit("::").next().unwrap_or("Error").trim_end_matches('>').to_owned();
        Self(Cause::Failed(Failure {
            class,
            message: own.map(|error| error.message().to_owned()),
            detail,
            retryable: own
                .is_some_and(|error| error.is_retryable() || error.kind() == langopen_core::ErrorKind::LeaseLost),
        }))
    }
}

impl Failure {
    /// The failure as clients see it.
    pub(super) fn public(&self) -> RunError {
        let message = self.message.as_deref().unwrap_or(MASK).to_owned();
        RunError { error: self.class.clone(), message }
    }

    /// The failure as a task of a state shows it.
    pub(super) fn shown(&self) -> Value {
        let RunError { error, message } = self.public();
        Value::String(format!("{error}({})", quoted(&message)))
    }
}

/// A quoted text, in the form in which LangGraph shows the text of an error.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::from(quote);
    for character in text.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            other if other == quote => quoted.extend(['\\', quote]),
            other => quoted.push(other),
        }
    }
    quoted.push(quote);
    quoted
}

impl Interrupt {
    /// The question as a state shows it.
    pub(super) fn shown(&self) -> Value {
        json!({"id": self.id, "value": self.value})
    }

    /// The question as events show it.
    pub(super) fn event(&self) -> Value {
        json!({"value": self.value, "id": self.id, "response_schema": null})
    }

    /// Reads [`Interrupt::shown`].
    pub(super) fn read(stored: &Value) -> Option<Self> {
        Some(Self { id: stored.get("id")?.as_str()?.to_owned(), value: stored.get("value")?.clone() })
    }
}
