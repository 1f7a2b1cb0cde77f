"""Requests made up from our own OpenAPI document: no server error, no answer that the document does not name, no body of another shape.

Half of the requests name things that exist, so that they get past the first look-up. `LANGOPEN_FUZZ_EXAMPLES` sets how many are made for each operation.
"""

import os
import random

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from helpers import own_server_only
from server import Server

pytestmark = own_server_only

EXAMPLES = int(os.environ.get("LANGOPEN_FUZZ_EXAMPLES", "25"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# These answer for as long as the client listens.
ENDLESS = "/threads/{thread_id}/stream"


@pytest.fixture(scope="module")
def made_up_server(tmp_path_factory, cache_dir):
    """A server of its own: made up requests may change anything."""
    server = Server(tmp_path_factory.mktemp("document") / "data", cache_dir).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def known(made_up_server) -> dict[str, list[str]]:
    """Things that exist on the server."""
    with httpx.Client(base_url=made_up_server.url, timeout=60) as http:
        assistant = http.post("/assistants/search", json={"graph_id": "three"}).json()[0]["assistant_id"]
        threads = [http.post("/threads", json={}).json()["thread_id"] for _ in range(3)]
        runs, checkpoints = [], []
        for thread in threads[:2]:
            run = http.post(f"/threads/{thread}/runs", json={"assistant_id": assistant, "input": {"log": []}}).json()
            http.get(f"/threads/{thread}/runs/{run['run_id']}/join")
            runs.append(run["run_id"])
            checkpoints.append(http.get(f"/threads/{thread}/state").json()["checkpoint_id"])
        return {
            "thread_id": threads,
            "assistant_id": [assistant],
            "run_id": runs,
            "checkpoint_id": checkpoints,
        }


@pytest.fixture(scope="module")
def document(made_up_server, known):
    document = schemathesis.openapi.from_url(f"{made_up_server.url}/openapi.json")

    @document.hook
    def map_path_parameters(context, path_parameters):
        return place(path_parameters)

    @document.hook
    def map_body(context, body):
        return place(body)

    def place(values):
        if not isinstance(values, dict):
            return values
        chance = random.Random(repr(values))
        return {
            name: chance.choice(known[name]) if name in known and chance.random() < 0.5 else value
            for name, value in values.items()
        }

    return document


def test_operations_answer_as_documented(document, subtests):
    settings = hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    tested = 0
    for found in document.get_all_operations():
        operation = found.ok()
        if operation.path == ENDLESS:
            continue
        with subtests.test(operation=operation.label):

            @settings
            @hypothesis.given(case=operation.as_strategy())
            def answers_as_documented(case):
                case.call_and_validate(checks=CHECKS, timeout=60)

            answers_as_documented()
        tested += 1
    assert tested > 40
