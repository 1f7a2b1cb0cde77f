"""OpenTelemetry traces: from the client's span through API, worker and graph host to each node, over OTLP."""

import secrets
import socket

import httpx
import pytest
from langgraph_sdk import get_client

from collector import GrpcCollector, HttpCollector
from helpers import finished, new_id, own_server_only, run_status, until
from server import HERE, SEPARATE, Server

pytestmark = own_server_only

CONFIG = HERE / "traced_app" / "langgraph.json"
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
TENANT = {"langopen.organization": "default", "langopen.project": "default", "langopen.deployment": "default"}
SERVER, CONSUMER = 2, 5


@pytest.fixture(scope="module")
def collector():
    with HttpCollector() as collector:
        yield collector


@pytest.fixture(scope="module")
def server(tmp_path_factory, cache_dir, collector):
    env = QUICK | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=the%20key",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "APP_EXPORTS_SPANS": "yes",
    }
    server = Server(tmp_path_factory.mktemp("traces") / "data", cache_dir, config=CONFIG, env=env)
    try:
        yield server.start()
    finally:
        server.stop()


class Caller:
    """A client with a span of its own, around its one request that makes a run."""

    def __init__(self, server, flags: str = "01") -> None:
        self.trace_id, self.span_id = secrets.token_hex(16), secrets.token_hex(8)
        self.request_id = f"request-{new_id()}"
        headers = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{flags}", "x-request-id": self.request_id}
        self._plain = get_client(url=server.url)
        self._traced = get_client(url=server.url, headers=headers)

    async def run(self, graph: str, input: dict | None = None, *, status: str = "success", **options) -> dict:
        async with self._plain as plain, self._traced as traced:
            thread = await plain.threads.create()
            run = await traced.runs.create(thread["thread_id"], graph, input=input or {}, **options)
            assert (await finished(plain, run, 60))["status"] == status
            return run

    async def spans(self, collector, graph: str) -> dict:
        """The spans of the trace, by name, once those are there that end last."""
        last = {"POST /threads/{thread_id}/runs", f"run {graph}", f"graph {graph}"}

        async def check():
            found = {span.name: span for span in collector.of(self.trace_id)}
            return found if last <= found.keys() else None

        return await until(check, 60)


def ids(run: dict, request_id: str) -> dict:
    return TENANT | {
        "langopen.run_id": run["run_id"],
        "langopen.thread_id": run["thread_id"],
        "langopen.assistant_id": run["assistant_id"],
        "langopen.request_id": request_id,
    }


async def test_a_trace_goes_from_the_client_to_each_node(server, collector):
    caller = Caller(server)
    run = await caller.run("agent", {"secret": "never in a span"})
    spans = await caller.spans(collector, "agent")
    request, attempt, graph = spans["POST /threads/{thread_id}/runs"], spans["run agent"], spans["graph agent"]
    assert (request.parent, attempt.parent, graph.parent) == (caller.span_id, request.span_id, attempt.span_id)
    assert (request.kind, attempt.kind) == (SERVER, CONSUMER)
    think, act = spans["node think"], spans["node act"]
    assert think.parent == act.parent == graph.span_id
    model, lookup = spans["chat GenericFakeChatModel"], spans["execute_tool lookup"]
    assert (model.parent, lookup.parent) == (think.span_id, act.span_id)
    # The application's own spans, from its own exporter.
    assert {spans[name].service for name in ("own thinking", "own acting")} == {"the-application"}
    assert (spans["own thinking"].parent, spans["own acting"].parent) == (think.span_id, act.span_id)
    hosts = {span.service for span in (graph, think, act, model, lookup)}
    programs = ("langopen-api-server", "langopen-worker", {"langopen-worker-host"}) if SEPARATE else ("langopen", "langopen", {"langopen-host"})
    assert (request.service, attempt.service, hosts) == programs

    common = ids(run, caller.request_id) | {"langopen.graph_id": "agent"}
    assert request.attributes.items() >= common.items()
    for span in (attempt, graph, think, act, model, lookup):
        assert span.attributes.items() >= (common | {"langopen.attempt": 1}).items(), span
    assert request.attributes["http.request.method"] == "POST"
    assert request.attributes["http.route"] == "/threads/{thread_id}/runs"
    assert request.attributes["http.response.status_code"] == 200
    assert attempt.attributes["langopen.run_status"] == "success"
    assert (think.attributes["langgraph.node"], think.attributes["langgraph.step"]) == ("think", 1)
    assert (model.attributes["gen_ai.usage.input_tokens"], model.attributes["gen_ai.usage.output_tokens"]) == (3, 5)
    for span in spans.values():
        assert not span.failed and span.start <= span.end, span
        assert "never in a span" not in repr(span)
    assert graph.start <= think.start <= model.start and think.end <= act.start and act.end <= graph.end
    assert request.resource["deployment.environment.name"] == "test" and request.resource["service.version"]
    assert graph.resource["deployment.environment.name"] == "test"
    ours = [headers for headers in collector.requests if "python" not in headers.get("user-agent", "").lower()]
    assert ours and all(headers["x-key"] == "the key" for headers in ours)


async def test_nodes_of_subgraphs_hang_under_theirs(server, collector):
    caller = Caller(server)
    await caller.run("nested")
    await caller.spans(collector, "nested")
    spans = {span.span_id: span for span in collector.of(caller.trace_id)}

    def path(span):
        return [*(path(spans[span.parent]) if span.parent in spans else []), span.name]

    nodes = sorted(path(span)[3:] for span in spans.values() if span.name.startswith("node "))
    assert nodes == [["node last"], ["node outer"], ["node outer", "node think"]]


