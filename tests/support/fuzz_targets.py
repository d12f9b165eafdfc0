"""What reads bytes that others have written, as targets for a fuzzer.

A target takes bytes and returns, or raises an error of ours: anything else is a find,
and so is an error that carries what it failed on. What stands behind a seal or a
signature is sealed, or said to be signed, by the target itself: no fuzzer guesses one.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import fuzz_seeds as seeds
import fuzz_trust as trust
import fuzz_words as words
import wire_shape
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from verdicts import VERDICT

from atoma_confidential import _wire
from atoma_confidential._batches import vectors_of
from atoma_confidential._reply import (
    StreamOpener,
    as_chunks,
    check_answer,
    open_answer,
)
from atoma_confidential._sse import EventDecoder
from atoma_confidential._wire import Endpoint
from atoma_confidential.envelope import Recipient, _seal
from atoma_confidential.errors import ConfidentialError, Exposure
from atoma_confidential.tool_calls import CallAssembler, any_cut_off

LONGEST_ERROR = 1000
_CARRIERS = ("doc", "object")
"""Where the errors of parsers keep what they failed on."""


@dataclass(frozen=True)
class Target:
    """Something that reads bytes.

    Attributes:
        read: Takes them.
        seeds: What a fuzzer starts from; good and bad.
        words: What is worth putting into them.
        text: Whether they are lines of JSON.
    """

    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    words: tuple[str, ...] = ()
    text: bool = True


def attempt(target, data):
    """Tell whether a target has taken these bytes; a find raises."""
    try:
        target.read(data)
    except ConfidentialError as refusal:
        _check_told(refusal)
        return False
    return True


def _check_told(refusal):
    """Check that neither an error nor what it came from carries what it was about."""
    assert len(str(refusal)) < LONGEST_ERROR
    while refusal is not None:
        assert not any(hasattr(refusal, name) for name in _CARRIERS), type(refusal)
        context = None if refusal.__suppress_context__ else refusal.__context__
        refusal = refusal.__cause__ or context


# --- streams and sealed answers -----------------------------------------------------


class _Node:
    """Seals to itself under fixed keys, and answers under the same."""

    def __init__(self):
        client = X25519PrivateKey.from_private_bytes(bytes(range(32)))
        node = X25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
        recipient = Recipient(node.public_key().public_bytes_raw())
        _, self.opener = _seal(
            recipient, b"{}", private_key=client, salt=bytes(16), nonce=bytes(12)
        )

    def answer(self, plaintext, number=1):
        nonce = number.to_bytes(12, "big")
        fields = {
            "nonce": nonce,
            "ciphertext": self.opener._cipher.encrypt(nonce, plaintext, None),
            "response_hash": hashlib.blake2b(plaintext, digest_size=32).digest(),
            "signature": bytes(97),
        }
        written = {k: base64.b64encode(v).decode() for k, v in fields.items()}
        return json.dumps(written).encode()

    def events(self, plaintexts):
        answers = map(self.answer, plaintexts, range(1, len(plaintexts) + 1))
        return b"".join(b"data: %b\n\n" % answer for answer in answers)


_NODE = _Node()


def _pieces(data):
    """Cut bytes somewhere: the same bytes always at the same places."""
    seed = zlib.crc32(data)
    start = 0
    while start < len(data):
        size = 1 + seed % (1 + (seed >> 8) % 96)
        yield data[start : start + size]
        start += size
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF


def read_sse(data):
    whole = EventDecoder(Exposure.SEALED, max_event_bytes=4096)
    cut = EventDecoder(Exposure.SEALED, max_event_bytes=4096)
    events = whole.feed(data)
    assert [e for piece in _pieces(data) for e in cut.feed(piece)] == events


def read_answer(data):
    opened = open_answer(_NODE.answer(data), _NODE.opener, Endpoint.CHAT)
    assert opened.plaintext == data
    for _ in as_chunks(opened.body):
        pass


def read_vectors(data):
    body = check_answer(data, Endpoint.EMBEDDINGS, Exposure.SEALED)
    vectors = vectors_of(body, count=2, dimensions=None, exposure=Exposure.SEALED)
    assert all(isinstance(n, float) for vector in vectors for n in vector)


def _streamed(data):
    """Open lines as the events of one stream, in one piece and in many."""
    wire = _NODE.events(data.split(b"\n"))
    opened, whole = [], StreamOpener(_NODE.opener)
    for piece in _pieces(wire):
        opened += whole.feed(piece)
    assert list(StreamOpener(_NODE.opener).feed(wire)) == opened
    whole.finish()
    return opened


def read_plain_stream(data):
    whole, cut = StreamOpener(None), StreamOpener(None)
    opened = list(whole.feed(data))
    assert [c for piece in _pieces(data) for c in cut.feed(piece)] == opened
    whole.finish()
    cut.finish()


# --- the rest of the wire -----------------------------------------------------------


def read_lease(data):
    lease = _wire.parse_lease(data, units=1)
    for value in _wire.stack_headers(lease).values():
        assert value.isascii()
        assert value.isalnum()


def read_status(data):
    head, _, rest = data.partition(b"\n")
    retry, _, rest = rest.partition(b"\n")
    date, _, body = rest.partition(b"\n")
    status = 100 + int.from_bytes(head[:2], "big") % 900
    if head.isdigit():
        status = int(head[:3])
    headers = {"retry-after": retry.decode("latin-1"), "date": date.decode("latin-1")}
    error = _wire.status_error(status, headers, body, exposure=Exposure.SEALED)
    assert error.retry_after is None or error.retry_after >= 0
    assert len(str(error)) < LONGEST_ERROR


# --- answers, as frameworks have them -----------------------------------------------


def read_tool_calls(data):
    assembler = CallAssembler()
    for line in data.split(b"\n"):
        try:
            fragments = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(fragments, list):
            assembler.read(fragments)
    calls = assembler.calls
    assert len({call.call_id for call in calls}) == len(calls)
    json.dumps([call.as_wire() for call in calls])
    any_cut_off(calls)


def read_langchain(data):
    from langchain_atoma._convert import to_wire
    from langchain_atoma._parse import chat_result

    body = check_answer(data, Endpoint.CHAT, Exposure.SEALED)
    result = chat_result(body, VERDICT, keep_truncated=len(data) % 2 == 0)
    for generation in result.generations:
        message = generation.message
        (sent,) = wire_shape.check_messages(to_wire([message], reasoning="always"))
        again = {"model": "m", "choices": [{"message": sent}]}
        (same,) = chat_result(again, VERDICT, keep_truncated=False).generations
        for name in ("content", "tool_calls", "invalid_tool_calls"):
            _same(getattr(same.message, name), getattr(message, name))
        extra = dict(message.additional_kwargs)
        if "function_call" in extra:  # which engines may put more into
            call = extra["function_call"]
            extra["function_call"] = {n: call[n] for n in ("name", "arguments")}
        _same(same.message.additional_kwargs, extra)


def read_langchain_stream(data):
    from langchain_atoma._chunks import ChunkReader

    reader = ChunkReader(keep_truncated=len(data) % 2 == 0)
    chunks = [chunk for body in _streamed(data) if (chunk := reader.read(body))]
    total = reader.finish(VERDICT)
    for chunk in chunks[:1]:
        total = sum(chunks[1:], chunk) + total if len(chunks) > 1 else chunk + total
    json.dumps(total.message.tool_calls)


def read_langchain_messages(data):
    from langchain_core import messages as lc

    from langchain_atoma._convert import to_wire

    kinds = {
        "human": lc.HumanMessage,
        "system": lc.SystemMessage,
        "ai": lc.AIMessage,
        "tool": lc.ToolMessage,
        "function": lc.FunctionMessage,
        "chat": lc.ChatMessage,
    }
    _map(data, lambda kind, fields: kinds[kind](**fields), to_wire)


def read_llama_index(data):
    from llama_index_atoma._answer import AnswerReader, as_completion
    from llama_index_atoma._convert import to_wire

    body = check_answer(data, Endpoint.CHAT, Exposure.SEALED)
    kept = "keep" if len(data) % 2 == 0 else "raise"
    response = AnswerReader(on_truncated=kept).whole(body, VERDICT)
    as_completion(response)
    message = response.message
    (sent,) = wire_shape.check_messages(to_wire([message], reasoning="always"))
    again = {"model": "m", "choices": [{"message": sent}]}
    same = AnswerReader().whole(again, VERDICT).message
    (sent_again,) = to_wire([same], reasoning="always")
    assert sent_again == sent
    assert [type(block) for block in same.blocks] == [
        type(block) for block in message.blocks
    ]


def read_llama_index_stream(data):
    from llama_index_atoma._answer import AnswerReader, as_completion

    reader = AnswerReader(on_truncated="keep" if len(data) % 2 == 0 else "raise")
    for body in _streamed(data):
        if (item := reader.read(body)) is not None:
            as_completion(item)
    as_completion(reader.finish(VERDICT))


def read_llama_index_messages(data):
    from llama_index.core.base.llms.types import ChatMessage

    from llama_index_atoma._convert import to_wire

    _map(data, lambda _kind, fields: ChatMessage(**fields), to_wire)


def _map(data, build, to_wire):
    """Build messages of a framework, if it takes them, and map what it has built."""
    try:
        listed = json.loads(data)
        built = [build(m.pop("kind", None), _without_paths(m)) for m in listed]
    except Exception:  # noqa: BLE001 - the framework's own, of any class
        return
    wire_shape.check_messages(to_wire(built, reasoning="always"))


def _without_paths(value):
    """Leave out what names a file or a URL that a framework might read."""
    if isinstance(value, dict):
        left = {k: v for k, v in value.items() if k != "path"}
        return {k: _without_paths(v) for k, v in left.items()}
    return [*map(_without_paths, value)] if isinstance(value, list) else value


def _same(one, other):
    # As text: NaN is no equal of itself.
    assert json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _answers(read, made):
    return Target(read, made, words.ANSWER)


def _told(read, made):
    return Target(read, made, words.TRUST)


TARGETS = {
    "sse": Target(read_sse, seeds.sse, ("data:", "data: ", "\r", ": "), text=False),
    "open-answer": _answers(read_answer, seeds.answers),
    "embeddings": Target(read_vectors, seeds.embeddings, words.WIRE),
    "stream-opener": _answers(_streamed, seeds.streams),
    "plain-stream": Target(
        read_plain_stream, seeds.plain_streams, ("data: ", "[DONE]"), text=False
    ),
    "lease": Target(read_lease, seeds.leases, words.WIRE),
    "sealed-reply": Target(_wire.parse_sealed, seeds.sealed, words.WIRE),
    "models": Target(_wire.parse_models, seeds.models, words.WIRE),
    "status": Target(
        read_status, seeds.statuses, ("GMT", "+0000", "error"), text=False
    ),
    "record": _told(trust.read_record_answer, seeds.records),
    "evidence": _told(trust.read_evidence, seeds.evidence),
    "report": Target(trust.parse_report, seeds.reports, text=False),
    "certificate": Target(trust.read_certificate, seeds.certificates, text=False),
    "chain": Target(trust.read_chain, seeds.chains, text=False),
    "rim": Target(
        trust.read_rim, seeds.rims, ("<ds:", "</ds:", "ns0:", "xmlns"), text=False
    ),
    "rim-values": Target(
        trust.read_rim_values,
        seeds.rim_values,
        ("<ns0:Meta ", "<ns0:Resource ", "ns2:Hash0", "index=", "&amp;", "xmlns:"),
        text=False,
    ),
    "nras-token": _told(trust.read_token, seeds.tokens),
    "nras-keys": _told(trust.read_keys, seeds.keys),
    "sui": _told(trust.read_contract, seeds.contracts),
    "signature": Target(trust.read_signature, seeds.signatures, text=False),
    "receipt": _told(trust.read_receipt, seeds.receipts),
    "pins": _told(trust.read_pins, seeds.pins),
    "key-log": _told(trust.read_key_log, seeds.key_log),
    "tool-calls": _answers(read_tool_calls, seeds.tool_calls),
    "langchain": _answers(read_langchain, seeds.answers),
    "langchain-stream": _answers(read_langchain_stream, seeds.streams),
    "langchain-messages": Target(
        read_langchain_messages, seeds.langchain_messages, words.BLOCK
    ),
    "llama-index": _answers(read_llama_index, seeds.answers),
    "llama-index-stream": _answers(read_llama_index_stream, seeds.streams),
    "llama-index-messages": Target(
        read_llama_index_messages, seeds.llama_index_messages, words.BLOCK
    ),
}
