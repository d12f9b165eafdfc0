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
from types import SimpleNamespace
from unittest.mock import patch

import fuzz_seeds as seeds
import wire_shape
from answered import Wire
from appraisal import NODE, NONCE, Chain
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from silicon import NOW, name_of

import atoma_confidential.attestation.sui as sui
from atoma_confidential import Verdict, _wire
from atoma_confidential._batches import vectors_of
from atoma_confidential._reply import (
    StreamOpener,
    as_chunks,
    check_answer,
    open_answer,
)
from atoma_confidential._sse import EventDecoder
from atoma_confidential._wire import Endpoint
from atoma_confidential.attestation import _pin_json, nras, nvidia, rim
from atoma_confidential.attestation._c14n import canonicalize, elements
from atoma_confidential.attestation.chain import load_pem_chain
from atoma_confidential.attestation.evidence import parse_evidence
from atoma_confidential.attestation.policy import Fetched
from atoma_confidential.attestation.record import read_record
from atoma_confidential.attestation.report import parse_report
from atoma_confidential.attestation.result import Gpu
from atoma_confidential.envelope import Recipient, _seal
from atoma_confidential.errors import ConfidentialError, Exposure
from atoma_confidential.receipt import Receipt, verify_signature
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
    except ConfidentialError as error:
        assert len(str(error)) < LONGEST_ERROR, "an error quotes what it was about"
        told = error
        while told is not None:
            assert not any(hasattr(told, name) for name in _CARRIERS), type(told)
            told = told.__cause__ or (
                None if told.__suppress_context__ else told.__context__
            )
        return False
    return True


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
_VERDICT = Verdict(
    **{"sealed": True, "assurance": "a", "policy": "p", "not_proven": "", "node": 3},
    **{"key": "", "stream": "none", "hash": "verified", "signature": "skipped"},
    blinded=True,
)


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


# --- evidence -----------------------------------------------------------------------


def read_record_answer(data):
    read_record(Fetched(200, data), node=NODE)


def read_evidence(data):
    for item in parse_evidence(zlib.compress(data, 1)):
        parse_report(item.report)


def read_certificate(data):
    """Read what a device's certificate says, said to be signed."""
    kind, name, value = data[:1], data[1:32], data[32:]
    oid = ("2.23.133.5.4.1.1", "2.23.133.5.4.1")[kind == b"\1"]
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
    device = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.412.274.1"), name)
    names = x509.SubjectAlternativeName([device])
    leaf = SimpleNamespace(
        subject=name_of("GH100 A01 GSP FMC LF"),
        extensions=x509.Extensions(
            [x509.Extension(e.oid, False, e) for e in (names, extension)]  # noqa: FBT003
        ),
    )
    nvidia._identity(leaf, "device")


def read_chain(data):
    with patch("hashlib.sha256") as digest:
        digest.return_value.digest.return_value = b"root"
        load_pem_chain(data, levels=data.count(b"BEGIN"), root=b"root")


def read_rim_values(data):
    signed = canonicalize(data)
    assert canonicalize(signed) == signed
    assert len(elements(signed)) == len(elements(data))
    rim._read(signed, begins=0.0, ends=1.0, digest="")


def read_rim(data):
    with patch.object(rim, "verify_raw", return_value=True):
        rim.parse_rim(data, root=seeds.rim_authority().fingerprint)


def read_token(data):
    """Read the parts of tokens, said to be signed, or an answer as it is."""
    keys = Fetched(200, json.dumps(seeds.nras_service().jwks()).encode())
    parts = data.split(b"\n")
    answer = data
    if len(parts) == 4:
        overall, gpu = (
            ".".join([*(_base64url(part) for part in pair), "A" * 128])
            for pair in (parts[:2], parts[2:])
        )
        answer = json.dumps([["JWT", overall], {"GPU-0": gpu}]).encode()
    with (
        patch.object(nras, "verify_raw", return_value=True),
        patch.object(nras, "_check_digests"),
    ):
        nras.check_token(
            Fetched(200, answer),
            keys,
            issuer=nras.NRAS_URL,
            nonce=NONCE,
            gpus=[Gpu("GH100", "", "1001", "", "", "", "")],
            now=NOW,
        )