async def test_a_failing_node_is_a_failed_span(server, collector):
    caller = Caller(server)
    await caller.run("failing", status="error")
    spans = await caller.spans(collector, "failing")
    failed = {name for name, span in spans.items() if span.failed}
    assert failed == {"node fail", "graph failing", "run failing"}
    assert spans["node fail"].message == "ValueError: no good"
    assert spans["node fail"].attributes["error.type"] == "ValueError"
    assert spans["run failing"].attributes["langopen.run_status"] == "error"


async def test_an_interrupt_is_no_failure(server, collector):
    caller = Caller(server)
    await caller.run("asking")
    spans = await caller.spans(collector, "asking")
    assert spans["node ask"].attributes["langgraph.interrupted"] is True
    assert not any(span.failed for span in spans.values())


async def test_a_cancelled_run_ends_its_spans(server, collector):
    caller = Caller(server)
    async with get_client(url=server.url) as client:
        thread = await client.threads.create()
        run = await caller._traced.runs.create(thread["thread_id"], "slow", input={})
        await run_status(client, run, "running")
        await client.runs.cancel(run["thread_id"], run["run_id"], wait=True)
    spans = await caller.spans(collector, "slow")
    assert spans["graph slow"].attributes["langopen.cancelled"] is True
    assert not any(span.failed for span in spans.values())


async def test_a_run_that_waited_stays_in_its_trace(server, collector):
    caller = Caller(server)
    await caller.run("agent", after_seconds=1)
    spans = await caller.spans(collector, "agent")
    assert spans["run agent"].parent == spans["POST /threads/{thread_id}/runs"].span_id
    assert spans["run agent"].start > spans["POST /threads/{thread_id}/runs"].end


async def test_what_the_client_does_not_sample_is_not_recorded(server, collector):
    unsampled, sampled = Caller(server, flags="00"), Caller(server)
    await unsampled.run("agent")
    await sampled.run("agent")
    await sampled.spans(collector, "agent")
    assert collector.of(unsampled.trace_id) == []


async def test_a_request_without_a_trace_begins_one_and_a_failed_one_shows(server, collector):
    async with httpx.AsyncClient(base_url=server.url, headers={"x-request-id": (request_id := new_id())}) as http:
        assert (await http.get("/threads/nothing")).status_code == 422

    async def check():
        found = [span for span in list(collector.spans) if span.attributes.get("langopen.request_id") == request_id]
        return found or None

    (span,) = await until(check, 60)
    assert span.parent == "" and not span.failed
    assert span.attributes["http.response.status_code"] == 422
    assert not any(span.name == "GET /ok" for span in collector.spans)


async def served(tmp_path, cache_dir, env: dict) -> tuple[Server, Caller]:
    """A server that ran one run, and was stopped in order."""
    tmp_path.mkdir(exist_ok=True)
    server = Server(tmp_path / "data", cache_dir, config=CONFIG, env=env)
    try:
        caller = Caller(server.start())
        await caller.run("agent")
        assert server.interrupt() == 0
    finally:
        server.kill()
    return server, caller


async def test_over_grpc_and_flushed_at_the_end(tmp_path, cache_dir):
    with GrpcCollector() as collector:
        # Nothing leaves before the end.
        env = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
            "OTEL_BSP_SCHEDULE_DELAY": "3600000",
            "OTEL_SERVICE_NAME": "assistants",
        }
        _, caller = await served(tmp_path, cache_dir, env)
        spans = {span.name: span for span in collector.of(caller.trace_id)}
        assert {"POST /threads/{thread_id}/runs", "run agent", "graph agent", "node think", "node act"} <= spans.keys()
        assert (spans["run agent"].service, spans["node act"].service) == ("assistants", "assistants-host")


async def test_nothing_is_sent_that_nobody_asked_for(tmp_path, cache_dir):
    with HttpCollector() as collector:
        off = QUICK | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        await served(tmp_path / "a", cache_dir, off | {"OTEL_SDK_DISABLED": "true"})
        await served(tmp_path / "b", cache_dir, off | {"OTEL_TRACES_SAMPLER": "always_off"})
        assert collector.requests == []
    try:
        # Where OpenTelemetry sends to by itself.
        usual = HttpCollector(port=4318)
    except OSError:
        pytest.skip("something else listens on port 4318")
    with usual as collector:
        await served(tmp_path / "c", cache_dir, QUICK)
        assert collector.requests == []


async def test_a_dead_collector_does_no_harm(tmp_path, cache_dir):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        env = QUICK | {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{closed.getsockname()[1]}"}
        server, _ = await served(tmp_path, cache_dir, env)
    # Each program's and its hosts' spans are sent apart; however many batches fail, each says so once.
    assert 1 <= server.logs(limit=10_000_000).count("traces cannot be exported") <= (4 if SEPARATE else 2)


async def test_a_collector_that_never_answers_does_no_harm(tmp_path, cache_dir):
    with HttpCollector(mute=True) as collector:
        await served(tmp_path, cache_dir, QUICK | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})


async def test_variables_that_cannot_be_followed_are_told(tmp_path, cache_dir):
    server, _ = await served(tmp_path, cache_dir, {"OTEL_EXPORTER_OTLP_ENDPOINT": "not a url"})
    assert "traces are not exported" in server.logs(limit=10_000_000)
