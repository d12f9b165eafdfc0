"""Transports that seal what an OpenAI-shaped client sends, for httpx2.

As those in `atoma_confidential.httpx`, for clients of httpx2, such as those of the
OpenAI SDK 3.x. What goes to the network is sent with httpx all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

try:
    import httpx2
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "httpx2 is not installed. Run: pip install 'atoma-confidential[httpx2]'",
        name="httpx2",
    ) from None

from ._openai_wire import SEALED_BASE_URL
from ._settings import ClientSettings
from ._transports import AsyncDriver, AsyncFrames, Driver, Frames

if TYPE_CHECKING:
    import httpx

__all__ = ["SEALED_BASE_URL", "AsyncConfidentialTransport", "ConfidentialTransport"]


class _Body(Frames, httpx2.SyncByteStream):
    pass


class _AsyncBody(AsyncFrames, httpx2.AsyncByteStream):
    pass


class ConfidentialTransport(httpx2.BaseTransport):
    """A transport of `httpx2.Client`; see `atoma_confidential.httpx`.

    Args:
        inner: As there, and httpx's, not httpx2's.
        **settings: As there.

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
        self._driver = Driver(httpx2, _Body, inner, **settings)

    @property
    def base_url(self) -> str:
        """Where the network is, without `/v1`."""
        return self._driver.base_url

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the opened answer; `extensions["atoma"]` holds its verdict.

        Raises:
            ConfidentialError: As in `atoma_confidential.httpx`, with httpx2's classes.
        """
        response: httpx2.Response = self._driver.respond(request)
        return response

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()


class AsyncConfidentialTransport(httpx2.AsyncBaseTransport):
    """A transport of `httpx2.AsyncClient`; see `ConfidentialTransport`."""

    def __init__(
        self,
        *,
        inner: httpx.AsyncClient | httpx.AsyncBaseTransport | None = None,
        **settings: Unpack[ClientSettings],
    ) -> None:
        self._driver = AsyncDriver(httpx2, _AsyncBody, inner, **settings)

    @property
    def base_url(self) -> str:
        """Where the network is, without `/v1`."""
        return self._driver.base_url

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the opened answer; see `ConfidentialTransport.handle_request`."""
        response: httpx2.Response = await self._driver.respond(request)
        return response

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        await self._driver.aclose()
