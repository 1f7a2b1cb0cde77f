//! Completes a stream that did not receive all of its run's events: it sends the outcome from the rows, so that the
//! client does not take the stream for complete.

use bytes::Bytes;
use langopen_core::event_log::{Event, EventId};
use langopen_core::model::Run;
use langopen_core::run_service::Completeness;
use langopen_core::{RawJson, Result, RunStatus};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::outcome::{StoredOutcome, unknown_outcome};

/// The outcome of the run as the stream has shown it so far.
#[derive(Default)]
pub(super) struct Shown {
    failed: bool,
    values: Option<Bytes>,
}

impl Shown {
    pub(super) fn note(&mut self, event: &Event) {
        match event.name.as_ref() {
            // A new attempt begins, so the events of earlier attempts no longer count.
            "metadata" => *self = Self::default(),
            "values" => self.values = Some(event.data.clone()),
            "error" => self.failed = true,
            _ => {}
        }
    }

    /// The event that the stream still has to send, given how much the reader received. `stored` reads the rows. A
    /// cancelled run needs none.
    pub(super) async fn rest(
        &self,
        completeness: Completeness,
        stored: impl Future<Output = Result<(Option<Run>, StoredOutcome)>>,
    ) -> Option<Event> {
        match completeness {
            Completeness::Complete => None,
            _ if self.failed => None,
            Completeness::Unknown => Some(unknown_outcome_event()),
            Completeness::Partial => match stored.await {
                Ok((Some(run), outcome)) => self.missed(&run, outcome),
                Ok((None, _)) => Some(unknown_outcome_event()),
                Err(error) => {
                    tracing::error!(error = %error, "the outcome of a run cannot be read");
                    Some(unknown_outcome_event())
                }
            },
        }
    }

    fn missed(&self, run: &Run, outcome: StoredOutcome) -> Option<Event> {
        match outcome {
            StoredOutcome::Nothing => None,
            StoredOutcome::Failed(error) => Some(event("error", text(&error))),
            StoredOutcome::Values(..) if run.status != RunStatus::Success || !streams_values(run) => None,
            StoredOutcome::Values(values, open) => {
                let values = shown(&values?, &open);
                (self.values.as_ref() != Some(&values)).then(|| event("values", values))
            }
        }
    }
}

fn event(name: &str, data: Bytes) -> Event {
    Event { id: EventId::MAX, run_id: None, name: name.into(), data }
}

fn unknown_outcome_event() -> Event {
    event("error", serde_json::to_vec(&unknown_outcome()).unwrap_or_default().into())
}

fn text(json: &RawJson) -> Bytes {
    Bytes::copy_from_slice(json.as_str().as_bytes())
}

/// Values in the form of an event, with the graph's open interrupts.
fn shown(values: &RawJson, open: &[Box<RawValue>]) -> Bytes {
    let Some(fields) = values.as_str().trim_end().strip_suffix('}').filter(|_| !open.is_empty()) else {
        return text(values);
    };
    let open = serde_json::to_string(open).unwrap_or_default();
    let comma = if fields.trim_end().ends_with('{') { "" } else { "," };
    format!("{fields}{comma}\"__interrupt__\":{open}}}").into()
}

fn streams_values(run: &Run) -> bool {
    #[derive(Deserialize)]
    struct Modes {
        stream_mode: Vec<String>,
    }
    run.kwargs.decode::<Modes>().is_ok_and(|modes| modes.stream_mode.iter().any(|mode| mode == "values"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn open_interrupts_follow_the_values() {
        let open: Vec<Box<RawValue>> = serde_json::from_str(r#"[{"id":"i","value":1.50}]"#).unwrap();
        let of = |values: &str, open: &[_]| shown(&RawJson::from_text(values.to_owned()).unwrap(), open);
        assert_eq!(of(r#"{"a":1.50}"#, &[]), r#"{"a":1.50}"#);
        assert_eq!(of(r#"{"a":1.50}"#, &open), r#"{"a":1.50,"__interrupt__":[{"id":"i","value":1.50}]}"#);
        assert_eq!(of("{}", &open), r#"{"__interrupt__":[{"id":"i","value":1.50}]}"#);
        assert_eq!(shown(&json!([1]).into(), &open), "[1]");
    }
}
