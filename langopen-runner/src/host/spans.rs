//! Exports spans of runs. A host has no exporter, so it reports its spans to this process.

use langopen_core::executor::RunJob;
use langopen_core::telemetry::{self, AttributeValue, HostSpan, TraceContext};
use tracing::{Span, debug};

use super::Host;
use crate::frame::payload::{RunTrace, SpanReport, from_json};

/// The most attributes of a host's span.
const ATTRIBUTES: usize = 64;

/// The longest name, and the longest text of an attribute or an error, in characters.
const TEXT: usize = 4096;

/// The trace that a run's spans belong to, and the ids that each span gets.
#[derive(Debug, Clone)]
pub(super) struct Traced {
    context: TraceContext,
    ids: Vec<(&'static str, AttributeValue)>,
}

impl Traced {
    /// The current span's trace, if it is recorded.
    pub(super) fn of(job: &RunJob) -> Option<Self> {
        let context = telemetry::context_of(&Span::current()).filter(TraceContext::is_sampled)?;
        Some(Self { context, ids: telemetry::run_ids(&job.run, job.context.tenant()) })
    }

    fn span(&self, report: SpanReport) -> Option<HostSpan> {
        let context = self.context.with_span_id(&report.span_id)?;
        let parent = self.context.with_span_id(&report.parent_span_id)?;
        // Names without a dot are reserved for the platform.
        let own = report.attributes.into_iter().filter(|(name, _)| name.contains('.'));
        let own = own.take(ATTRIBUTES).map(|(name, value)| (cut(name), bounded(value)));
        let ids = self.ids.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Some(HostSpan {
            context,
            parent_span_id: parent.span_id().to_owned(),
            name: cut(report.name),
            start: report.start,
            end: report.end.max(report.start),
            attributes: ids.chain(own).collect(),
            error: report.error.map(cut),
        })
    }
}

/// The trace for a run's host. If this process does not export the trace, the application's own spans can still join
/// the client's trace.
pub(super) fn of_run<'a>(job: &'a RunJob, traced: Option<&'a Traced>) -> Option<RunTrace<'a>> {
    match traced {
        Some(traced) => Some(RunTrace { context: &traced.context, report: true }),
        None => job.run.origin.trace.as_ref().map(|context| RunTrace { context, report: false }),
    }
}

/// Exports the span of a SPAN frame, if its run is in flight.
pub(super) fn report(host: &Host, run: u32, payload: &[u8]) {
    let Some(traced) = host.runs.lock().get(&run).and_then(|run| run.traced.clone()) else { return };
    match from_json::<SpanReport>("host.span", payload).map(|report| traced.span(report)) {
        Ok(Some(span)) => telemetry::report(span),
        Ok(None) => debug!(host = host.number, "a graph host reported a span without ids"),
        Err(error) => debug!(host = host.number, %error, "cannot decode a span of a graph host"),
    }
}

fn bounded(value: AttributeValue) -> AttributeValue {
    match value {
        AttributeValue::Text(text) => AttributeValue::Text(cut(text)),
        other => other,
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TEXT) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traced() -> Traced {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        Traced { context: TraceContext::parse(parent, None).unwrap(), ids: vec![("run_id", "r".into())] }
    }

    fn read(json: &str) -> Option<HostSpan> {
        traced().span(from_json("test", json.as_bytes()).unwrap())
    }

    #[test]
    fn a_span_stays_in_the_runs_trace_and_gets_its_ids() {
        let span = read(
            r#"{"span_id": "00000000000000aa", "parent_span_id": "00f067aa0ba902b7", "name": "node a", "start": 5,
                "end": 4, "attributes": {"langgraph.step": 1, "a.x": 1.5, "a.y": true, "a.z": "t", "run_id": "x"}, "error": "E: no"}"#,
        )
        .unwrap();
        assert_eq!(span.context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((span.context.span_id(), &*span.parent_span_id), ("00000000000000aa", "00f067aa0ba902b7"));
        assert_eq!((span.start, span.end, span.error.as_deref()), (5, 5, Some("E: no")));
        assert_eq!(span.attributes[0], ("run_id".to_owned(), "r".into()));
        assert!(span.attributes.contains(&("langgraph.step".to_owned(), AttributeValue::Integer(1))));
        assert_eq!(span.attributes.len(), 5);
    }

    #[test]
    fn what_a_host_invents_is_bounded() {
        let ids = r#""span_id": "00000000000000aa", "parent_span_id": "00f067aa0ba902b7", "start": 1, "end": 2"#;
        let attributes: Vec<_> = (0..100).map(|number| format!(r#""a.{number}": 1"#)).collect();
        let json =
            format!(r#"{{{ids}, "name": "{}", "attributes": {{{}}}}}"#, "\u{e9}".repeat(5000), attributes.join(","));
        let span = read(&json).unwrap();
        assert_eq!((span.name.chars().count(), span.attributes.len()), (TEXT, ATTRIBUTES + 1));
        assert_eq!(read(r#"{"span_id": "x", "parent_span_id": "y", "name": "n", "start": 1, "end": 2}"#), None);
    }
}
