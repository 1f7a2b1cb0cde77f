"""The application's own web app: its requests, its requests to the API, and its description."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("starlette")

from fake_client import WebRunner
from langopen_host.exchange import WINDOW


def with_app(app: str, test: Callable[[WebRunner], Awaitable[None]], **options) -> None:
    async def main() -> None:
        async with WebRunner(f"./web_app.py:{app}", **options) as runner:
            assert runner.fatal is None, runner.fatal
            await test(runner)

    asyncio.run(main())


async def soon(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not check():
            await asyncio.sleep(0.02)


def test_what_is_told() -> None:
    async def check(runner: WebRunner) -> None:
        told = runner.announced["http"]
        routes = {route["pattern"]: route for route in told["routes"]}
        assert routes["^/echo$"] == {"pattern": "^/echo$", "methods": ["POST"], "websocket": False}
        assert routes["^/socket$"]["websocket"]
        assert told["openapi"] is None and not told["first"] and not told["later"]

    with_app("app", check)

    async def check_marked(runner: WebRunner) -> None:
        assert runner.announced["http"]["first"] and runner.announced["http"]["later"]

    with_app("marked", check_marked)


def test_bodies_come_and_go_in_pieces() -> None:
    async def check(runner: WebRunner) -> None:
        side = runner.request("POST", "/echo", body=True, user={"identity": "ann"}, root_path="")
        await side.send(b"x" * 1_000_000)
        status, headers, text = await side.answer()
        assert (status, headers["content-type"]) == (200, "application/json")
        answer = json.loads(text)
        assert sum(answer["pieces"]) == 1_000_000 and len(answer["pieces"]) > 10
        assert answer["user"] == {"identity": "ann"}

    with_app("app", check)


def test_a_reader_that_does_not_read_holds_the_app_up() -> None:
    async def check(runner: WebRunner) -> None:
        runner.auto_credit = False
        side = runner.request("GET", "/flood")
        await soon(lambda: side.received == WINDOW)
        await asyncio.sleep(0.3)
        assert side.received == WINDOW
        # The app answers other requests meanwhile.
        assert len(json.loads((await runner.request("GET", "/seen").answer())[2])) < 10
        runner.auto_credit = True
        side.pay(WINDOW)
        assert len(await side.text()) == 64 * 65536

    with_app("app", check)


def test_a_client_that_leaves() -> None:
    async def check(runner: WebRunner) -> None:
        side = runner.request("GET", "/events")
        await soon(lambda: side.received > 0)
        side.abort()

        async def closed() -> bool:
            return "closed" in json.loads((await runner.request("GET", "/seen").answer())[2])

        async with asyncio.timeout(30):
            while not await closed():
                await asyncio.sleep(0.05)

    with_app("app", check)


def test_errors() -> None:
    async def check(runner: WebRunner) -> None:
        status, _, text = await runner.request("GET", "/fails").answer()
        assert (status, text) == (500, "Internal Server Error")
        await soon(lambda: any("broken on purpose" in log["message"] for log in runner.logs))

    with_app("app", check)

    async def check_plain(runner: WebRunner) -> None:
        assert await runner.request("GET", "/whole").answer() == (200, {}, "a start and an end")
        side = runner.request("GET", "/short")
        await side.text()
        assert side.aborted

    with_app("plain", check_plain)


def test_what_no_route_is_for_goes_to_the_api() -> None:
    async def check(runner: WebRunner) -> None:
        side = runner.request("POST", "/threads/a%2Fb", body=True, query="x=1", headers=[["content-type", "text/x"]])
        await side.send(b"y" * 700_000)
        status, headers, text = await side.answer()
        assert (status, headers) == (200, {"x-api": "1", "x-mark": "1"})
        assert text == f"API: POST /threads/a%2Fb {'y' * 700_000}"
        head = runner.asked[0][0]
        assert (head["query"], head["headers"], head["parent"]) == ("x=1", [["content-type", "text/x"]], side.number)
        runner.unknown = True
        side = runner.request("POST", "/threads", body=True)
        await side.send(b"unread")
        assert (await side.answer())[2] == "the rest"
        # The host does not ask the API for the app's own paths.
        asked = len(runner.asked)
        assert (await runner.request("GET", "/anything", unknown=True).answer())[2] == "the rest"
        assert (await runner.request("GET", "/seen").answer())[0] == 200
        assert len(runner.asked) == asked

    with_app("marked", check)


def test_own_routes_can_be_for_known_callers_alone() -> None:
    async def check(runner: WebRunner) -> None:
        status, _, text = await runner.request("GET", "/seen", authenticate=True).answer()
        assert (status, text) == (401, "who are you")
        runner.user = {"identity": "bob", "permissions": ["read"]}
        side = runner.request("POST", "/echo", body=True, authenticate=True)
        await side.send(b"abc")
        status, _, text = await side.answer()
        assert (status, json.loads(text)["user"]["identity"]) == (200, "bob")
        assert json.loads(text)["pieces"] == [3]

    with_app("app", check)


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("app = 5", "int"),
        ("def app(: pass", "SyntaxError"),
        (
            "from contextlib import asynccontextmanager\nfrom starlette.applications import Starlette\n"
            "@asynccontextmanager\nasync def life(app):\n    raise ValueError('not today')\n    yield\napp = Starlette(lifespan=life)",
            "not today",
        ),
    ],
)
def test_an_app_that_does_not_start(tmp_path: Path, code: str, word: str) -> None:
    (tmp_path / "own.py").write_text(code)

    async def main() -> None:
        async with WebRunner(f"{tmp_path}/own.py:app") as runner:
            assert runner.fatal["target"] == f"{tmp_path}/own.py:app"
            assert word in f"{runner.fatal['error']} {runner.fatal['message']}"

    asyncio.run(main())
