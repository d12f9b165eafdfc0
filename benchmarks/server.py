"""The one server of a run, in a process and on a core of its own.

Says on standard output where it listens, at once and behind a line of 50 ms; then
answers each line of standard input with how many connections it has accepted and how
much CPU time it has used. Ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from atoma_local._threaded import listen

from . import cores, relay, serving

ROUND_TRIP_MS = 50
_FULL = 65536


class Cork:
    """A transport that writes once for what is sent in one go."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._parts: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._parts:
            asyncio.get_running_loop().call_soon(self.flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size >= _FULL:
            self.flush()

    def flush(self) -> None:
        if self._parts:
            data, self._parts, self._size = b"".join(self._parts), [], 0
            self._transport.write(data)

    def close(self) -> None:
        self.flush()
        self._transport.close()


class Corked(HttpToolsProtocol):
    """uvicorn's protocol on a parser in C, counted, and with few writes."""

    accepted = 0

    def connection_made(self, transport: Any) -> None:
        Corked.accepted += 1
        super().connection_made(Cork(transport))


async def main(api_key: str) -> None:
    loop = asyncio.get_running_loop()
    listener = listen(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        serving.build(api_key),
        http=Corked,
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_keep_alive=600,
        timeout_graceful_shutdown=0,
    )
    server = uvicorn.Server(config)
    running = loop.create_task(server.serve(sockets=[listener]))
    far = await relay.start(port, ROUND_TRIP_MS)
    print(json.dumps({"near": port, "far": far}), flush=True)

    def asked() -> None:
        if not sys.stdin.readline():
            server.should_exit = True
            loop.remove_reader(sys.stdin)
            return
        told = {"connections": Corked.accepted, "cpu": time.process_time()}
        print(json.dumps(told), flush=True)

    loop.add_reader(sys.stdin, asked)
    await running


if __name__ == "__main__":
    cores.stay_on(-1)
    asyncio.run(main(sys.argv[1]))
