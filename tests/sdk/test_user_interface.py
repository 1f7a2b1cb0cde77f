"""Components of an application's own: how pages get them, and what is said of those that cannot be had."""

import json
import re

import httpx
import pytest

from helpers import HI, own_server_only, run_events
from server import Server

pytestmark = own_server_only

GRAPH = """
from langgraph.graph import END, START, StateGraph
from langgraph_sdk import Auth

graph = StateGraph(dict).add_node("a", lambda state: state).add_edge(START, "a").add_edge("a", END).compile()
auth = Auth()

@auth.authenticate
async def who(authorization: str | None = None):
    if authorization != "Bearer ann":
        raise Auth.exceptions.HTTPException(status_code=401, detail="Who are you?")
    return "ann"
"""
COMPONENT = 'import { cool } from "cool-package"; export default { hello: () => <b>{cool}</b> };'
STYLED = 'import "./styled.css"; export default { box: () => <b className="border p-[3px] before:content-[\'hi\'] own">x</b> };'
STYLE = '@import "./theme.css"; .card { @apply m-1; color: red; }'
THEME = '@import "tailwindcss"; @utility own { tab-size: 7; }'
WRONG = 'import "./wrong.css"; export default { box: () => <b>x</b> };'
BROKEN = 'export default {\n  hello: () => <b>,\n};\n'
ANN = {"authorization": "Bearer ann"}


@pytest.fixture(scope="module")
def behind_login(tmp_path_factory, cache_dir):
    """An application in Python without packages of JavaScript, with a login, below a path. One of its component files does not compile."""
    folder = tmp_path_factory.mktemp("ui")
    (folder / "graph.py").write_text(GRAPH)
    (folder / "good.tsx").write_text(COMPONENT)
    (folder / "broken.tsx").write_text(BROKEN)
    (folder / "styled.tsx").write_text(STYLED)
    (folder / "styled.css").write_text(STYLE)
    (folder / "theme.css").write_text(THEME)
    (folder / "wrong.tsx").write_text(WRONG)
    (folder / "wrong.css").write_text('@import "tailwindcss"; .card { @apply no-such-class; }')
    config = {
        "dependencies": ["langgraph>=1.0,<2"],
        "graphs": {"agent": "./graph.py:graph"},
        "auth": {"path": "./graph.py:auth"},
        "http": {"mount_prefix": "/below"},
        "ui": {
            "agent": "./good.tsx", "my-broken ui": "./broken.tsx", "lost": "./lost.tsx", "styled": "./styled.tsx", "wrong": "./wrong.tsx",
        },
        "ui_config": {"shared": ["cool-package"]},
    }
    (folder / "langgraph.json").write_text(json.dumps(config))
    server = Server(folder / "data", cache_dir, folder / "langgraph.json")
    yield server.start()
    server.stop()


async def ask(http, name, component="weather", **options):
    return await http.post(f"/ui/{name}", json={"name": component}, **options)


async def test_a_component_comes_with_script_and_style(client, http):
    answer = await ask(http, "cards")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    link, script = answer.text.split("\n")
    style, code = re.search(r'href="(.*?)"', link)[1], re.search(r'src="(.*?)"', script)[1]
    assert style.startswith(f"//{http.base_url.netloc.decode()}/ui/cards/")
    assert "&quot;weather&quot;, &quot;{{shadowRootId}}&quot;" in script
    files = [await http.get(f"http:{place}", headers={"origin": "http://localhost:1"}) for place in (style, code)]
    assert [file.headers["content-type"] for file in files] == ["text/css; charset=utf-8", "text/javascript; charset=utf-8"]
    assert all("immutable" in file.headers["cache-control"] for file in files)
    assert "weather-card" in files[0].text and "weather-card" in files[1].text
    [assistant] = await client.assistants.search(graph_id="cards")
    assert (await ask(http, assistant["assistant_id"])).text == answer.text


