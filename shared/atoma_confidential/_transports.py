"""What the transports do behind the types of an HTTP library.

They are clients that take their requests from another client. What goes to the network
is sent with httpx, whichever library the application has.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from itertools import chain
from types import ModuleType
from typing import Any, Self, Unpack

import httpx

from ._openai_wire import (
    DONE,
    Asked,
    Said,
    answered,
    check_head,
    framed,
    listed,
    read_asked,
    refused,
)
from ._request import Request
from ._settings import ClientSettings, Connection
from ._twins import twin_of
from .async_client import AsyncClient
from .client import Client
from .errors import (
    ClientClosedError,
    ConfidentialError,
    Exposure,
    InvalidInputError,
)
from .streams import AsyncChatStream, ChatStream

__all__ = ["AsyncDriver", "AsyncFrames", "Driver", "Frames"]

_EVENTS = {"content-type": "text/event-stream", "cache-control": "no-cache"}


class Frames:
    """The events of a stream, as the body of a response."""

    def __init__(
        self, library: ModuleType, asked: Asked, first: Any, stream: ChatStream
    ) -> None:
        self._library = library
        self._asked = asked
        self._stream = stream
        self._chunks = chain([first], stream)
        self._done = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._done:
            raise StopIteration
        try:
            for chunk in self._chunks:
                if event := framed(chunk, self._asked):
                    return event
            self._done = _ended(self._stream)
        except ConfidentialError as error:
            failure = twin_of(error, self._library)
        else:
            return DONE
        raise failure

    def close(self) -> None:
        """Hang up, silently."""
        self._stream.close()


class AsyncFrames:
    """The events of a stream, as the body of a response; see `Frames`.

    Not a generator, for the reasons of `async_client`.
    """

    def __init__(
        self, library: ModuleType, asked: Asked, first: Any, stream: AsyncChatStream
    ) -> None:
        self._library = library
        self._asked = asked
        self._stream = stream
        self._first: Any = first
        self._done = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._done:
            raise StopAsyncIteration
        try:
            while chunk := self._first or await anext(self._stream, None):
                self._first = None
                if event := framed(chunk, self._asked):
                    return event
            self._done = _ended(self._stream)
        except ConfidentialError as error:
            failure = twin_of(error, self._library)
        else:
            return DONE
        raise failure

    async def aclose(self) -> None:
        """Hang up, silently."""
        await self._stream.aclose()


def _ended(stream: ChatStream | AsyncChatStream) -> bool:
    """Tell whether the authenticated end was seen; only then is there a verdict.

    Raises:
        ClientClosedError: It was not, and nothing will come any more.
    """
    if stream.verdict is None:
        raise ClientClosedError("The stream was closed before.", Exposure.SEALED)
    return True


class Driver(Client):
    """What a blocking transport consists of.

    Args:
        library: The application's HTTP library.
        body: Makes the body of a streamed response.
        inner: What sends to the network; a transport is closed with this one.
        **settings: See `ClientSettings`.

    Raises:
        InvalidInputError: `inner` is of another library, or a setting cannot be used.
    """

    _owner: Client | None = None
    """Of a bound one: who closes the connections when nobody has it any more."""

    def __init__(
        self,
        library: ModuleType,
        body: Callable[..., Frames],
        inner: httpx.Client | httpx.BaseTransport | None,
        **settings: Unpack[ClientSettings],
    ) -> None:
        _check_sealed(settings)
        self._library = library
        self._body = body
        self._wrapped: httpx.Client | None = None
        if isinstance(inner, httpx.BaseTransport):
            self._wrapped = inner = httpx.Client(transport=inner)
        if not isinstance(inner, httpx.Client | None):
            raise _wrong_inner("httpx.Client or httpx.BaseTransport")
        super().__init__(http_client=inner, **settings)

    @property
    def base_url(self) -> str:
        """Where the network is, without `/v1`."""
        return self._connection.base_url

    def respond(self, request: Any) -> Any:
        """Return the library's response to its request.

        Raises:
            ConfidentialError: See `_twins` for what else it then is.
        """
        try:
            return self._respond(request)
        except ConfidentialError as error:
            said, failure = refused(error), twin_of(error, self._library)
        if said is not None:
            return _response(self._library, said)
        raise failure from None

    def close(self) -> None:
        """Close the connections, and an inner transport."""
        super().close()
        if self._wrapped is not None:
            self._wrapped.close()

    def _respond(self, request: Any) -> Any:
        path = _checked(request, self._library, self.base_url)
        asked = read_asked(path, request.read())
        bound = self._bound(request)
        if asked.request is None:
            return _response(self._library, listed(bound.models()))
        if asked.stream:
            return bound._stream(asked, asked.request)  # noqa: SLF001 - its own class
        answer = bound._ask(asked.request)  # noqa: SLF001
        said = answered(answer, asked.request)
        return _response(self._library, said, answer)

    def _stream(self, asked: Asked, request: Request) -> Any:
        stream = ChatStream(partial(self._chunks, request))
        body = self._body(self._library, asked, next(stream), stream)
        return _streamed(self._library, body, stream)

    def _bound(self, request: Any) -> Self:
        """Return this client within the time limits of a request."""
        bound = copy.copy(self)
        bound._connection = _within(self._connection, request)  # noqa: SLF001
        bound._owner = self  # noqa: SLF001
        return bound


class AsyncDriver(AsyncClient):
    """What an asynchronous transport consists of; see `Driver`."""

    def __init__(
        self,
        library: ModuleType,
        body: Callable[..., AsyncFrames],
        inner: httpx.AsyncClient | httpx.AsyncBaseTransport | None,
        **settings: Unpack[ClientSettings],
    ) -> None:
        _check_sealed(settings)
        self._library = library
        self._body = body
        self._wrapped: httpx.AsyncClient | None = None
        if isinstance(inner, httpx.AsyncBaseTransport):
            self._wrapped = inner = httpx.AsyncClient(transport=inner)
        if not isinstance(inner, httpx.AsyncClient | None):
            raise _wrong_inner("httpx.AsyncClient or httpx.AsyncBaseTransport")
        super().__init__(http_client=inner, **settings)

    @property
    def base_url(self) -> str:
        """Where the network is, without `/v1`."""
        return self._connection.base_url

    async def respond(self, request: Any) -> Any:
        """Return the library's response to its request; see `Driver.respond`."""
        try:
            return await self._respond(request)
        except ConfidentialError as error:
            said, failure = refused(error), twin_of(error, self._library)
        if said is not None:
            return _response(self._library, said)
        raise failure from None

    async def aclose(self) -> None:
        """Close the connections of the running loop, and an inner transport."""
        await super().aclose()
        if self._wrapped is not None:
            await self._wrapped.aclose()

    async def _respond(self, request: Any) -> Any:
        path = _checked(request, self._library, self.base_url)
        asked = read_asked(path, await request.aread())
        bound = self._bound(request)
        if asked.request is None:
            return _response(self._library, listed(await bound.models()))
        if asked.stream:
            return await bound._stream(asked, asked.request)  # noqa: SLF001 - its own class
        answer = await bound._ask(asked.request)  # noqa: SLF001
        said = answered(answer, asked.request)
        return _response(self._library, said, answer)

    async def _stream(self, asked: Asked, request: Request) -> Any:
        stream = AsyncChatStream(partial(self._chunks, request))
        body = self._body(self._library, asked, await anext(stream), stream)
        return _streamed(self._library, body, stream)

    def _bound(self, request: Any) -> Self:
        bound = copy.copy(self)
        bound._connection = _within(self._connection, request)  # noqa: SLF001
        return bound


