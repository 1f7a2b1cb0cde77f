"""Starts and stops `langopen up`, or the separate programs, for the tests."""

import hashlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg

HERE = Path(__file__).resolve().parent
# The application under test: `app`, or the same graphs in TypeScript (`app_ts`) or Rust (`app_rust`, a program that serves them by itself).
APP = os.environ.get("LANGOPEN_TEST_APP", "app")
APP_CONFIG = HERE / APP / ("Cargo.toml" if APP == "app_rust" else "langgraph.json")
# The value of `--database`: `memory:`, `postgres` for databases beside the one that DATABASE_URL names, or none for SQLite.
DATABASE = os.environ.get("LANGOPEN_TEST_DATABASE")
# With `postgres`: the Redis beside it; none to do without.
REDIS = os.environ.get("LANGOPEN_TEST_REDIS")
# Whether the API server, a worker and a runner are processes of their own; needs `postgres`.
SEPARATE = bool(os.environ.get("LANGOPEN_TEST_SEPARATE"))
START_SECONDS = 180  # the first start makes the Python environment


def find_binary(name: str = "langopen") -> Path:
    given = os.environ.get("LANGOPEN_BIN") if name == "langopen" else None
    root = HERE.parent.parent
    candidates = [Path(given)] if given else [root / "target" / kind / name for kind in ("debug", "release")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    tried = ", ".join(map(str, candidates))
    raise FileNotFoundError(f"no {name} binary at {tried}; build it with `cargo build -p {name}`, or set LANGOPEN_BIN to that of langopen")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(cache: Path, extra: dict[str, str] | None = None) -> dict[str, str]:
    """The variables of a server process: none of the caller's own settings of it leak in.

    The programs beside this Python come last on PATH. Among them is uv, which makes an environment ten times as fast as pip.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LANGOPEN_")}
    kept["PATH"] = os.pathsep.join([kept.get("PATH", ""), str(Path(sys.executable).parent)])
    return kept | {"LANGOPEN_CACHE_DIR": str(cache)} | (extra or {})


def database_of(data: Path) -> list[str]:
    """The options for the database that stands for this data folder: the same folder, the same database."""
    if DATABASE != "postgres":
        return ["--database", DATABASE] if DATABASE else []
    service = os.environ["DATABASE_URL"]
    name = "langopen_sdk_" + hashlib.sha256(f"{RUN}{data}".encode()).hexdigest()[:24]
    with psycopg.connect(service, autocommit=True) as admin:
        if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            admin.execute(f'CREATE DATABASE "{name}"')
            MADE.add(name)
    url = re.sub(r"/[^/?]*(\?|$)", rf"/{name}\1", service, count=1)
    redis = ["--redis", REDIS] if REDIS else []
    return ["--database", url, *redis]


# Tells this session's databases from those of others on the same service.
RUN = secrets.token_hex(8)
MADE: set[str] = set()


def drop_databases() -> None:
    """Removes what `database_of` made."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as admin:
        while MADE:
            admin.execute(f'DROP DATABASE IF EXISTS "{MADE.pop()}" WITH (FORCE)')


class Server:
    """One server process with its own data folder; can be killed and started again on it."""

    def __init__(
        self, data: Path, cache: Path, config: Path = APP_CONFIG, env: dict[str, str] | None = None, hosts: int = 1
    ):
        # A graph host takes seconds of processor time to start, so a server has one unless its test needs more.
        self.data, self.config, self.hosts = data, config, hosts
        self.env = environment(cache, env)
        self.database = database_of(data)
        if REDIS:
            # Whoever shares a Redis has names of its own there.
            self.env["LANGOPEN_REDIS_PREFIX"] = f"{self.database[1].rsplit('/', 1)[1]}:"
        self.log_path = data.parent / f"{data.name}.log"
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        # Beside an API server: its runner and its worker.
        self.others: list[subprocess.Popen] = []

    @property
    def store(self) -> list[str]:
        """The options that name its database to other commands."""
        return self.database[:2] if DATABASE == "postgres" else ["--data", str(self.data)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def command(self) -> list[str]:
        if self.config.name == "Cargo.toml":
            own = [str(find_binary("langopen-test-app")), "--port", str(self.port), "--data", str(self.data)]
            return [*own, *self.database]
        return [
            str(find_binary()), "up", "--config", str(self.config), "--port", str(self.port),
            "--data", str(self.data), "--hosts", str(self.hosts), *self.database,
        ]  # fmt: skip

    @property
    def separate_commands(self) -> list[list[str]]:
        """The API server is the last."""
        programs, runner = find_binary().parent, f"127.0.0.1:{free_port()}"
        reach = ["--runner-urls", f"tcp://{runner}", *self.database]
        return [
            [
                str(programs / "langopen-runner"), "--config", str(self.config), "--port", runner.split(":")[1],
                "--health-port", "0", "--data", str(self.data), "--hosts", str(self.hosts), "--api-url", self.url,
            ],
            [str(programs / "langopen-worker"), "--port", "0", "--jobs", "40", "--api-url", self.url, "--grace-seconds", "2", *reach],
            [str(programs / "langopen-api-server"), "--port", str(self.port), "--grace-seconds", "1", *reach],
        ]  # fmt: skip

    def _run(self, command: list[str]) -> subprocess.Popen:
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def start(self) -> "Server":
        commands = self.separate_commands if SEPARATE else [self.command]
        *self.others, self.process = [self._run(command) for command in commands]
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for process in (self.process, *self.others):
                if process.poll() is not None:
                    self.kill()
                    raise RuntimeError(f"the server ended with status {process.returncode}\n{self.logs()}")
            try:
                if httpx.get(f"{self.url}/ok", timeout=2).status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        self.kill()
        raise TimeoutError(f"the server did not answer GET /ok in {START_SECONDS} s\n{self.logs()}")

    def interrupt(self, seconds: float = 30) -> int:
        """Ctrl-C: the exit status, or an error when the server goes on."""
        # Those who need a runner end before it does.
        statuses = []
        for process in (self.process, *reversed(self.others)):
            process.send_signal(signal.SIGINT)
            statuses.append(process.wait(seconds))
        return max(statuses)

    def kill(self) -> None:
        """As `kill -9` on the server alone; its children have to notice by themselves."""
        processes = [process for process in (self.process, *self.others) if process]
        for process in processes:
            if process.poll() is None:
                process.kill()
        for process in processes:
            process.wait(10)

    def stop(self) -> None:
        if not self.process or self.process.poll() is not None:
            return
        try:
            self.interrupt()
        except subprocess.TimeoutExpired:
            self.kill()

    def log_size(self) -> int:
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def logs(self, limit: int = 20_000, since: int = 0) -> str:
        """The end of what the server wrote, from the byte `since` on."""
        written = self.log_path.read_bytes()[since:] if self.log_path.exists() else b""
        return written[-limit:].decode(errors="replace")
