"""The blocking client: does the I/O that a flow asks for.

No decision of the protocol lives here: a shell translates, loops and closes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

import httpx

from ._answered import Answer
from ._appraise import appraise_anew
from ._connections import Connections
from ._deadline import deadline
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
from ._live import live_chunks
from ._plan import EmbeddingPlan, plan_embedding
from ._reply import as_chunks
from ._request import Request, chat_request
from ._session import Alone, Aside, Begin, Begun, Flow, Reply, Send, Shown, Sleep, Work
from ._settings import ClientSettings, connection_of
from ._threads import Beside, side_by_side
from ._turns import ThreadTurns
from ._watch import Watch, operation_of
from ._wire import Model
from .attestation import AttestationResult
from .attestation.policy import Candidate
from .errors import ConfidentialError, InvalidInputError
from .explain import Explanation, explain
from .parameters import ChatParameters, EmbeddingParameters
from .replies import ChatReply, EmbeddingReply
from .streams import ChatStream, Outcome

__all__ = ["Client"]

T = TypeVar("T")


class Client:
    """Chat and embeddings over the Atoma network, sealed unless told otherwise.

    Safe to share between threads. Makes its connections at the first request, and
    again after a fork.

    Args:
        http_client: Makes all connections instead of ours, those of the trust policy
            among them: for proxies and certificates. Its headers, cookies, auth and
            redirects are not used, and closing it stays with the caller. It knows no
            deadline: a server that drips the head of a reply is then waited for. Nor
            does it tell whether a byte came where a head is cut: such a request is
            then taken for one without an answer, and repeated once.
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
        session = self._connection.session
        # Canaries of a parent process come back to the parent.
        self._own = Connections(self._connection.base_url, session.probing.clear)
        self._turns: dict[int, ThreadTurns] = {}
        self._beside = Beside()

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
        return ChatReply.of_answer(self._ask(request))

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
        with self._connection.watch("embeddings", plan.options.model) as watched:
            batches = self._embed_all(plan, watched)
            parts = [part for batch in batches for part in batch]
            reply = EmbeddingReply.of_parts(parts, model=plan.options.model)
            summary = {"usage": reply.usage, "model": reply.model}
            watched.answered(summary, *reply.verdicts)
        return reply

    def models(self) -> list[Model]:
        """Return what the proxy lists; not all of it has confidential nodes."""
        with self._connection.watch("models") as watched:
            return self._drive(list_models(self._connection.session), watched)

    def probe_nonces(self, *, model: str) -> Shown | None:
        """Return how a node of a model treats nonces in streams, by a harmless one.

        Takes a lock. What is found decides about the streams of this client as well;
        None if the probe failed.

        Raises:
            ConfidentialError: No node could be reserved, or its key was refused.
        """
        with self._connection.watch("probe_nonces", model) as watched:
            return self._drive(probe_nonces(self._connection.session, model), watched)

    def explain(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        model: str,
        stream: bool = False,
        extra_body: Mapping[str, Any] | None = None,
        **parameters: Unpack[ChatParameters],
    ) -> Explanation:
        """Return who would see what of a chat call, without making it.

        Takes what `chat` takes, and whether the answer would be streamed.
        """
        request = chat_request(
            messages,
            model=model,
            parameters=parameters,
            extra_body=extra_body,
            stream=stream,
        )
        return explain(self._connection.session, request, stream=stream)

    def explain_embed(
        self, texts: str | Sequence[str], **parameters: Unpack[EmbeddingParameters]
    ) -> Explanation:
        """Return who would see what of the first batch of an embedding call."""
        session = self._connection.session
        plan = plan_embedding(texts, confidential=session.confidential, **parameters)
        if not plan.batches:
            raise InvalidInputError("There is nothing to embed.")
        batch = [plan.texts[index] for index in plan.batches[0]]
        return explain(session, plan.options.request(batch + plan.options.decoys()))

    def appraise(self, *, node: int, key: bytes | str) -> AttestationResult:
        """Ask the trust policy about a key, without a lock and without sealing.

        Whatever an earlier appraisal has found, everything is fetched again.

        Args:
            node: The number of the node that the key is said to be of.
            key: Its X25519 public key: 32 bytes, or their base64 text.

        Raises:
            AttestationError: The key is not acceptable, or could not be checked.
            InvalidInputError: These are not a node's number and a key.
        """
        candidate = Candidate.of(node=node, key=key)
        with self._connection.watch("appraise") as watched:
            flow = appraise_anew(self._connection.session, candidate)
            return self._drive(flow, watched)

    def close(self) -> None:
        """Close the connections; a further call would make new ones."""
        self._own.close()
        self._beside.wait()
        self._own.close()  # what was made beside

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, request: Request) -> Answer:
        """Return one whole answer."""
        with self._connection.watch(operation_of(request), request.model) as watched:
            flow = exchange(self._connection.session, request)
            answer = self._drive(flow, watched)
            watched.answered(answer.summary, answer.verdict)
        return answer

    def _embed_all(self, plan: EmbeddingPlan, watched: Watch) -> list[list[Part]]:
        def embed(batch: range) -> list[Part]:
            flow = embed_batch(
                self._connection.session,
                plan.texts,
                batch,
                plan.options,
                plan.tally,
            )
            return self._drive(flow, watched)

        if len(plan.batches) <= 1:
            return [embed(batch) for batch in plan.batches]
        parts: dict[int, list[Part]] = {}
        for index, done in side_by_side(embed, plan.batches, threads=plan.concurrency):
            parts[index] = done
            plan.on_batch(len(plan.batches[index]))
        return [parts[index] for index in range(len(plan.batches))]

    def _drive(  # noqa: C901 - a case for each step
        self, flow: Flow[T], watched: Watch, attempt: int = 1
    ) -> T:
        """Run a flow to its result."""
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
                            time.sleep(step.seconds)
                        case Alone():
                            result = self._alone(step, watched, attempt)
                        case Aside():
                            self._beside.begin(partial(self._take, step))
                        case Work():
                            result = step.do()
                        case Begin():
                            result = self._read_first(step)
                        case _:
                            with watched.request(step, attempt) as came:
                                result = came(self._send(step))
                                source = result.source
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

    def _alone(self, step: Alone, watched: Watch, attempt: int) -> Any:
        # A turn that another thread had at a fork is never over in the child.
        turns = self._turns.setdefault(os.getpid(), ThreadTurns())
        with turns.turn(step.name, seconds=self._connection.limits.lock):
            return self._drive(step.steps, watched, attempt)

    def _take(self, step: Aside) -> None:
        with self._connection.watch("lock_ahead", step.model) as watched:
            self._drive(step.steps, watched)

    def _send(self, send: Send) -> Reply:
        http = self._own.to(send.origin) if self._given is None else self._given
        response = self._open(send, http)
        if send.live and response.status_code == httpx.codes.OK:
            return live_reply(response)
        with closing(response):
            return self._read(response, send, http)

    def _open(self, send: Send, http: httpx.Client) -> httpx.Response:
        connection = self._connection
        request = connection.limits.request(send, connection.base_url)
        heard = listen()
        try:
            with deadline(connection.limits.head(send)):
                return http.send(
                    request, stream=True, auth=None, follow_redirects=False
                )
        except httpx.HTTPError as error:
            failure = as_failure(
                error, send, byte_came=heard.a_byte, closed=http.is_closed
            )
        except RuntimeError:  # httpx's, for a client that was closed before
            if not http.is_closed:
                raise
            failure = was_closed(send.before)
        raise failure  # outside, for httpx's error holds the request

    def _read(self, response: httpx.Response, send: Send, http: httpx.Client) -> Reply:
        seconds = self._connection.limits.whole(send)
        whole = Whole(send, self._connection.limits, response)
        try:
            with deadline(seconds):
                for data in response.iter_bytes():
                    whole.add(data)
            return whole.reply()
        except httpx.HTTPError as error:
            failure = as_failure(error, send, head_came=True, closed=http.is_closed)
        raise failure

    def _chunks(
        self, request: Request, outcome: Outcome
    ) -> Generator[dict[str, Any], None, None]:
        with self._connection.watch("chat", request.model, stream=True) as watched:
            flow = exchange_stream(self._connection.session, request)
            answer = self._drive(flow, watched)
            watched.first_chunk()
            if isinstance(answer, Answer):
                yield from as_chunks(answer.body)
            else:
                watched.reads(answer.opener)
                with closing(answer.stream.rest) as rest:
                    yield answer.stream.first
                    yield from rest
            outcome.attestation = answer.attestation
            outcome.verdict = answer.verdict
            watched.answered(answer.summary, answer.verdict)

    def _read_first(self, step: Begin) -> Begun:
        chunks = live_chunks(step, self._connection.limits)
        # There is one: what ends before its first chunk has raised.
        return Begun(next(chunks), chunks)