def _check_sealed(settings: ClientSettings) -> None:
    if settings.get("confidential", True) is not True:
        raise InvalidInputError(
            "A ConfidentialTransport only seals: for text in clear use the SDK alone."
        )


def _wrong_inner(expected: str) -> InvalidInputError:
    return InvalidInputError(
        f"inner= sends to the network, with httpx in any case: pass an {expected}."
    )


def _checked(request: Any, library: ModuleType, base: str) -> str:
    """Return which request this is.

    Raises:
        InvalidInputError: It is none that is sealed, or of another library.
    """
    if not isinstance(request, library.Request):
        theirs = type(request).__module__.partition(".")[0]
        raise InvalidInputError(
            f"This transport is for {library.__name__}: the client is {theirs}'s, so "
            f"take the one from atoma_confidential.{theirs}."
        )
    return check_head(request.method, str(request.url), request.headers, base)


def _within(connection: Connection, request: Any) -> Connection:
    limits = connection.limits.within(request.extensions.get("timeout", {}))
    return Connection(connection.session, connection.base_url, limits)


def _response(library: ModuleType, said: Said, answer: Any = None) -> Any:
    return library.Response(
        said.status,
        headers=said.headers,
        content=said.body,
        extensions={} if answer is None else {"atoma": answer},
    )


def _streamed(library: ModuleType, body: Any, stream: Any) -> Any:
    extensions = {"atoma": stream}
    return library.Response(200, headers=_EVENTS, stream=body, extensions=extensions)
