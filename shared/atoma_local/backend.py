"""What stands behind the node: an engine with an OpenAI-shaped interface."""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias, cast

from ._parameters import InvalidBodyError
from .chat_model import ExtractiveModel
from .embedder import HashingEmbedder

__all__ = ["Backend", "BuiltInBackend", "Engine", "EngineError"]

Json: TypeAlias = dict[str, Any]
Chunks: TypeAlias = Iterable[Json] | AsyncIterable[Json]

BUILT_IN_MODELS = (
    "meta-llama/Llama-3.3-70B-Instruct",
    "meta-llama/Llama-3.1-8B-Instruct",
    "Qwen/QwQ-32B",
    "mistralai/Mistral-Nemo-Instruct-2407",
    "deepseek-ai/DeepSeek-R1",
    "intfloat/multilingual-e5-large-instruct",
)


class EngineError(Exception):
    """The engine refused a body; its words stay at the node (protocol section 8.3)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Backend(Protocol):
    """An engine. Each method may be plain or async; a plain one must not block.

    Bodies and answers are those of OpenAI's endpoints; a stream is chunk objects,
    the last of them with `usage` and no choices. Refusals are `EngineError`s, raised
    by the call itself rather than by the first chunk.
    """

    def chat(self, body: Json) -> Json | Awaitable[Json]:
        """Answer `/v1/chat/completions`."""
        ...

    def stream_chat(self, body: Json) -> Chunks | Awaitable[Chunks]:
        """Answer `/v1/chat/completions` with `stream: true`."""
        ...

    def embed(self, body: Json) -> Json | Awaitable[Json]:
        """Answer `/v1/embeddings`."""
        ...

    def models(self) -> Sequence[str] | Awaitable[Sequence[str]]:
        """Name the models that are served, in exact case."""
        ...


class BuiltInBackend:
    """Deterministic and instant, with nothing to download.

    Answers are taken from the prompt's own passages; vectors are hashed n-grams.
    Every model name it serves is the same stand-in.

    Args:
        models: names to serve and no others; absent, it serves any name and lists
            a few.
        context_length: tokens above which a prompt is refused; None for no limit.
    """

    def __init__(
        self,
        models: Sequence[str] | None = None,
        *,
        context_length: int | None = None,
    ) -> None:
        self._models = None if models is None else tuple(models)
        self._chat = ExtractiveModel(context_length=context_length)
        self._embedder = HashingEmbedder()

    def chat(self, body: Json) -> Json:
        """Answer at once."""
        with _refusals():
            return self._chat.complete(body)

    def stream_chat(self, body: Json) -> Iterator[Json]:
        """Answer a token at a time."""
        with _refusals():
            return self._chat.stream(body)

    def embed(self, body: Json) -> Json:
        """Hash each input into a unit vector."""
        with _refusals():
            return self._embedder.embed(body)

    def models(self) -> Sequence[str]:
        """Name the models to list."""
        return BUILT_IN_MODELS if self._models is None else self._models

    def serves(self, model: str) -> bool:
        """Whether a request for the model is taken."""
        return self._models is None or model in self._models


class Engine:
    """A backend with its plain methods made awaitable, and completions added."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def models(self) -> Sequence[str]:
        """Name the models the backend serves."""
        return cast("Sequence[str]", await _settled(self._backend.models()))

    async def serves(self, model: str) -> bool:
        """Whether the backend takes requests for a model; by default those it lists."""
        serves = getattr(self._backend, "serves", None)
        if serves is not None:
            return bool(await _settled(serves(model)))
        return model in await self.models()

    async def answer(self, endpoint: str, body: Json) -> Json:
        """Answer a body of `chat/completions`, `completions` or `embeddings`."""
        if endpoint == "embeddings":
            return cast("Json", await _settled(self._backend.embed(body)))
        if endpoint == "completions":
            return await self._complete(body)
        return cast("Json", await _settled(self._backend.chat(body)))

    async def stream(self, body: Json) -> AsyncIterator[Json]:
        """Start a stream; refusals are raised here, not by the iterator."""
        body = body | {"stream_options": {"include_usage": True}}
        chunks = cast("Chunks", await _settled(self._backend.stream_chat(body)))
        # As it is, so that closing it closes what is behind it.
        return chunks if isinstance(chunks, AsyncIterator) else _async_iterator(chunks)

    async def aclose(self) -> None:
        """Close the backend if it has something to close."""
        close = getattr(self._backend, "aclose", None)
        if close is not None:
            await close()

    async def _complete(self, body: Json) -> Json:
        """Answer the older endpoint, by way of chat where the backend lacks it."""
        complete = getattr(self._backend, "complete", None)
        if complete is not None:
            return cast("Json", await _settled(complete(body)))
        rest = {k: v for k, v in body.items() if k not in {"prompt", "echo", "suffix"}}
        messages = [{"role": "user", "content": body.get("prompt")}]
        answer = await self.answer("chat/completions", rest | {"messages": messages})
        choices = [
            {
                "index": choice["index"],
                "text": choice["message"]["content"] or "",
                "logprobs": None,
                "finish_reason": choice["finish_reason"],
            }
            for choice in answer["choices"]
        ]
        name = str(answer["id"]).replace("chatcmpl-", "cmpl-")
        return answer | {"id": name, "object": "text_completion", "choices": choices}


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except InvalidBodyError as error:
        raise EngineError(400, str(error)) from error


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def _async_iterator(chunks: Chunks) -> AsyncIterator[Json]:
    if isinstance(chunks, AsyncIterable):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk
