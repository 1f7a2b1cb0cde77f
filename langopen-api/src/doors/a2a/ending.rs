//! The results of runs.

use bytes::Bytes;
use langopen_core::model::{RunError, Thread};
use langopen_core::{RawJson, RawObject};
use serde::{Deserialize, Serialize};

use crate::agent::runs::flatten;

/// The result of a run, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) error: Option<RunError>,
    /// The graph's questions, as `{id, value}`.
    pub(super) interrupts: Vec<Question>,
    /// The values of the graph's state.
    pub(super) values: Option<RawJson>,
    /// Whether the values are those at the run's end. Otherwise they are the thread's, after later runs.
    pub(super) exact: bool,
}

/// A question of a graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Question {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) value: RawJson,
}

impl Ending {
    /// Reads the body that `wait` returns.
    pub(super) fn of_body(body: &Bytes) -> Self {
        let mut values: RawObject = match serde_json::from_slice(body) {
            Ok(values) => values,
            // Only objects can hold failures and questions.
            Err(_) => {
                let values = String::from_utf8_lossy(body).into_owned();
                return Self { values: RawJson::from_text(values).ok(), exact: true, ..Self::default() };
            }
        };
        let error = values.get("__error__").and_then(|error| error.decode().ok());
        let interrupts = values.get("__interrupt__").and_then(|open| open.decode().ok()).unwrap_or_default();
        values.retain(|key, _| key != "__interrupt__" && key != "__error__");
        let values = Some(values).filter(|values| !values.is_empty()).and_then(|values| RawJson::of(&values).ok());
        Self { error, interrupts, values, exact: true }
    }

    /// Reads the row of the thread whose last run it was.
    pub(super) fn of_thread(thread: &Thread) -> Self {
        Self {
            error: thread.error.as_ref().and_then(|error| error.decode().ok()),
            interrupts: open(thread),
            values: thread.values.clone(),
            exact: true,
        }
    }

    /// The result of a run that later runs followed: only the thread's current values are left.
    pub(super) fn outlived(thread: &Thread) -> Self {
        Self { values: thread.values.clone(), ..Self::default() }
    }
}

/// The open questions of a thread's graph.
pub(super) fn open(thread: &Thread) -> Vec<Question> {
    let open = thread.interrupts.as_ref().map(flatten).unwrap_or_default();
    open.iter().filter_map(|question| serde_json::from_str(question.get()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_wait_is_split() {
        let of = |text: &'static str| Ending::of_body(&Bytes::from_static(text.as_bytes()));
        let values = |ending: &Ending| ending.values.as_ref().map(|values| values.as_str().to_owned());
        let asked = of(r#"{"a":1.50,"__interrupt__":[{"value":"sure?","id":"i","ns":[]}]}"#);
        assert_eq!(values(&asked).as_deref(), Some(r#"{"a":1.50}"#));
        let question = Question { id: Some("i".to_owned()), value: RawJson::from(serde_json::Value::from("sure?")) };
        assert_eq!(asked.interrupts, [question]);
        let failed = of(r#"{"__error__":{"error":"ValueError","message":"no"}}"#);
        assert_eq!((values(&failed), failed.error.map(|error| error.error).as_deref()), (None, Some("ValueError")));
        assert_eq!(values(&of("[1]")).as_deref(), Some("[1]"));
        assert_eq!(values(&of("{}")), None);
    }
}
