"""Clients of both HTTP libraries before a transport, blocking and not, as one face."""

import asyncio
import importlib
import json
import sys

import httpx
import httpx2

from atoma_confidential import httpx as for_httpx
from atoma_confidential import httpx2 as for_httpx2
from atoma_confidential.httpx import SEALED_BASE_URL

OURS = {httpx: for_httpx, httpx2: for_httpx2}


class Blocking:
    def __init__(self, library, **settings):
        self.library = library
        self.transport = OURS[library].ConfidentialTransport(**settings)
        self.client = library.Client(transport=self.transport)

    def request(self, method, path, *, base=SEALED_BASE_URL, **options):
        return self.client.request(method, base + path, **options)

    def send(self, request):
        return self.client.send(request)

    def take(self, path, body, count):
        """Read some pieces of a stream, and leave it; return them and the response."""
        with self.client.stream("POST", SEALED_BASE_URL + path, json=body) as response:
            pieces = []
            for piece in response.iter_raw():
                pieces.append(piece)
                if len(pieces) == count:
                    break
        return pieces, response

    def close(self):
        self.client.close()


class Asynchronous:
    """Each call in an event loop of its own: a transport must survive that."""

    def __init__(self, library, **settings):
        self.library = library
        self.transport = OURS[library].AsyncConfidentialTransport(**settings)
        self.client = library.AsyncClient(transport=self.transport)

    def request(self, method, path, *, base=SEALED_BASE_URL, **options):
        return asyncio.run(self.client.request(method, base + path, **options))

    def send(self, request):
        return asyncio.run(self.client.send(request))

    def take(self, path, body, count):
        async def run():
            url = SEALED_BASE_URL + path
            async with self.client.stream("POST", url, json=body) as response:
                pieces = []
                async for piece in response.aiter_raw():
                    pieces.append(piece)
                    if len(pieces) == count:
                        break
            return pieces, response

        return asyncio.run(run())

    def close(self):
        asyncio.run(self.client.aclose())


def events(body):
    """Return the chunks of an event stream and whether it says that it is over."""
    *lines, last = body.decode().split("\n\n")
    assert last == ""
    assert all(line.startswith("data: ") for line in lines)
    payloads = [line.removeprefix("data: ") for line in lines]
    over = payloads[-1:] == ["[DONE]"]
    return [json.loads(payload) for payload in payloads[: -1 if over else None]], over


def without(monkeypatch, package, module):
    """Import a module of ours as if a package were not installed."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    return importlib.import_module(module)
