"""Any OpenAI-compatible engine behind the local node: vLLM, Ollama, llama.cpp."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from .backend import EngineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["UpstreamBackend"]

Json = dict[str, Any]

_TIMEOUT = httpx.Timeout(600.0, connect=10.0)


class UpstreamBackend:
    """Passes bodies on as they are, and answers back.

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

    def __repr__(self) -> str:
        return f"UpstreamBackend({self._url!r})"

    async def chat(self, body: Json) -> Json:
        """Ask the engine for a chat completion."""
        return await self._post("/chat/completions", body)

    async def embed(self, body: Json) -> Json:
        """Ask the engine for embeddings."""
        return await self._post("/embeddings", body)

    async def models(self) -> Sequence[str]:
        """Ask the engine what it serves."""
        answer = await self._exchange("GET", "/models")
        return [str(model["id"]) for model in answer["data"]]

    async def stream_chat(self, body: Json) -> AsyncIterator[Json]:
        """Start a stream; the engine's refusal is raised here."""
        client = self._opened()
        request = client.build_request(
            "POST", f"{self._url}/chat/completions", json=body, headers=self._headers
        )
        try:
            response = await client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise EngineError(502, "the engine cannot be reached") from error
        if response.is_error:
            await response.aclose()
            raise EngineError(response.status_code, "the engine refused the request")
        return _events(response)

    async def aclose(self) -> None:
        """Close the connections to the engine."""
        if self._client is not None:
            await self._client.aclose()

    async def _post(self, path: str, body: Json) -> Json:
        return await self._exchange("POST", path, body)

    async def _exchange(self, method: str, path: str, body: Json | None = None) -> Json:
        try:
            response = await self._opened().request(
                method, f"{self._url}{path}", json=body, headers=self._headers
            )
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise EngineError(502, "the engine cannot be reached") from error
        if response.is_error or not isinstance(answer, dict):
            raise EngineError(response.status_code, "the engine refused the request")
        return answer

    def _opened(self) -> httpx.AsyncClient:
        # Made on the server's event loop, which a constructor does not run on.
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=_TIMEOUT, transport=self._transport, trust_env=False
            )
        return self._client


async def _events(response: httpx.Response) -> AsyncIterator[Json]:
    """Yield chunk objects, however the engine's events are cut into reads."""
    try:
        async for line in response.aiter_lines():
            data = line.removeprefix("data:").strip()
            if not line.startswith("data:") or not data:
                continue
            if data == "[DONE]":
                return
            yield json.loads(data)
    except (httpx.HTTPError, ValueError):
        return  # the node ends its own body then, and cleanly (protocol section 7.2)
    finally:
        await response.aclose()
