"""The hot paths by themselves, without a network; each does one thing so many times.

    python -m benchmarks.hot_paths open_event 1000

`make bench-check` counts the instructions of that; `make bench` takes the time.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import random
import struct
import sys
from collections.abc import Callable
from typing import Any

from atoma_confidential._batches import vectors_of
from atoma_confidential._reply import StreamOpener, check_answer, open_answer
from atoma_confidential._wire import Endpoint
from atoma_confidential.envelope import Opener, Recipient, seal
from atoma_confidential.errors import Exposure
from atoma_local.node import Node, SealedRequest, blake2b_256, to_base64

__all__ = ["PATHS"]

BATCH, DIMENSIONS = 100, 1024
STREAM = 512
MEGABYTE = 1_000_000


@functools.cache
def _exchange() -> tuple[Node, SealedRequest, Opener]:
    """Return a node, a request to it, and what opens the answers."""
    node = Node()
    envelope, opener = seal(Recipient(node.public_key), b"{}")
    request = SealedRequest(
        envelope.ciphertext,
        envelope.nonce,
        envelope.salt,
        envelope.encapsulated_key,
        node.public_key,
        envelope.plaintext_digest,
    )
    return node, request, opener


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk"}
    return {**head, "created": 1, "model": "m", "choices": [choice]}


@functools.cache
def _events(*, sealed: bool) -> tuple[bytes, ...]:
    """Return the events of a stream of 512, 64 in a piece."""
    node, request, _ = _exchange()
    cipher, key = node._cipher(request), b"0" * 64  # noqa: SLF001  once, not for each
    events = []
    for _ in range(STREAM):
        chunk = _dump(_chunk({"content": " word"}))
        if sealed:
            nonce, digest = os.urandom(12), blake2b_256(chunk)
            chunk = _dump(
                {
                    "ciphertext": to_base64(cipher.encrypt(nonce, chunk, None)),
                    "nonce": to_base64(nonce),
                    # Nobody checks it: streams are not, unless the policy wants it.
                    "signature": to_base64(b"\0" + key + bytes(32)),
                    "response_hash": to_base64(digest),
                }
            )
        events.append(b"data: " + chunk + b"\n\n")
    return tuple(b"".join(events[at : at + 64]) for at in range(0, STREAM, 64))


def _read(count: int, opener: Opener | None) -> int:
    pieces, read = _events(sealed=opener is not None), 0
    while read < count:
        stream = StreamOpener(opener)
        read += sum(1 for piece in pieces for _ in stream.feed(piece))
    return read


def open_event(count: int) -> int:
    """Open the events of sealed streams; count in streams of 512."""
    return _read(count, _exchange()[2])


def read_event(count: int) -> int:
    """Read the events of streams in clear, likewise."""
    return _read(count, None)


def langchain_chunk(count: int) -> int:
    """Turn opened chunks into LangChain's."""
    from langchain_atoma._chunks import ChunkReader  # noqa: PLC0415  not the others'

    reader = ChunkReader(keep_truncated=False)
    chunk = _chunk({"content": " word"})
    return sum(reader.read(chunk) is not None for _ in range(count))


def llama_index_chunk(count: int) -> int:
    """Turn opened chunks into LlamaIndex's."""
    from llama_index_atoma._answer import AnswerReader  # noqa: PLC0415  likewise

    reader = AnswerReader()
    chunk = _chunk({"content": " word"})
    return sum(reader.read(chunk) is not None for _ in range(count))


def seal_request(count: int) -> int:
    """Seal a request of 2 kB, with fresh keys."""
    recipient, body = Recipient(Node().public_key), b"x" * 2000
    return sum(len(seal(recipient, body)[0].nonce) == 12 for _ in range(count))  # noqa: PLR2004


@functools.cache
def _batch(count: int) -> bytes:
    numbers = random.Random(1)  # noqa: S311  any vector will do
    vector = [numbers.uniform(-1, 1) for _ in range(DIMENSIONS)]
    text = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *vector)).decode()
    data = [{"index": n, "embedding": text} for n in range(count)]
    return _dump({"model": "m", "data": data, "usage": {"total_tokens": 1}})


@functools.cache
def _sealed(plaintext: bytes) -> bytes:
    node, request, _ = _exchange()
    return _dump(node.seal(request, plaintext))


def _vectors(body: dict[str, Any]) -> int:
    return len(
        vectors_of(body, count=BATCH, dimensions=DIMENSIONS, exposure=Exposure.SEALED)
    )


def open_embeddings(count: int) -> int:
    """Open a reply of 100 vectors, and read them."""
    reply, opener = _sealed(_batch(BATCH)), _exchange()[2]
    return sum(
        _vectors(open_answer(reply, opener, Endpoint.EMBEDDINGS).body) == BATCH
        for _ in range(count)
    )


def read_embeddings(count: int) -> int:
    """Read 100 vectors of a reply in clear."""
    reply = _batch(BATCH)
    return sum(
        _vectors(check_answer(reply, Endpoint.EMBEDDINGS, Exposure.PLAIN)) == BATCH
        for _ in range(count)
    )


def parse_vectors(count: int) -> int:
    """Read 100 vectors of an answer that is parsed."""
    body = json.loads(_batch(BATCH))
    return sum(_vectors(body) == BATCH for _ in range(count))


def seal_megabyte(count: int) -> int:
    """Seal a request of a megabyte."""
    recipient, body = Recipient(Node().public_key), b"x" * MEGABYTE
    return sum(len(seal(recipient, body)[0].nonce) == 12 for _ in range(count))  # noqa: PLR2004


def open_megabyte(count: int) -> int:
    """Open an answer of a megabyte."""
    message = {"role": "assistant", "content": "x" * MEGABYTE}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    reply = _sealed(_dump({"model": "m", "choices": choices}))
    opener = _exchange()[2]
    return sum(
        bool(open_answer(reply, opener, Endpoint.CHAT).body) for _ in range(count)
    )


PATHS: dict[str, Callable[[int], int]] = {
    path.__name__: path
    for path in (
        open_event,
        read_event,
        langchain_chunk,
        llama_index_chunk,
        seal_request,
        open_embeddings,
        read_embeddings,
        parse_vectors,
        seal_megabyte,
        open_megabyte,
    )
}


if __name__ == "__main__":
    done = PATHS[sys.argv[1]](int(sys.argv[2]))
    if done != int(sys.argv[2]):
        raise SystemExit(f"Of {sys.argv[2]}, {done} were done.")