async def test_what_is_not_there_is_said(http):
    for name in ("nothing", "00000000-0000-4000-8000-000000000000"):
        assert (await ask(http, name)).status_code == 404
    hash = re.search(r"/ui/cards/([0-9a-f]{64})", (await ask(http, "cards")).text)[1]
    for file in (f"{hash}.html", f"{hash}", f"{'0' * 64}.js", "entrypoint.js"):
        assert (await http.get(f"/ui/cards/{file}")).status_code == 404
    assert (await http.get(f"/ui/nothing/{hash}.js")).status_code == 404
    for body in ("{}", "[]", "{", '{"name": 1}'):
        assert (await http.post("/ui/cards", content=body)).status_code == 422


async def test_components_are_told_of_and_kept(client, http, thread_id):
    events = await run_events(http, thread_id, "cards", input=HI, stream_mode=["custom", "values"])
    told = [event.data for event in events if event.event == "custom"]
    assert [(ui["type"], ui["name"], ui["props"]["degrees"]) for ui in told] == [("ui", "weather", 3), ("ui", "weather", 4)]
    state = await client.threads.get_state(thread_id)
    [kept] = state["values"]["ui"]
    assert (kept["id"], kept["props"]) == (told[0]["id"], {"city": "Oslo", "degrees": 4})


async def test_one_that_does_not_compile_holds_up_nothing(behind_login):
    assert "broken.tsx:3:" in behind_login.logs()
    async with httpx.AsyncClient(base_url=behind_login.url + "/below", headers=ANN) as http:
        broken = await ask(http, "my-broken%20ui")
        assert broken.status_code == 424
        assert broken.json()["detail"].startswith("ui.my-broken ui: broken.tsx:3:")
        assert (await ask(http, "lost")).json()["detail"] == "ui.lost: the file ./lost.tsx does not exist"
        assert (await ask(http, "agent")).status_code == 200


async def test_tailwind_makes_what_classes_need(behind_login):
    async with httpx.AsyncClient(base_url=behind_login.url + "/below", headers=ANN) as http:
        page = (await ask(http, "styled", "box")).text
        style = (await http.get("http:" + re.search(r'href="(.*?)"', page)[1])).text
        for rule in (".border{", "padding:3px", '--tw-content: "hi"', "tab-size:7", ".card{margin:var(--spacing);color:red}"):
            assert rule in style, rule
        assert "@apply" not in style and ".grid{" not in style, "what nobody names is not there"
        wrong = await ask(http, "wrong", "box")
        assert wrong.status_code == 424 and "wrong.css: " in wrong.json()["detail"] and "no-such-class" in wrong.json()["detail"]


async def test_who_may_not_call_learns_no_address(behind_login):
    async with httpx.AsyncClient(base_url=behind_login.url) as http:
        assert (await ask(http, "agent")).status_code == 404
        assert (await http.post("/below/ui/agent", json={"name": "hello"})).status_code == 401
        assert (await http.get("/below/ui/my-broken%20ui/x.js")).status_code == 404
        page = await http.post("/below/ui/agent", json={"name": "hello"}, headers=ANN)
        place = re.search(r'src="(.*?)"', page.text)[1]
        assert place.startswith(f"//{http.base_url.netloc.decode()}/below/ui/agent/")
        # A page's script comes without credentials.
        script = await http.get(f"http:{place}")
        assert script.status_code == 200 and '"cool-package"' in script.text
        assert "<link" not in page.text
        proxied = ANN | {"x-forwarded-proto": "https", "host": "agents.example"}
        page = await http.post("/below/ui/agent", json={"name": "hello"}, headers=proxied)
        assert 'src="https://agents.example/below/ui/agent/' in page.text


def test_without_ui_there_is_none(tmp_path, cache_dir):
    (tmp_path / "graph.py").write_text(GRAPH)
    config = {
        "dependencies": ["langgraph>=1.0,<2"],
        "graphs": {"agent": "./graph.py:graph"},
        "http": {"disable_ui": True},
        "ui": {"agent": "./lost.tsx"},
    }
    (tmp_path / "langgraph.json").write_text(json.dumps(config))
    server = Server(tmp_path / "data", cache_dir, tmp_path / "langgraph.json").start()
    try:
        assert httpx.post(f"{server.url}/ui/agent", json={"name": "hello"}).status_code == 404
        assert "lost.tsx" not in server.logs()
    finally:
        server.stop()
