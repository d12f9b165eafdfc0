"""`atoma proxy` on a thread, for tests that look at what it says about calls."""

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from atoma_cli._proxy_app import build_app
from atoma_confidential.httpx import AsyncConfidentialTransport
from atoma_local._threaded import ThreadedServer

TOKEN = "token-of-this-proxy-7d1f0c5b2a"
_PATIENCE_SECONDS = 5


@dataclass
class Proxied:
    """Where a proxy is, and what it has said."""

    url: str
    token: str = TOKEN
    lines: list[str] = field(default_factory=list)

    def said(self, count):
        """Give what was said of this many calls; a call is answered before that."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while len(self.lines) < count and time.monotonic() < end:
            time.sleep(0.005)
        return self.lines

    @property
    def port(self):
        return urlsplit(self.url).port

    @property
    def sdk(self):
        """What an SDK is told, and no more: an address and a key."""
        return {"base_url": f"{self.url}/v1", "api_key": self.token}

    @property
    def headers(self):
        return {"authorization": f"Bearer {self.token}"}


@contextmanager
def proxied(atoma, **settings):
    """Serve before a local Atoma."""
    transport = AsyncConfidentialTransport(
        api_key=atoma.api_key, base_url=atoma.base_url, **settings
    )
    built = []

    async def app(scope, receive, send):
        await built[0](scope, receive, send)

    server = ThreadedServer(app, ("127.0.0.1", 0))
    proxy = Proxied(server.url)
    built.append(
        build_app(transport, token=TOKEN, port=proxy.port, say=proxy.lines.append)
    )
    server.start()
    try:
        yield proxy
    finally:
        server.stop()
