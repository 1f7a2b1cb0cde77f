"""GET /metrics: the text that Prometheus reads, and the JSON that LangGraph's tools read."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from helpers import HI, finished, one_process_only, own_server_only, reference_differs, run_events, run_status, until
from server import DATABASE, Server

QUEUE = {
    "n_pending",
    "n_running",
    "pending_runs_wait_time_max_secs",
    "pending_runs_wait_time_med_secs",
    "pending_unblocked_runs_wait_time_max_secs",
}
NEVER_A_LABEL = {"path", "thread_id", "run_id", "assistant_id"}


async def scrape(http) -> dict[str, list]:
    """The samples by name."""
    response = await http.get("/metrics")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/plain; version=1.0.0; charset=utf-8"
    samples: dict[str, list] = {}
    for family in text_string_to_metric_families(response.text):
        assert family.type in ("counter", "gauge", "histogram"), family
        assert family.documentation, f"{family.name} has no HELP"
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    return samples


def total(samples, name: str, **labels) -> float:
    wanted = labels.items()
    return sum(sample.value for sample in samples.get(name, []) if wanted <= sample.labels.items())


@one_process_only("workers have metrics of their own")
async def test_json_has_the_known_shape(http):
    response = await http.get("/metrics?format=json")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    figures = response.json()
    assert figures.keys() >= {"queue", "api", "workers"}
    assert figures["queue"].keys() == QUEUE
    assert figures["api"] == {"http_requests_total": []}
    workers = figures["workers"]
    assert workers.keys() == {"max", "active", "available"}
    assert workers["max"] > 0 and workers["available"] == workers["max"] - workers["active"]


@one_process_only("workers have metrics of their own")
async def test_text_is_an_exposition_of_the_workers_and_the_process(http):
    samples = await scrape(http)
    workers = [samples[f"lg_api_workers_{kind}"][0].value for kind in ("max", "active", "available")]
    assert workers[0] > 0 and workers[0] == workers[1] + workers[2]
    assert samples["process_cpu_seconds_total"][0].value >= 0
    for name in ("process_resident_memory_bytes", "process_start_time_seconds"):
        assert samples[name][0].value > 0, name


@one_process_only("workers have metrics of their own")
@reference_differs("its metrics have names of their own")
async def test_runs_and_requests_are_counted(http, client, thread_id):
    before = await scrape(http)
    await run_events(http, thread_id, "three", input={})
    await http.get("/no/such/path")
    await client.runs.wait(thread_id, "failing", input={}, raise_error=False)
    route = "/threads/{thread_id}/runs/stream"

    async def counted():
        after = await scrape(http)
        ended = [total(samples, "langopen_runs_ended_total", graph_id="failing", status="error") for samples in (before, after)]
        return after if ended[1] > ended[0] else None

    after = await until(counted, 30)

    def grown(name, **labels):
        return total(after, name, **labels) - total(before, name, **labels)

    three = {"graph_id": "three"}
    assert grown("langopen_runs_created_total", **three) >= 1
    assert grown("langopen_runs_ended_total", status="success", **three) >= 1
    assert grown("langopen_run_duration_seconds_count", status="success", **three) >= 1
    assert grown("langopen_run_queue_wait_seconds_count", **three) >= 1
    assert grown("langopen_run_attempts_total", **three) >= 1
    assert grown("langopen_events_appended_total", **three) >= 2
    assert grown("langopen_http_requests_total", method="POST", route=route, status="200") >= 1
    assert grown("langopen_http_request_duration_seconds_count", method="POST", route=route) >= 1
    assert grown("langopen_http_requests_total", route="unknown", status="404") >= 1
    if not DATABASE:
        assert grown("langopen_database_write_batch_duration_seconds_count") >= 1
    assert total(after, "langopen_graph_hosts_up") >= 1
    labels = {label for each in after.values() for sample in each for label in sample.labels}
    assert not labels & NEVER_A_LABEL
    values = {value for each in after.values() for sample in each for value in sample.labels.values()}
    assert not any(thread_id in value for value in values)


@reference_differs("its metrics have names of their own")
async def test_what_is_open_is_shown(http, client, thread_id):
    open_streams = dict(route="/threads/{thread_id}/runs/stream")
    body = {"assistant_id": "slow", "input": {"secs": 60}}
    async with http.stream("POST", f"/threads/{thread_id}/runs/stream", json=body) as response:
        assert response.status_code == 200
        run = (await client.runs.list(thread_id))[0]
        await run_status(client, run, "running", seconds=30)
        waiting = await client.runs.create(thread_id, "three", input={})
        samples = await scrape(http)
        assert total(samples, "langopen_sse_streams_open", **open_streams) >= 1
        assert total(samples, "langopen_queue_running_runs") >= 1
        assert total(samples, "langopen_queue_pending_runs") >= 1
        queue = (await http.get("/metrics?format=json")).json()["queue"]
        assert queue["n_running"] >= 1 and queue["n_pending"] >= 1
        assert queue["pending_runs_wait_time_max_secs"] >= queue["pending_runs_wait_time_med_secs"] >= 0
    await client.runs.cancel(thread_id, run["run_id"])
    await finished(client, waiting)


@one_process_only("workers have metrics of their own")
@own_server_only
async def test_a_prefix_can_be_chosen(tmp_path, cache_dir):
    server = Server(tmp_path / "data", cache_dir, env={"METRIC_PREFIX": "team_"})
    try:
        server.start()
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
            samples = await scrape(http)
            assert samples["team_workers_max"][0].value > 0 and "lg_api_workers_max" not in samples
            assert (await http.post("/runs/wait", json={"assistant_id": "chat", "input": HI})).status_code == 200
            document = (await http.get("/openapi.json")).json()
            assert document["paths"]["/metrics"]["get"]["operationId"]
    finally:
        server.stop()
