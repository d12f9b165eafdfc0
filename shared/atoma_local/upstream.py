"""Any OpenAI-compatible engine behind the local node: vLLM, Ollama, llama.cpp."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Self

import httpx

from .backend import EngineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["UpstreamBackend"]

Json = dict[str, Any]

_LOG = logging.getLogger(__name__)

# A model may be loaded, and a long prompt read, before the first byte.
_TIMEOUT = httpx.Timeout(600.0, connect=10.0)

_WITHOUT_A_LIST = frozenset({404, 405, 501})


class UpstreamBackend:
    """Passes bodies on as they are, and answers back.

    What it logs of an engine's refusal is the status alone: engines quote prompts.

    Args:
        url: origin of the engine, with or without `/v1`.
        api_key: what the engine wants as a bearer token, if anything.
        transport: for tests.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url.rstrip("/").removesuffix("/v1") + "/v1"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._known: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"UpstreamBackend({self._url!r})"

    async def chat(self, body: Json) -> Json:
        """Ask the engine for a chat completion."""
        return await self._exchange("POST", "/chat/completions", body)

    async def complete(self, body: Json) -> Json:
        """Ask the engine to go on with a text."""
        return await self._exchange("POST", "/completions", body)

    async def embed(self, body: Json) -> Json:
        """Ask the engine for embeddings."""
        return await self._exchange("POST", "/embeddings", body)

    async def models(self) -> Sequence[str]:
        """Ask the engine what it serves; nothing where it has no list of it."""
        try:
            listed = (await self._exchange("GET", "/models")).get("data")
        except EngineError as error:
            if error.status in _WITHOUT_A_LIST:
                return ()
            raise
        entries = listed if isinstance(listed, list) else ()  # Ollama's may be null
        return [str(m["id"]) for m in entries if isinstance(m, dict) and m.get("id")]

    async def serves(self, model: str) -> bool:
        """Whether a request for the model is taken: all are, where nothing is listed.

        A name that was listed once is not asked about again. Ollama lists `name` as
        `name:latest`, and takes both.
        """
        names = {model, f"{model}:latest"}
        if names.isdisjoint(self._known):
            self._known = frozenset(await self.models())
        return not self._known or not names.isdisjoint(self._known)

    async def stream_chat(self, body: Json) -> AsyncIterator[Json]:
        """Start a stream; the engine's refusal is raised here."""
        response = await self._send("POST", "/chat/completions", body, stream=True)
        kind = response.headers.get("content-type", "")
        if not kind.startswith("text/event-stream"):
            await response.aclose()
            raise _failure(502, "/chat/completions", "answered without a stream")
        return _Events(response)

    async def aclose(self) -> None:
        """Close the connections to the engine; the next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _exchange(self, method: str, path: str, body: Json | None = None) -> Json:
        response = await self._send(method, path, body)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise _failure(502, path, "did not answer with a JSON object")
        return answer

    async def _send(
        self, method: str, path: str, body: Json | None, *, stream: bool = False
    ) -> httpx.Response:
        client = self._opened()
        try:
            request = client.build_request(
                method, f"{self._url}{path}", json=body, headers=self._headers
            )
        except ValueError as error:  # NaN, half of a surrogate pair
            raise _failure(400, path, "takes no such JSON") from error
        try:
            response = await client.send(request, stream=stream)
        except httpx.TimeoutException as error:
            raise _failure(504, path, "did not answer in time") from error
        except httpx.HTTPError as error:
            raise _failure(502, path, "cannot be reached") from error
        if not response.is_success:
            await response.aclose()
            status = response.status_code
            raise _failure(status, path, f"refused with status {status}")
        return response

    def _opened(self) -> httpx.AsyncClient:
        # Made on the server's event loop, which a constructor does not run on.
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=_TIMEOUT, transport=self._transport, trust_env=False
            )
        return self._client


class _Events:
    """Chunk objects of an engine's stream, however it is cut into reads.

    No generator: one that was not started would not hang up when it is closed, and
    the engine would write its answer to the end for nobody.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._lines = _lines(response)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Json:
        chunk = await self._next()
        if chunk is None:
            await self.aclose()
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Hang up, so that the engine stops."""
        await self._response.aclose()

    async def _next(self) -> Json | None:
        # The node ends its own body where the engine's breaks off or cannot be read,
        # and cleanly (protocol section 7.2).
        try:
            async for line in self._lines:
                data = line.removeprefix(b"data:").strip()
                if line.startswith(b"data:") and data:
                    return None if data == b"[DONE]" else _object(data)
        except (httpx.HTTPError, ValueError):
            pass
        return None


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield lines of bytes.

    `aiter_lines` also cuts at the line separators of Unicode, which engines write
    into JSON as they are.
    """
    rest = b""
    async for data in response.aiter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line
    yield rest


def _object(data: bytes) -> Json | None:
    value = json.loads(data)
    return value if isinstance(value, dict) else None


def _failure(status: int, path: str, what: str) -> EngineError:
    _LOG.warning("The engine's /v1%s %s.", path, what)
    return EngineError(status, f"the engine {what}")
