//! The place of a `tracing` span in a distributed trace, and how a trace continues in another process or after a wait
//! in the queue.
//!
//! The crates open `tracing` spans and do not depend on OpenTelemetry. A program that exports spans installs a
//! [`Propagator`], which connects both. Without one, tracing costs nothing.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tracing::Span;

use super::HostSpan;

/// The largest `tracestate` that is passed on.
const TRACESTATE_LIMIT: usize = 512;

/// A place in a distributed trace, as the W3C's `traceparent` and `tracestate` headers write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    traceparent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<String>,
}

impl TraceContext {
    /// Reads the headers' values. `None` for a malformed `traceparent`; a `tracestate` that cannot be passed on is
    /// dropped.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        // A later version may append fields after the flags; they are ignored.
        let known = traceparent.get(..55)?;
        let rest = traceparent.get(55..)?;
        let parts: Vec<_> = known.split('-').collect();
        let &[version, trace_id, span_id, flags] = parts.as_slice() else { return None };
        let hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
        let fits = hex(version, 2) && hex(trace_id, 32) && hex(span_id, 16) && hex(flags, 2);
        let later = version != "00" && rest.starts_with('-');
        if !fits || version == "ff" || zero(trace_id) || zero(span_id) || !(rest.is_empty() || later) {
            return None;
        }
        let state = tracestate.filter(|state| !state.is_empty() && state.len() <= TRACESTATE_LIMIT);
        let state = state.filter(|state| state.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        Some(Self { traceparent: format!("00-{trace_id}-{span_id}-{flags}"), tracestate: state.map(str::to_owned) })
    }

    /// `00-<trace id>-<span id>-<flags>`.
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// What vendors added to the trace.
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }

    /// Another span's place in the same trace. `None` for a `span_id` that is not 16 hexadecimal digits, or is zero.
    pub fn with_span_id(&self, span_id: &str) -> Option<Self> {
        let flags = &self.traceparent[53..];
        Self::parse(&format!("00-{}-{span_id}-{flags}", self.trace_id()), self.tracestate())
    }

    /// The trace's id, 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        &self.traceparent[3..35]
    }

    /// The span's id, 16 hexadecimal digits.
    pub fn span_id(&self) -> &str {
        &self.traceparent[36..52]
    }

    /// Whether spans of the trace are recorded.
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(&self.traceparent[53..], 16).is_ok_and(|flags| flags & 1 == 1)
    }
}

/// Connects `tracing` spans with distributed traces, and exports spans.
pub trait Propagator: Send + Sync + 'static {
    /// Makes a span, which has not been entered yet, a child of `parent`.
    fn adopt(&self, span: &Span, parent: &TraceContext);

    /// The span's own place; `None` for a span that is in no trace.
    fn context_of(&self, span: &Span) -> Option<TraceContext>;

    /// Exports a span that ended in a graph host. Must not block: it drops spans that it cannot take.
    fn report(&self, span: HostSpan);
}

static PROPAGATOR: OnceLock<Box<dyn Propagator>> = OnceLock::new();

/// Installs the process's propagator; `false` if there is one already.
pub fn set_propagator(propagator: impl Propagator) -> bool {
    PROPAGATOR.set(Box::new(propagator)).is_ok()
}

/// Makes a span, which has not been entered yet, continue the trace of `parent`.
pub fn adopt(span: &Span, parent: Option<&TraceContext>) {
    if let (Some(propagator), Some(parent)) = (PROPAGATOR.get(), parent) {
        propagator.adopt(span, parent);
    }
}

/// The span's place in its trace, for another process to continue; `None` without a propagator or a trace.
pub fn context_of(span: &Span) -> Option<TraceContext> {
    PROPAGATOR.get()?.context_of(span)
}

/// Exports a span that ended in a graph host, if there is a propagator.
pub fn report(span: HostSpan) {
    if let Some(propagator) = PROPAGATOR.get() {
        propagator.report(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_read_and_written() {
        let context = TraceContext::parse(PARENT, Some("a=b")).unwrap();
        assert_eq!(context.traceparent(), PARENT);
        assert_eq!((context.trace_id(), context.span_id()), ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"));
        assert_eq!((context.is_sampled(), context.tracestate()), (true, Some("a=b")));
        let later = TraceContext::parse(&format!("cc{}-what-ever", &PARENT[2..]), None).unwrap();
        assert_eq!(later.traceparent(), PARENT);
        assert!(!TraceContext::parse(&PARENT.replace("-01", "-02"), None).unwrap().is_sampled());
        assert_eq!(TraceContext::parse(PARENT, Some("a=\n")).unwrap().tracestate(), None);
        let child = context.with_span_id("00000000000000ab").unwrap();
        assert_eq!(child.traceparent(), PARENT.replace("00f067aa0ba902b7", "00000000000000ab"));
        assert_eq!((child.tracestate(), context.with_span_id("ab")), (Some("a=b"), None));
    }

    #[test]
    fn what_is_not_well_formed_is_no_context() {
        let zeros = "0".repeat(32);
        for text in [
            "",
            "00",
            &PARENT[..54],
            &PARENT.to_uppercase(),
            &format!("{PARENT}-more"),
            &format!("ff{}", &PARENT[2..]),
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zeros),
            &PARENT.replace("00f067aa0ba902b7", &zeros[..16]),
            &PARENT.replace('-', "_"),
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(text, None), None, "{text}");
        }
    }
}
