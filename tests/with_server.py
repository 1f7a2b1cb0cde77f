"""Runs a command against a server of its own: `python tests/with_server.py node --test …`.

Starts `langopen up` on the graphs of `tests/sdk/app`, gives the command its address in `LANGOPEN_TEST_URL`, and ends with the
command's status. When `LANGOPEN_TEST_URL` is set already, that server is tested and none is started.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "sdk"))

from server import MADE, Server, drop_databases  # noqa: E402


def run(command: list[str], url: str) -> int:
    return subprocess.run(command, env=os.environ | {"LANGOPEN_TEST_URL": url}).returncode


def main(command: list[str]) -> int:
    if other := os.environ.get("LANGOPEN_TEST_URL"):
        return run(command, other.rstrip("/"))
    with tempfile.TemporaryDirectory(prefix="langopen-clients-") as folder:
        kept = os.environ.get("LANGOPEN_TEST_DATA", folder)
        cache = Path(kept) / "environments"
        cache.mkdir(parents=True, exist_ok=True)
        server = Server(Path(folder) / "data", cache)
        try:
            server.start()
            status = run(command, server.url)
        finally:
            server.stop()
            if MADE:
                drop_databases()
        if status:
            print(f"\nThe end of the server's log:\n{server.logs(6_000)}", file=sys.stderr)
        return status


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
