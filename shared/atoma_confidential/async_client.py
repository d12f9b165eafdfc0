"""The asynchronous client: does the I/O that a flow asks for.

No decision of the protocol lives here: a shell translates, loops and closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

import httpx

from ._answered import Answer
from ._appraise import appraise_anew
from ._connections import LoopResources
from ._embed import Part, embed_batch
from ._flow import (
    exchange,
    exchange_stream,
    list_models,
    probe_nonces,
)
from ._heard import listen
from ._http import (
    Whole,
    as_failure,
    live_reply,
    was_closed,
)
from ._live import LiveChunks
from ._loops import LoopLocal, computed
from ._plan import EmbeddingPlan, plan_embedding
from ._reply import as_chunks
from ._request import Request, chat_request
from ._session import Alone, Aside, Begin, Begun, Flow, Reply, Send, Shown, Sleep, Work
from ._settings import ClientSettings, Connection, connection_of
from ._watch import Watch, operation_of
from ._wire import Model
from .attestation import AttestationResult
from .attestation.policy import Candidate
from .client import Client
from .errors import ConfidentialError
from .parameters import ChatParameters, EmbeddingParameters
from .replies import ChatReply, EmbeddingReply
from .streams import AsyncChatStream, Outcome

__all__ = ["AsyncClient"]

T = TypeVar("T")


class AsyncClient:
    """`Client` for asyncio; one may serve several event loops, one after another.

    Connections belong to the loop that made them and are closed with it.

    Args:
        http_client: As for `Client`; it then serves one loop only.
        **settings: See `ClientSettings`.

    Raises:
        MissingCredentialsError: There is no API key.
        InvalidInputError: A setting cannot be used.
    """

    def __init__(
        self,
        *,
        http_client: httpx.AsyncClient | None = None,
        **settings: Unpack[ClientSettings],
    ) -> None:
        self._begin(connection_of(**settings), http_client)

    @classmethod
    def beside(
        cls, client: Client, *, http_client: httpx.AsyncClient | None = None
    ) -> Self:
        """Return a client with the settings of a blocking one, and what it knows.

        A node that one of them has tried with a canary is known to the other.
        """
        beside = cls.__new__(cls)
        beside._begin(client._connection, http_client)  # noqa: SLF001
        return beside

    def _begin(
        self, connection: Connection, http_client: httpx.AsyncClient | None
    ) -> None:
        self._connection = connection
        self._given = http_client
        self._loops = LoopLocal[LoopResources]()

    async def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        model: str,
        extra_body: Mapping[str, Any] | None = None,
        **parameters: Unpack[ChatParameters],
    ) -> ChatReply:
        """Return a whole chat answer; see `Client.chat`."""
        request = chat_request(
            messages,
            model=model,
            parameters=parameters,
            extra_body=extra_body,
            stream=False,
        )
        return ChatReply.of_answer(await self._ask(request))

    def stream_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        model: str,
        extra_body: Mapping[str, Any] | None = None,
        **parameters: Unpack[ChatParameters],
    ) -> AsyncChatStream:
        """Return the chunks of a chat answer; see `Client.stream_chat`."""
        request = chat_request(
            messages,
            model=model,
            parameters=parameters,
            extra_body=extra_body,
            stream=True,
        )
        return AsyncChatStream(partial(self._chunks, request))

    async def embed(
        self, texts: str | Sequence[str], **parameters: Unpack[EmbeddingParameters]
    ) -> EmbeddingReply:
        """Return one vector for each text; see `Client.embed`."""
        session = self._connection.session
        plan = plan_embedding(texts, confidential=session.confidential, **parameters)
        with self._connection.watch("embeddings", plan.options.model) as watched:
            batches = await self._embed_all(plan, watched)
            parts = [part for batch in batches for part in batch]
            reply = EmbeddingReply.of_parts(parts, model=plan.options.model)
            summary = {"usage": reply.usage, "model": reply.model}
            watched.answered(summary, *reply.verdicts)
        return reply

    async def models(self) -> list[Model]:
        """Return what the proxy lists; see `Client.models`."""
        with self._connection.watch("models") as watched:
            return await self._drive(list_models(self._connection.session), watched)

    async def appraise(self, *, node: int, key: bytes | str) -> AttestationResult:
        """Ask the trust policy about a key; see `Client.appraise`."""
        candidate = Candidate.of(node=node, key=key)
        with self._connection.watch("appraise") as watched:
            flow = appraise_anew(self._connection.session, candidate)
            return await self._drive(flow, watched)

    async def probe_nonces(self, *, model: str) -> Shown | None:
        """Return how a node of a model treats nonces; see `Client.probe_nonces`."""
        with self._connection.watch("probe_nonces", model) as watched:
            flow = probe_nonces(self._connection.session, model)
            return await self._drive(flow, watched)

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        state = self._loops.pop()
        if state is not None:
            await state.lifetime.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _ask(self, request: Request) -> Answer:
        """Return one whole answer."""
        with self._connection.watch(operation_of(request), request.model) as watched:
            flow = exchange(self._connection.session, request)
            answer = await self._drive(flow, watched)
            watched.answered(answer.summary, answer.verdict)
        return answer

    async def _embed_all(self, plan: EmbeddingPlan, watched: Watch) -> list[list[Part]]:
        limit = asyncio.Semaphore(plan.concurrency)

        async def embed(batch: range) -> list[Part]:
            async with limit:
                flow = embed_batch(
                    self._connection.session,
                    plan.texts,
                    batch,
                    plan.options,
                    plan.tally,
                )
                parts = await self._drive(flow, watched)
            plan.on_batch(len(batch))
            return parts

        tasks = [asyncio.ensure_future(embed(batch)) for batch in plan.batches]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(  # noqa: C901 - a case for each step
        self,
        flow: Flow[T],
        watched: Watch,
        outcome: Outcome | None = None,
        attempt: int = 1,
    ) -> T:
        """Run a flow to its result; that of a stream says what it is read from."""
        result: Any = None
        failure: ConfidentialError | None = None
        source: httpx.Response | None = None
        try:
            while True:
                step = flow.throw(failure) if failure else flow.send(result)
                result = failure = None
                try:
                    match step:
                        case Sleep():
                            watched.repeats(attempt, step)
                            attempt += 1
                            await asyncio.sleep(step.seconds)
                        case Alone():
                            result = await self._alone(step, watched, outcome, attempt)
                        case Aside():
                            (await self._loop()).begin(partial(self._take, step))
                        case Work():
                            result = await computed(step.do, size=step.size)
                        case Begin():
                            result = await self._read_first(step, outcome or Outcome())
                        case _:
                            _check_wanted(outcome, step)
                            with watched.request(step, attempt) as came:
                                result = came(await self._send(step))
                                source = result.source
                except ConfidentialError as error:
                    failure = error
        except StopIteration as stop:
            return cast("T", stop.value)
        except BaseException:
            if source is not None:
                await source.aclose()
            raise
        finally:
            flow.close()

    async def _alone(
        self, step: Alone, watched: Watch, outcome: Outcome | None, attempt: int
    ) -> Any:
        turns = (await self._loop()).turns
        async with turns.turn(step.name, seconds=self._connection.limits.lock):
            return await self._drive(step.steps, watched, outcome, attempt)

    async def _take(self, step: Aside) -> None:
        with self._connection.watch("lock_ahead", step.model) as watched:
            await self._drive(step.steps, watched)

    async def _send(self, send: Send) -> Reply:
        http = (await self._loop()).http(send.origin)
        response = await self._open(send, http)
        if send.live and response.status_code == httpx.codes.OK:
            return live_reply(response)
        async with aclosing(response):
            return await self._read(response, send, http)

    async def _open(self, send: Send, http: httpx.AsyncClient) -> httpx.Response:
        connection = self._connection
        request = connection.limits.request(send, connection.base_url)
        heard = listen()
        try:
            # httpx restarts its read timeout at each byte.
            async with asyncio.timeout(connection.limits.head(send)):
                return await http.send(
                    request, stream=True, auth=None, follow_redirects=False
                )
        except (httpx.HTTPError, TimeoutError) as error:
            failure = as_failure(
                error, send, byte_came=heard.a_byte, closed=http.is_closed
            )
        except RuntimeError:  # httpx's, for a client that was closed before
            if not http.is_closed:
                raise
            failure = was_closed(send.before)
        raise failure  # outside, for httpx's error holds the request

    async def _read(
        self, response: httpx.Response, send: Send, http: httpx.AsyncClient
    ) -> Reply:
        seconds = self._connection.limits.whole(send)
        whole = Whole(send, self._connection.limits, response)
        try:
            async with asyncio.timeout(seconds):
                async for data in response.aiter_bytes():
                    whole.add(data)
            return whole.reply()
        except (httpx.HTTPError, TimeoutError) as error:
            failure = as_failure(error, send, head_came=True, closed=http.is_closed)
        raise failure

    async def _loop(self) -> LoopResources:
        state = self._loops.get()
        if state is None:
            state = self._loops.set(
                LoopResources(self._given, self._connection.base_url)
            )
            # Starting the generator is what ties it to the loop.
            await anext(state.lifetime)
        return state

    async def _chunks(
        self, request: Request, outcome: Outcome
    ) -> AsyncGenerator[dict[str, Any], None]:
        with self._connection.watch("chat", request.model, stream=True) as watched:
            flow = exchange_stream(self._connection.session, request)
            answer = await self._drive(flow, watched, outcome)
            watched.first_chunk()
            if isinstance(answer, Answer):
                for chunk in as_chunks(answer.body):
                    yield chunk
            else:
                watched.reads(answer.opener)
                async with aclosing(cast("httpx.Response", outcome.source)):
                    yield answer.stream.first
                    async for chunk in answer.stream.rest:
                        yield chunk
            outcome.attestation = answer.attestation
            outcome.verdict = answer.verdict
            watched.answered(answer.summary, answer.verdict)

    async def _read_first(self, step: Begin, outcome: Outcome) -> Begun:
        outcome.source = step.source
        chunks = LiveChunks(step, self._connection.limits)
        try:
            # There is one: what ends before its first chunk has raised.
            return Begun(await anext(chunks), chunks)
        except BaseException:
            await step.source.aclose()
            raise


def _check_wanted(outcome: Outcome | None, send: Send) -> None:
    """Send nothing more for a stream that was closed before it began."""
    if outcome is not None and outcome.closed:
        raise was_closed(send.before, "stream")
