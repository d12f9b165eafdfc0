"""The blocking client: does the I/O that a flow asks for.

No decision of the protocol lives here: a shell translates, loops and closes.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

import httpx

from ._deadline import DeadlineTransport, deadline
from ._embed import Part, embed_batch
from ._flow import Answer, LiveAnswer, exchange, exchange_stream, list_models
from ._http import Idle, Whole, as_failure, live_reply, proxy_of, tls_context
from ._plan import EmbeddingPlan, plan_embedding
from ._reply import as_chunks
from ._request import Request, chat_request
from ._session import Flow, Reply, Send, Sleep
from ._settings import ClientSettings, connection_of
from ._threads import side_by_side
from ._wire import Model
from .errors import ConfidentialError
from .parameters import ChatParameters, EmbeddingParameters
from .replies import ChatReply, EmbeddingReply
from .verdict import Verdict

__all__ = ["ChatStream", "Client"]

T = TypeVar("T")


class Client:
    """Chat and embeddings over the Atoma network, sealed unless told otherwise.

    Safe to share between threads. Makes its connections at the first request, and
    again after a fork.

    Args:
        http_client: Makes the connections instead of one of ours: for proxies and
            certificates. Its headers, cookies, auth and redirects are not used, and
            closing it stays with the caller. It knows no deadline: a server that drips
            the head of a reply is then waited for.
        **settings: See `ClientSettings`.

    Raises:
        MissingCredentialsError: There is no API key.
        InvalidInputError: A setting cannot be used.
    """

    def __init__(
        self,
        *,
        http_client: httpx.Client | None = None,
        **settings: Unpack[ClientSettings],
    ) -> None:
        self._connection = connection_of(**settings)
        self._given = http_client
        self._own: dict[int, httpx.Client] = {}
        self._turns: dict[tuple[int, str], threading.Lock] = {}
        self._finalizer = weakref.finalize(self, _close_own, self._own)

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        model: str,
        extra_body: Mapping[str, Any] | None = None,
        **parameters: Unpack[ChatParameters],
    ) -> ChatReply:
        """Return a whole chat answer.

        Args:
            messages: In OpenAI's shape.
            model: The engine's model, in its exact case.
            extra_body: Parameters of the engine.
            **parameters: See `ChatParameters`.

        Raises:
            ConfidentialError: See `errors`; each class says what had left the process.
        """
        request = chat_request(
            messages,
            model=model,
            parameters=parameters,
            extra_body=extra_body,
            stream=False,
        )
        answer = self._drive(exchange(self._connection.session, request))
        return ChatReply(answer.body, answer.verdict)

    def stream_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        model: str,
        extra_body: Mapping[str, Any] | None = None,
        **parameters: Unpack[ChatParameters],
    ) -> ChatStream:
        """Return the chunks of a chat answer, requested when the first is asked for.

        Takes what `chat` takes; `n` must be 1.
        """
        request = chat_request(
            messages,
            model=model,
            parameters=parameters,
            extra_body=extra_body,
            stream=True,
        )
        return ChatStream(partial(self._chunks, request))

    def embed(
        self, texts: str | Sequence[str], **parameters: Unpack[EmbeddingParameters]
    ) -> EmbeddingReply:
        """Return one vector for each text, in batches that run side by side.

        Args:
            texts: One, or many; none of them empty.
            **parameters: See `EmbeddingParameters`.

        Raises:
            ConfidentialError: With the `indices` of the batch that failed; the batches
                not yet begun are dropped.
        """
        session = self._connection.session
        plan = plan_embedding(texts, confidential=session.confidential, **parameters)
        parts = [part for parts in self._embed_all(plan) for part in parts]
        return EmbeddingReply.of_parts(parts, model=plan.options.model)

    def models(self) -> list[Model]:
        """Return what the proxy lists; not all of it has confidential nodes."""
        return self._drive(list_models(self._connection.session))

    def close(self) -> None:
        """Close the connections; a further call would make new ones."""
        _close_own(self._own)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _embed_all(self, plan: EmbeddingPlan) -> list[list[Part]]:
        def embed(batch: range) -> list[Part]:
            flow = embed_batch(
                self._connection.session,
                plan.texts,
                batch,
                plan.options,
                plan.tally,
            )
            return self._drive(flow)

        if len(plan.batches) <= 1:
            return [embed(batch) for batch in plan.batches]
        parts: dict[int, list[Part]] = {}
        for index, done in side_by_side(embed, plan.batches, threads=plan.concurrency):
            parts[index] = done
            plan.on_batch(len(plan.batches[index]))
        return [parts[index] for index in range(len(plan.batches))]

    def _drive(self, flow: Flow[T]) -> T:
        """Run a flow to its result."""
        reply: Reply | None = None
        failure: ConfidentialError | None = None
        source: httpx.Response | None = None
        try:
            while True:
                step = flow.throw(failure) if failure else flow.send(reply)
                reply = failure = None
                try:
                    if isinstance(step, Sleep):
                        time.sleep(step.seconds)
                    else:
                        reply = self._send(step)
                        source = reply.source
                except ConfidentialError as error:
                    failure = error
        except StopIteration as stop:
            return cast("T", stop.value)
        except BaseException:
            if source is not None:
                source.close()
            raise
        finally:
            flow.close()

    def _send(self, send: Send) -> Reply:
        with self._turn(send):
            response = self._open(send)
            if send.live and response.status_code == httpx.codes.OK:
                return live_reply(response)
            with closing(response):
                return self._read(response, send)

    def _open(self, send: Send) -> httpx.Response:
        connection = self._connection
        request = connection.limits.request(send, connection.base_url)
        try:
            with deadline(connection.limits.head(send)):
                return self._http().send(
                    request, stream=True, auth=None, follow_redirects=False
                )
        except httpx.HTTPError as error:
            failure = as_failure(error, send)
        raise failure  # outside, for httpx's error holds the request

    def _read(self, response: httpx.Response, send: Send) -> Reply:
        seconds = self._connection.limits.whole(send)
        whole = Whole(send, seconds, response)
        try:
            with deadline(seconds):
                for data in response.iter_bytes():
                    whole.add(data)
            return whole.reply()
        except httpx.HTTPError as error:
            failure = as_failure(error, send, head_came=True)
        raise failure

    @contextmanager
    def _turn(self, send: Send) -> Iterator[None]:
        """Wait for the turn of a request that is made one at a time at first."""
        if send.once_per is None:
            yield
            return
        # A lock that another thread held at a fork is never released in the child.
        key = os.getpid(), send.once_per
        turn = self._turns.setdefault(key, threading.Lock())
        if not turn.acquire(timeout=self._connection.limits.lock):
            yield  # whoever has the turn is stuck; that is no reason to be
            return
        try:
            if send.once_per not in self._connection.session.locked:
                yield
                return
        finally:
            turn.release()
        yield

    def _http(self) -> httpx.Client:
        if self._given is not None:
            return self._given
        # A process that was forked must not use its parent's sockets.
        own = self._own.get(os.getpid())
        if own is None:
            transport = DeadlineTransport(
                verify=tls_context(), proxy=proxy_of(self._connection.base_url)
            )
            own = self._own.setdefault(os.getpid(), httpx.Client(transport=transport))
            # Canaries of a parent process come back to the parent.
            self._connection.session.probing.clear()
        return own

    def _chunks(
        self, request: Request, stream: ChatStream
    ) -> Generator[dict[str, Any], None, None]:
        flow = exchange_stream(self._connection.session, request)
        answer = self._drive(flow)
        if isinstance(answer, Answer):
            yield from as_chunks(answer.body)
        else:
            yield from self._events(answer)
        stream.verdict = answer.verdict

    def _events(self, live: LiveAnswer) -> Iterator[dict[str, Any]]:
        response: httpx.Response = live.source
        idle = Idle(self._connection.limits.idle)
        with closing(response):
            try:
                for data in response.iter_bytes():
                    for chunk in live.opener.feed(data):
                        yield chunk
                        idle.restart()
                    if idle.too_long:
                        break
            except httpx.TimeoutException:
                idle.silent = True
            except httpx.HTTPError:
                pass  # an end is judged by what was opened, not by how it came
        live.opener.finish(stalled=idle.too_long)


class ChatStream:
    """The chunks of one chat answer, as OpenAI's `chat.completion.chunk` objects.

    Closing it, or leaving its `with` block, hangs up.

    Attributes:
        verdict: What was checked; None until the end has been reached.
    """

    def __init__(
        self, start: Callable[[ChatStream], Generator[dict[str, Any], None, None]]
    ) -> None:
        self.verdict: Verdict | None = None
        self._chunks = start(self)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        return next(self._chunks)

    def close(self) -> None:
        """Hang up, silently: to stop early is no truncation."""
        self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _close_own(own: dict[int, httpx.Client]) -> None:
    client = own.pop(os.getpid(), None)
    if client is not None:
        client.close()
