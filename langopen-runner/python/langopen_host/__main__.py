"""`python -m langopen_host`: connects to the runner named by the environment and serves it until told to stop."""

from __future__ import annotations

import asyncio
import os
import sys


async def serve(address: str, token: str) -> int:
    """Serves one connection and returns the exit status. `address` is a unix socket's path, or `tcp://host:port`."""
    from langopen_host.host import Host

    host = Host()
    loop = asyncio.get_running_loop()
    if address.startswith("tcp://"):
        name, _, port = address.removeprefix("tcp://").rpartition(":")
        await loop.create_connection(host.connection, name, int(port))
    else:
        await loop.create_unix_connection(host.connection, address)
    host.hello(token)
    status = await host.exit_status
    # One more turn for what is queued to reach the socket.
    await asyncio.sleep(0.05)
    return status


def main() -> None:
    address, token = os.environ.get("LANGOPEN_HOST_SOCKET"), os.environ.pop("LANGOPEN_HOST_TOKEN", None)
    if not address or token is None:
        sys.exit("LANGOPEN_HOST_SOCKET and LANGOPEN_HOST_TOKEN have to be set: the runner starts this program")
    try:
        from uvloop import run
    except ImportError:
        run = asyncio.run

    async def start() -> None:
        status = await serve(address, token)
        # Threads of sync nodes may still be at work, and nothing waits for them.
        os._exit(status)

    try:
        run(start())
    except (OSError, KeyboardInterrupt) as error:
        sys.exit(f"The runner cannot be reached at {address}: {error}")


if __name__ == "__main__":
    main()