def _base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def read_keys(data):
    nras._keys(Fetched(200, data))


def read_contract(data):
    """Answer every call with these bytes."""
    by_object = sui.SuiContract(rpc_url=Chain.url, atoma_db=Chain.database)
    by_event = sui.SuiContract(rpc_url=Chain.url, package=Chain.package)
    readings = [
        sui.read_rotation(by_object),
        sui.read_rotation(by_event),
        sui.read_commitment(by_event, NODE),
    ]
    errors = []
    for reading in readings:
        try:
            next(reading)
            while True:
                reading.send(Fetched(200, data))
        except StopIteration:
            pass
        except ConfidentialError as error:
            errors.append(error)
    if len(errors) == len(readings):
        raise errors[0]


# --- receipts and pins --------------------------------------------------------------


def read_signature(data):
    verify_signature(data[32:], data[:32])


def read_receipt(data):
    receipt = Receipt.from_json(data)
    assert Receipt.from_json(receipt.to_json()) == receipt
    receipt.verify()


def read_pins(data):
    pins = _pin_json.parse_pins(data, "it")
    assert _pin_json.parse_pins(_pin_json.dump_pins(pins), "it") == pins


def read_key_log(data):
    keys = _pin_json.parse_key_log(data, "it")
    written = b"".join(map(_pin_json.dump_key, keys))
    assert _pin_json.parse_key_log(written, "it") == keys


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
    result = chat_result(body, _VERDICT, keep_truncated=len(data) % 2 == 0)
    for generation in result.generations:
        message = generation.message
        (sent,) = wire_shape.check_messages(to_wire([message], reasoning="always"))
        again = {"model": "m", "choices": [{"message": sent}]}
        (same,) = chat_result(again, _VERDICT, keep_truncated=False).generations
        for name in ("content", "tool_calls", "invalid_tool_calls"):
            _same(getattr(same.message, name), getattr(message, name))
        _same(same.message.additional_kwargs, message.additional_kwargs)


def read_langchain_stream(data):
    from langchain_atoma._chunks import ChunkReader

    reader = ChunkReader(keep_truncated=len(data) % 2 == 0)
    chunks = [chunk for body in _streamed(data) if (chunk := reader.read(body))]
    total = reader.finish(_VERDICT)
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
    response = AnswerReader(on_truncated=kept).whole(body, _VERDICT)
    as_completion(response)
    message = response.message
    (sent,) = wire_shape.check_messages(to_wire([message], reasoning="always"))
    again = {"model": "m", "choices": [{"message": sent}]}
    same = AnswerReader().whole(again, _VERDICT).message
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
    as_completion(reader.finish(_VERDICT))


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
    # By their text: NaN is no equal of itself.
    assert repr(one) == repr(other)


