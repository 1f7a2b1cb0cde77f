//! How a node fails, or stops to ask.

use std::error::Error as StdError;
use std::fmt;

use langopen_core::error::Error;
use langopen_core::model::RunError;
use serde_json::{Value, json};

/// What clients read of a failure whose text is not for them.
const MASK: &str = "An internal error occurred";

/// Why a node did not come to its end: it failed, or it asked something ([`NodeContext::interrupt`](super::NodeContext::interrupt)).
///
/// What `?` makes of any other error shows clients the error's class and hides its text, which the log has; [`NodeError::new`] shows both.
pub struct NodeError(pub(super) Cause);

pub(super) enum Cause {
    Failed(Failure),
    /// The questions; none when the graph stops where it was told to.
    Interrupted(Vec<Interrupt>),
}

/// A failure, as clients and the log see it.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) class: String,
    /// The text; `None` where clients may not see it.
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
    /// A failure that clients see whole: `class` as the error's name, e.g. `ValueError`, and `message`.
    pub fn new(class: impl Into<String>, message: impl Into<String>) -> Self {
        let (class, message) = (class.into(), message.into());
        let detail = format!("{class}: {message}");
        Self(Cause::Failed(Failure { class, message: Some(message), detail, retryable: false }))
    }

    /// A failure of which clients see the class alone; `detail` is for the log.
    pub fn masked(class: impl Into<String>, detail: impl Into<String>) -> Self {
        let failure = Failure { class: class.into(), message: None, detail: detail.into(), retryable: false };
        Self(Cause::Failed(failure))
    }

    /// The graph or its input asks for something that cannot be.
    pub(super) fn invalid_update(message: impl Into<String>) -> Self {
        Self::new("InvalidUpdateError", message)
    }

    pub(super) fn interrupted(interrupts: Vec<Interrupt>) -> Self {
        Self(Cause::Interrupted(interrupts))
    }

    /// As an answer to a call: the graph refused it.
    pub(super) fn refusal(self, operation: &'static str) -> Error {
        let message = match self.0 {
            Cause::Failed(failure) => failure.message.unwrap_or_else(|| MASK.to_owned()),
            Cause::Interrupted(_) => "the graph stopped to ask".to_owned(),
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
        // Errors of this crate have texts for clients.
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
    /// As clients see it.
    pub(super) fn public(&self) -> RunError {
        let message = self.message.as_deref().unwrap_or(MASK).to_owned();
        RunError { error: self.class.clone(), message }
    }

    /// As a task of the state shows it.
    pub(super) fn shown(&self) -> Value {
        let RunError { error, message } = self.public();
        Value::String(format!("{error}({})", quoted(&message)))
    }
}

/// A text in quotes, as LangGraph shows the text of an error.
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
    /// As a state shows it.
    pub(super) fn shown(&self) -> Value {
        json!({"id": self.id, "value": self.value})
    }

    /// As events show it.
    pub(super) fn told(&self) -> Value {
        json!({"value": self.value, "id": self.id, "response_schema": null})
    }

    /// Reads [`Interrupt::shown`].
    pub(super) fn read(kept: &Value) -> Option<Self> {
        Some(Self { id: kept.get("id")?.as_str()?.to_owned(), value: kept.get("value")?.clone() })
    }
}
