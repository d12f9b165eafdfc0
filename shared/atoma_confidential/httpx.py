"""Transports that seal what an OpenAI-shaped client sends, for httpx.

    client = httpx.Client(transport=ConfidentialTransport())
    OpenAI(http_client=client, base_url=SEALED_BASE_URL, api_key="not sent")

Only chat completions, embeddings and the list of models pass; anything else is refused
before anything leaves. See docs/openai-sdk.md.
"""

from __future__ import annotations

from typing import Unpack

import httpx

from ._openai_wire import SEALED_BASE_URL
from ._settings import ClientSettings
from ._transports import AsyncDriver, AsyncFrames, Driver, Frames

__all__ = ["SEALED_BASE_URL", "AsyncConfidentialTransport", "ConfidentialTransport"]


class _Body(Frames, httpx.SyncByteStream):
    pass


class _AsyncBody(AsyncFrames, httpx.AsyncByteStream):
    pass


class ConfidentialTransport(httpx.BaseTransport):
    """A transport of `httpx.Client`, sealing each request to a node's key.

    Args:
        inner: Sends to the network instead of ours, for proxies, certificates and
            tests. A client stays with the caller; a transport is closed with this one,
            and knows no proxies of the environment.
        **settings: See `ClientSettings`. The API key is the one given here, or of the
            environment; what the application sends as `Authorization` is not used.

    Raises:
        MissingCredentialsError: There is no API key.
        InvalidInputError: A setting cannot be used, or `inner` is not httpx's.
    """

    def __init__(
        self,
        *,
        inner: httpx.Client | httpx.BaseTransport | None = None,
        **settings: Unpack[ClientSettings],
    ) -> None:
        self._driver = Driver(httpx, _Body, inner, **settings)

    @property
    def base_url(self) -> str:
        """Where the network is, without `/v1`."""
        return self._driver.base_url

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the opened answer; `extensions["atoma"]` holds its verdict.

        Raises:
            ConfidentialError: It is an httpx `TransportError` too where time was up or
                a connection failed, and else an `OpenAIError` where that is imported.
        """
        response: httpx.Response = self._driver.respond(request)
        return response

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()


class AsyncConfidentialTransport(httpx.AsyncBaseTransport):
    """A transport of `httpx.AsyncClient`; see `ConfidentialTransport`."""

    def __init__(
        self,
        *,
        inner: httpx.AsyncClient | httpx.AsyncBaseTransport | None = None,
        **settings: Unpack[ClientSettings],
    ) -> None:
        self._driver = AsyncDriver(httpx, _AsyncBody, inner, **settings)

    @property
    def base_url(self) -> str:
        """Where the network is, without `/v1`."""
        return self._driver.base_url

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the opened answer; see `ConfidentialTransport.handle_request`."""
        response: httpx.Response = await self._driver.respond(request)
        return response

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        await self._driver.aclose()
