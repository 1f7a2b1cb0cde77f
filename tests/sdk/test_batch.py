"""Several stateless runs in one request."""

import pytest

from helpers import finished


async def test_each_becomes_a_run(client):
    payloads = [
        {"assistant_id": "three", "input": {"log": [number]}, "on_completion": "keep", "metadata": {"n": number}}
        for number in range(5)
    ]
    runs = await client.runs.create_batch(payloads)
    assert [run["metadata"]["n"] for run in runs] == [0, 1, 2, 3, 4]
    assert len({run["run_id"] for run in runs}) == len({run["thread_id"] for run in runs}) == 5
    for number, run in enumerate(runs):
        assert (await finished(client, run))["status"] == "success"
        values = (await client.threads.get_state(run["thread_id"]))["values"]
        assert values["log"] == [number, "one", "two", "three"]


async def test_different_graphs(client):
    keep = {"on_completion": "keep"}
    runs = await client.runs.create_batch([
        {"assistant_id": "three", "input": {"log": []}} | keep,
        {"assistant_id": "failing", "input": {"kind": "value"}} | keep,
    ])  # fmt: skip
    assert [(await finished(client, run))["status"] for run in runs] == ["success", "error"]


@pytest.mark.parametrize("body", [[], {}, [{}], [5], [{"assistant_id": "three"}, {"assistant_id": "nobody"}]])
async def test_refused(http, body):
    answer = await http.post("/runs/batch", json=body)
    assert answer.status_code == 422
    assert isinstance(answer.json()["detail"], str)