_ANSWER_WORDS = (
    *("id", "model", "choices", "index", "message", "delta", "role", "content", "text"),
    *("finish_reason", "stop", "length", "tool_calls", "content_filter", "refusal"),
    *("function", "name", "arguments", "function_call", "reasoning_content", "type"),
    *("reasoning", "logprobs", "token", "logprob", "bytes", "top_logprobs", "usage"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"),
    *("completion_tokens_details", "cached_tokens", "reasoning_tokens", "error"),
    *("stop_reason", "created", "system_fingerprint"),
)
_BLOCK_WORDS = (
    *("text", "image", "image_url", "audio", "file", "video", "url", "base64", "data"),
    *("mime_type", "source_type", "extras", "tool_use", "tool_result", "tool_use_id"),
    *("input", "content", "thinking", "reasoning", "non_standard", "value", "detail"),
    *("additional_kwargs", "tool_calls", "invalid_tool_calls", "name", "id", "args"),
    *("refusal", "function_call", "__openai_role__", "developer", "blocks", "document"),
    *("block_type", "tool_call", "tool_kwargs", "tool_name", "citable", "citation"),
    *("cited_content", "cache", "type", "role", "kind", "format", "title"),
    *("document_mimetype", "image_mimetype", "plain_text", "text-plain", "source"),
)
_WIRE_WORDS = (
    *("ciphertext", "nonce", "response_hash", "signature", "usage", "public_key"),
    *("node_small_id", "stack_small_id", "stack_entry_digest", "data", "id", "object"),
    *("owned_by", "created", "error", "code", "message", "embedding", "index", "model"),
)
_TRUST_WORDS = (
    *("jsonrpc", "result", "error", "code", "data", "content", "fields", "objectId"),
    *("type", "dataType", "moveObject", "parsedJson", "hasNextPage", "nextCursor"),
    *("node_id", "inner", "new_public_key", "evidence_bytes", "device_type", "nonce"),
    *("key_rotation_counter", "compressed_evidence", "attestation", "node_small_id"),
    *("evidence_type", "certificate", "evidence", "device", "nvswitch", "keys", "kty"),
    *("crv", "kid", "x", "y", "EC", "P-384", "alg", "crit", "iss", "nbf", "exp"),
    *("eat_nonce", "submods", "measres", "secboot", "dbgstat", "ueid", "version"),
    *("nodes", "node", "key", "chips", "signer", "refused", "value", "since", "at"),
    *("digest", "signature", "address", "scheme", "issued_at", "model"),
)


def _answers(read, made):
    return Target(read, made, _ANSWER_WORDS)


def _trust(read, made):
    return Target(read, made, _TRUST_WORDS)


TARGETS = {
    "sse": Target(read_sse, seeds.sse, ("data:", "data: ", "\r", ": "), text=False),
    "open-answer": _answers(read_answer, seeds.answers),
    "embeddings": Target(read_vectors, seeds.embeddings, _WIRE_WORDS),
    "stream-opener": _answers(_streamed, seeds.streams),
    "plain-stream": Target(
        read_plain_stream, seeds.plain_streams, ("data: ", "[DONE]"), text=False
    ),
    "lease": Target(read_lease, seeds.leases, _WIRE_WORDS),
    "sealed-reply": Target(_wire.parse_sealed, seeds.sealed, _WIRE_WORDS),
    "models": Target(_wire.parse_models, seeds.models, _WIRE_WORDS),
    "status": Target(read_status, seeds.statuses, ("GMT", "+0000", "error"), text=False),
    "record": _trust(read_record_answer, seeds.records),
    "evidence": _trust(read_evidence, seeds.evidence),
    "report": Target(parse_report, seeds.reports, text=False),
    "certificate": Target(read_certificate, seeds.certificates, text=False),
    "chain": Target(read_chain, seeds.chains, text=False),
    "rim": Target(read_rim, seeds.rims, ("<ds:", "</ds:", "ns0:", "xmlns"), text=False),
    "rim-values": Target(
        read_rim_values,
        seeds.rim_values,
        ("<ns0:Meta ", "<ns0:Resource ", "ns2:Hash0", "index=", "&amp;", "xmlns:"),
        text=False,
    ),
    "nras-token": _trust(read_token, seeds.tokens),
    "nras-keys": _trust(read_keys, seeds.keys),
    "sui": _trust(read_contract, seeds.contracts),
    "signature": Target(read_signature, seeds.signatures, text=False),
    "receipt": _trust(read_receipt, seeds.receipts),
    "pins": _trust(read_pins, seeds.pins),
    "key-log": _trust(read_key_log, seeds.key_log),
    "tool-calls": _answers(read_tool_calls, seeds.tool_calls),
    "langchain": _answers(read_langchain, seeds.answers),
    "langchain-stream": _answers(read_langchain_stream, seeds.streams),
    "langchain-messages": Target(
        read_langchain_messages, seeds.langchain_messages, _BLOCK_WORDS
    ),
    "llama-index": _answers(read_llama_index, seeds.answers),
    "llama-index-stream": _answers(read_llama_index_stream, seeds.streams),
    "llama-index-messages": Target(
        read_llama_index_messages, seeds.llama_index_messages, _BLOCK_WORDS
    ),
}
