"""`python -m langopen_host`: connects to the runner that the environment names, and serves it until it says stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from langopen_host.primitives import exit_process
from langopen_host.threads import Threads

# How long the loop goes on after the host has ended, so that queued frames reach the socket.
LAST_WRITE = 0.05


async def connect(address: str, token: str, threads: Threads) -> Any:
    """Connects and introduces this host. `address` is the path of a unix socket, or `tcp://host:port`."""
    from langopen_host.host import Host

    host = Host(threads)
    loop = asyncio.get_running_loop()
    if address.startswith("tcp://"):
        name, _, port = address.removeprefix("tcp://").rpartition(":")
        await loop.create_connection(host.connection, name, int(port))
    else:
        await loop.create_unix_connection(host.connection, address)
    host.hello(token)
    return host


def serve(loop: asyncio.AbstractEventLoop, ended: asyncio.Future[int]) -> int:
    """Runs the loop until `ended` has the exit status.

    asyncio stores a task's `SystemExit` for the code that awaits the task, and also raises it out of the loop. The run
    that called `sys.exit()` fails with it; the loop goes on for all others. No task of the host's own lives as long as
    the host, so a graph that cancels every task cannot end it either.
    """
    ended.add_done_callback(lambda _: loop.stop())
    while not ended.done():
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            continue
    loop.call_later(LAST_WRITE, loop.stop)
    loop.run_forever()
    return ended.result()


def new_loop() -> asyncio.AbstractEventLoop:
    try:
        from uvloop import new_event_loop
    except ImportError:
        from asyncio import new_event_loop
    return new_event_loop()


def main() -> None:
    address, token = os.environ.get("LANGOPEN_HOST_SOCKET"), os.environ.pop("LANGOPEN_HOST_TOKEN", None)
    if not address or token is None:
        sys.exit("LANGOPEN_HOST_SOCKET and LANGOPEN_HOST_TOKEN must be set: the runner starts this program")
    # Python's own handler raises KeyboardInterrupt inside whatever node is executing.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    loop = new_loop()
    asyncio.set_event_loop(loop)
    threads = Threads()
    loop.set_default_executor(threads)
    try:
        host = loop.run_until_complete(connect(address, token, threads))
    except OSError as error:
        sys.exit(f"The graph host cannot connect to the runner at {address}: {error}")
    # Threads of sync nodes may still be at work: nothing waits for them.
    exit_process(serve(loop, host.exit_status))


if __name__ == "__main__":
    main()
