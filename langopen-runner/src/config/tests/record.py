"""Records the results of LangGraph's own command line and python-dotenv for the inputs beside this file.

    python3 -m venv /tmp/stock && /tmp/stock/bin/pip install langgraph-cli python-dotenv
    /tmp/stock/bin/python record.py

It fills in `stock` of `verdicts.json` and `values` of `dotenv.json`; the Rust tests compare their results with them.
"""

import json
import os
import pathlib
import tempfile

import dotenv
from langgraph_cli.config import validate_config_file

HERE = pathlib.Path(__file__).parent


def verdict(config: dict) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "langgraph.json"
        path.write_text(json.dumps(config))
        try:
            validate_config_file(path)
        except Exception as error:  # a usage error, or the traceback that a user would see
            return f"refuses: {type(error).__name__}"
    return "accepts"


def values(text: str, variables: dict[str, str]) -> dict[str, str | None]:
    os.environ.clear()
    os.environ.update(variables)
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.encode())
        file.flush()
        return dict(dotenv.dotenv_values(file.name))


def record(name: str, fill) -> None:
    path = HERE / name
    entries = json.loads(path.read_text())
    for entry in entries:
        fill(entry)
    path.write_text("[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]\n")


record("verdicts.json", lambda entry: entry.update(stock=verdict(entry["config"])))
record("dotenv.json", lambda entry: entry.update(values=values(entry["text"], entry.get("variables", {}))))
