"""Spans of a run: the graph, its nodes, and the models, tools and retrievers that they call.

The runner exports them, so the host needs nothing of OpenTelemetry. If the application's environment has it, the host
makes the run's span the current one, and the application's own spans join the trace. A span never holds the inputs and
outputs of a graph.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.constants import TAG_HIDDEN
from langgraph.errors import GraphBubbleUp, GraphInterrupt

from langopen_host import frames
from langopen_host.connection import Connection
from langopen_host.primitives import get_ident, time_ns, urandom
from langopen_host.serialize import dumps

logger = logging.getLogger("langopen")
# The most spans of one run, so that a graph that loops for hours does not flood the collector.
MAX_SPANS = 10_000
_STEP = "graph:step:"
# The modules of OpenTelemetry's API, if the application has it: (context, trace).
_otel: tuple[Any, Any] | None = None


class Span:
    """An open span."""

    __slots__ = ("attributes", "name", "parent", "span_id", "start")

    def __init__(self, name: str, parent: str, attributes: dict[str, Any]) -> None:
        self.name = name
        self.parent = parent
        self.attributes = attributes
        self.span_id = urandom(8).hex()
        self.start = time_ns()


class Trace:
    """A run's place in a distributed trace: `given` is `trace` of the RUN frame."""

    def __init__(self, connection: Connection, handle: int, given: dict[str, Any], graph_id: str) -> None:
        self._given = given
        self._reporter = Reporter(connection, handle, given, graph_id) if given["report"] else None

    @property
    def callbacks(self) -> list[BaseCallbackHandler]:
        """The callbacks that observe the graph."""
        return [] if self._reporter is None else [self._reporter]

    def enter(self) -> None:
        """Makes the run's span the current one of its task, for OpenTelemetry."""
        traceparent = self._given["traceparent"]
        if self._reporter is not None:
            traceparent = self._reporter.traceparent(self._reporter.root.span_id)
        _make_current(traceparent, self._given.get("tracestate"))

    def finish(self, error: BaseException | None, cancelled: bool) -> None:
        """Ends the run's span and all open spans below it."""
        if self._reporter is not None:
            self._reporter.finish(error, cancelled)


