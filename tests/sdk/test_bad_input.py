"""Every field of every body of our OpenAPI document, wrong in type, range, size or encoding: a 4xx that names the field, and nothing is written.

A value counts as wrong when the document's own schema refuses it.
"""

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any, Iterator

import httpx
import jsonschema
import pytest

from helpers import own_server_only

pytestmark = own_server_only

# One value of each JSON type, and the awkward ones.
WRONG = [None, True, 7, -1, 0, 1.5, 1e300, 10**30, "", "nonsense", "x" * 70_000, [], [None], [7], ["nonsense"], {}, {"a": {"b": []}}]
# Names things that do not exist: a request that gets past its body ends there.
NOWHERE = str(uuid.UUID(int=0, version=4))


@dataclass
class Field:
    """A place in a body, and the schema of what may stand there."""

    path: list[str | int]
    schema: dict


class Document:
    """The server's own document, with its references followed."""

    def __init__(self, document: dict):
        # Where two choices fit, one would do.
        self.document = json.loads(json.dumps(document).replace('"oneOf"', '"anyOf"'))

    def resolve(self, schema: dict) -> dict:
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return schema

    def choices(self, schema: dict) -> Iterator[dict]:
        schema = self.resolve(schema)
        inner = schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf")
        for each in inner or [schema]:
            if inner:
                yield from self.choices(each)
            else:
                yield each

    def valid(self, schema: dict, value: Any) -> bool:
        root = {"components": self.document["components"], **schema}
        return jsonschema.Draft202012Validator(root).is_valid(value)

    def example(self, name: str, schema: dict) -> Any:
        """A small good value."""
        schema = next(iter(self.choices(schema)))
        if "enum" in schema:
            return schema["enum"][0]
        if name == "assistant_id" and schema.get("format") != "uuid":
            return "three"
        if "example" in schema:
            return schema["example"]
        kind = schema.get("type", "object")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "string":
            return {"uuid": NOWHERE, "date-time": "2099-01-01T00:00:00Z"}.get(schema.get("format"), name)
        if kind == "array":
            return [self.example(name, schema["items"])] if schema.get("items") else []
        if kind == "object":
            return {each: self.example(each, schema["properties"][each]) for each in schema.get("required", [])}
        return {"integer": 1, "number": 1, "boolean": True}.get(kind)

    def fields(self, schema: dict, path: list, depth: int = 0) -> Iterator[Field]:
        """Every field, with those within it."""
        if depth > 3:
            return
        for choice in self.choices(schema):
            for name, field in choice.get("properties", {}).items():
                yield Field([*path, name], field)
                yield from self.fields(field, [*path, name], depth + 1)
            if isinstance(choice.get("items"), dict) and depth < 3:
                yield from self.fields(choice["items"], [*path, 0], depth + 1)


def place(body: Any, path: list, value: Any) -> Any:
    """`body` with `value` at `path`; what leads there is made."""
    here = body
    for step, after in zip(path, path[1:]):
        if isinstance(step, str) and not isinstance(here.get(step), list if isinstance(after, int) else dict):
            here[step] = [{}] if isinstance(after, int) else {}
        here = here[step]
        if isinstance(after, int) and not here:
            here.append({})
    here[path[-1]] = value
    return body


def operations(document: dict) -> Iterator[tuple[str, str, dict]]:
    for path, item in document["paths"].items():
        # The event streaming protocol has an envelope and refusals of its own: test_protocol.py.
        if path.endswith(("/commands", "/stream/events")):
            continue
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                yield method.upper(), path, content["application/json"]["schema"]


@pytest.fixture(scope="module")
def document(suite_server) -> dict:
    return httpx.get(f"{suite_server.url}/openapi.json").json()


def rows(http: httpx.Client) -> list:
    """How much there is of everything that a body can make."""
    counts = [http.post(f"/{kind}/count", json={}).json() for kind in ("threads", "assistants", "runs/crons")]
    items = http.post("/store/items/search", json={"namespace_prefix": [], "limit": 1000}).json()["items"]
    return [*counts, len(items)]


def settled(http: httpx.Client) -> None:
    """Until the threads of other tests' temporary runs are gone."""
    for _ in range(100):
        busy = http.post("/threads/search", json={"status": "busy", "limit": 1}).json()
        if not busy:
            return
        time.sleep(0.1)


def test_every_field_of_every_body(suite_server, document, subtests):
    known = Document(document)
    document = known.document
    tried = 0
    with httpx.Client(base_url=suite_server.url, timeout=60) as http:
        settled(http)
        thread = http.post("/threads", json={"metadata": {"graph_id": "three"}}).json()["thread_id"]
        before = rows(http)
        for method, template, schema in operations(document):
            path = template.replace("{thread_id}", thread)
            path = path.replace("{assistant_id}", NOWHERE).replace("{cron_id}", NOWHERE).replace("{run_id}", NOWHERE)
            whole = known.example("body", schema)
            batch = isinstance(whole, list)
            fields = known.fields(known.resolve(schema)["items"] if batch else schema, [0] if batch else [])
            for field in fields:
                name = next(step for step in reversed(field.path) if isinstance(step, str))
                with subtests.test(operation=f"{method} {template}", field=".".join(map(str, field.path))):
                    for wrong in WRONG:
                        if known.valid(field.schema, wrong):
                            continue
                        body = place(json.loads(json.dumps(whole)), field.path, wrong)
                        answer = http.request(method, path, content=json.dumps(body))
                        said = f"{json.dumps(body)[:300]}: {answer.status_code} {answer.text[:300]}"
                        assert answer.status_code == 422, said
                        outer = [step for step in field.path if isinstance(step, str)]
                        assert any(step in answer.text for step in outer), f"{name} is not named: {said}"
                        tried += 1
        assert rows(http) == before, "something was written"
    assert tried > 500
