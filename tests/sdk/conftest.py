"""One server for the whole suite, and clients for it."""

import os
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_client, get_sync_client

from helpers import OTHER_SERVER
from server import APP, MADE, Server, drop_databases

SERVER = pytest.StashKey[Server]()
LOG_START = pytest.StashKey[int]()


# Tests of what graphs in Rust do not have, with the reason.
NOT_IN_RUST = {
    "test_state_history.py::test_history_by_configurable": "its checkpoints keep the platform's own keys alone",
    "test_graph_errors.py::test_a_value_that_cannot_be_stored": "what a node in Rust returns is JSON, which can always be stored",
    "test_protocol.py::test_a_message_that_no_model_streamed_is_in_the_values_alone": "the engine tells the messages that nodes return, too",
    "test_run_ends.py::test_a_run_that_takes_too_long": "it brings an application in Python, which the suite of Python runs",
    "test_run_ends.py::test_a_run_whose_process_dies_every_time": "it brings an application in Python, which the suite of Python runs",
}


# The files that take longest. They come first, so that no process ends long after the others.
SLOW = ["package_managers", "restart", "document", "custom_app", "crons", "auth_servers", "traces"]


def pytest_collection_modifyitems(items):
    places = {f"test_{name}.py": place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: places.get(item.path.name, len(SLOW)))
    if APP != "app_rust":
        return
    for item in items:
        if why := NOT_IN_RUST.get(f"{item.path.name}::{item.originalname}"):
            item.add_marker(pytest.mark.skip(reason=f"not in Rust: {why}"))


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory) -> Path:
    """Where Python environments are kept: set LANGOPEN_TEST_DATA to keep them between sessions."""
    kept = os.environ.get("LANGOPEN_TEST_DATA")
    folder = Path(kept) / "environments" if kept else tmp_path_factory.mktemp("environments")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def suite_server(request, tmp_path_factory, cache_dir):
    """`langopen up` on the suite's graphs; none when another server is under test."""
    if OTHER_SERVER:
        yield None
        return
    server = Server(tmp_path_factory.mktemp("server") / "data", cache_dir, hosts=2)
    request.config.stash[SERVER] = server
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def base_url(suite_server) -> str:
    """The server under test."""
    return suite_server.url if suite_server else OTHER_SERVER.rstrip("/")


@pytest.fixture
async def client(base_url):
    async with get_client(url=base_url) as client:
        yield client


@pytest.fixture
def sync_client(base_url):
    with get_sync_client(url=base_url) as client:
        yield client


@pytest.fixture
async def http(base_url):
    """Raw HTTP, for what the SDK hides."""
    async with httpx.AsyncClient(base_url=base_url, timeout=60) as http:
        yield http


@pytest.fixture
async def thread_id(client) -> str:
    return (await client.threads.create())["thread_id"]


def pytest_sessionfinish():
    if MADE:
        drop_databases()


def pytest_runtest_setup(item):
    server = item.config.stash.get(SERVER, None)
    item.stash[LOG_START] = server.log_size() if server else 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows what the server logged during a test that failed."""
    report = yield
    server = item.config.stash.get(SERVER, None)
    if report.failed and server is not None:
        report.sections.append(("log of the server", server.logs(6_000, since=item.stash.get(LOG_START, 0))))
    return report