class Reporter(BaseCallbackHandler):
    """Observes a graph and sends SPAN frames. The loop's thread and threads of sync nodes call it."""

    # Callbacks run in the caller's context, so they can make a node's span the current one.
    run_inline = True

    def __init__(self, connection: Connection, handle: int, given: dict[str, Any], graph_id: str) -> None:
        self._connection = connection
        self._handle = handle
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        version, trace_id, parent, flags = given["traceparent"].split("-")
        self._form = f"{version}-{trace_id}-{{}}-{flags}"
        self._tracestate = given.get("tracestate")
        self.root = Span(f"graph {graph_id}", parent, {})
        # The span of each open step; for a step without a span, the id of the enclosing span.
        self._open: dict[UUID, Span | str] = {}
        self._begun = 0
        self._finished = False

    def traceparent(self, span_id: str) -> str:
        return self._form.format(span_id)

    def finish(self, error: BaseException | None, cancelled: bool) -> None:
        if self._finished:
            return
        for left in list(self._open.values()):
            if isinstance(left, Span):
                left.attributes["langopen.cut_off"] = True
                self._end(left)
        self._open.clear()
        if cancelled:
            self.root.attributes["langopen.cancelled"] = True
        if self._begun > MAX_SPANS:
            self.root.attributes["langopen.spans_left_out"] = self._begun - MAX_SPANS
        self._end(self.root, error)
        self._finished = True

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **about: Any
    ) -> None:
        tags = about.get("tags") or ()
        if TAG_HIDDEN in tags or not any(tag.startswith(_STEP) for tag in tags):
            # The graph itself, or a step within a node: its children belong to the enclosing span.
            self._open[run_id] = self._around(parent_run_id)
            return
        metadata = about.get("metadata") or {}
        name = metadata.get("langgraph_node") or about.get("name") or "?"
        span = self._begin(run_id, parent_run_id, f"node {name}", {
            "langgraph.node": name,
            "langgraph.step": metadata.get("langgraph_step"),
            "langgraph.checkpoint_ns": metadata.get("langgraph_checkpoint_ns"),
        })  # fmt: skip
        if span is not None:
            # A node has a task of its own, and the current span ends with the task.
            _make_current(self.traceparent(span.span_id), self._tracestate)

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **about: Any
    ) -> None:
        self._model("chat", serialized, run_id, parent_run_id, about)

    def on_llm_start(
        self, serialized: Any, prompts: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **about: Any
    ) -> None:
        self._model("text_completion", serialized, run_id, parent_run_id, about)

    def on_tool_start(
        self, serialized: Any, input_str: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **about: Any
    ) -> None:
        name = _name(serialized, about)
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
        self._begin(run_id, parent_run_id, f"execute_tool {name}", attributes)

    def on_retriever_start(
        self, serialized: Any, query: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **about: Any
    ) -> None:
        name = _name(serialized, about)
        self._begin(run_id, parent_run_id, f"retrieval {name}", {"gen_ai.operation.name": "retrieval"})

    def on_llm_end(self, response: Any, *, run_id: UUID, **_about: Any) -> None:
        span = self._open.get(run_id)
        if isinstance(span, Span) and (usage := _usage(response)) is not None:
            span.attributes["gen_ai.usage.input_tokens"] = usage.get("input_tokens")
            span.attributes["gen_ai.usage.output_tokens"] = usage.get("output_tokens")
        self._ended(run_id)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_about: Any) -> None:
        self._ended(run_id)

    def on_tool_end(self, output: Any, *, run_id: UUID, **_about: Any) -> None:
        self._ended(run_id)

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_about: Any) -> None:
        self._ended(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_about: Any) -> None:
        self._ended(run_id, error)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_about: Any) -> None:
        self._ended(run_id, error)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_about: Any) -> None:
        self._ended(run_id, error)

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_about: Any) -> None:
        self._ended(run_id, error)

    def _model(
        self, operation: str, serialized: Any, run_id: UUID, parent_run_id: UUID | None, about: dict[str, Any]
    ) -> None:
        metadata = about.get("metadata") or {}
        model = metadata.get("ls_model_name") or _name(serialized, about)
        self._begin(run_id, parent_run_id, f"{operation} {model}", {
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": metadata.get("ls_model_name"),
            "gen_ai.provider.name": metadata.get("ls_provider"),
        })  # fmt: skip

    def _around(self, parent_run_id: UUID | None) -> str:
        around = self._open.get(parent_run_id) if parent_run_id is not None else None
        return around.span_id if isinstance(around, Span) else around or self.root.span_id

    def _begin(self, run_id: UUID, parent_run_id: UUID | None, name: str, attributes: dict[str, Any]) -> Span | None:
        self._begun += 1
        parent = self._around(parent_run_id)
        if self._begun > MAX_SPANS:
            self._open[run_id] = parent
            return None
        span = self._open[run_id] = Span(name, parent, attributes)
        return span

    def _ended(self, run_id: UUID, error: BaseException | None = None) -> None:
        span = self._open.pop(run_id, None)
        if isinstance(span, Span):
            self._end(span, error)

    def _end(self, span: Span, error: BaseException | None = None) -> None:
        if self._finished:
            return
        attributes = {name: value for name, value in span.attributes.items() if value is not None}
        failure = None
        if isinstance(error, GraphInterrupt):
            attributes["langgraph.interrupted"] = True
        elif isinstance(error, asyncio.CancelledError):
            attributes["langopen.cancelled"] = True
        elif error is not None and not isinstance(error, GraphBubbleUp):
            attributes["error.type"] = type(error).__name__
            failure = f"{type(error).__name__}: {error}"
        self._send(dumps({
            "span_id": span.span_id,
            "parent_span_id": span.parent,
            "name": span.name,
            "start": span.start,
            "end": time_ns(),
            "attributes": attributes,
            "error": failure,
        }))  # fmt: skip

    def _send(self, payload: bytes) -> None:
        if get_ident() == self._thread:
            self._late(payload)
            return
        try:
            self._loop.call_soon_threadsafe(self._late, payload)
        except RuntimeError:
            # The loop is closed: a thread outlived the host.
            pass

    def _late(self, payload: bytes) -> None:
        self._connection.send(frames.SPAN, self._handle, payload, urgent=False)


def _name(serialized: Any, about: dict[str, Any]) -> str:
    return about.get("name") or (serialized or {}).get("name") or "?"


def _usage(response: Any) -> dict[str, Any] | None:
    """The tokens that a model counted; None if it did not."""
    try:
        return response.generations[0][0].message.usage_metadata
    except (AttributeError, IndexError, TypeError):
        return None


def find_opentelemetry() -> None:
    """Imports OpenTelemetry's API if the application has it."""
    global _otel
    try:
        from opentelemetry import context, trace

        # An old version, or another package of that name, lacks these.
        _otel = (context, trace) if hasattr(trace, "NonRecordingSpan") and hasattr(context, "attach") else None
    except ImportError:
        _otel = None
    except Exception as error:
        logger.warning("OpenTelemetry cannot be imported, so the application's spans do not join the trace: %s", error)


def _make_current(traceparent: str, tracestate: str | None) -> None:
    if _otel is None:
        return
    context, trace = _otel
    try:
        _version, trace_id, span_id, flags = traceparent.split("-")
        place = trace.SpanContext(
            trace_id=int(trace_id, 16),
            span_id=int(span_id, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(int(flags, 16)),
            trace_state=trace.TraceState.from_header([tracestate]) if tracestate else None,
        )
        context.attach(trace.set_span_in_context(trace.NonRecordingSpan(place)))
    except Exception as error:
        logger.debug("OpenTelemetry's context cannot be set: %s", error)
