"""What it costs to check the node's signatures, against opening the same answer.

    python benchmarks/signatures.py

Whole answers by their size, and the events of a live stream. A node signs with
whatever scheme its operator's wallet has; all three are measured on a digest by itself.
Prints medians of one run, in microseconds of CPU time, and their ratio to opening
alone.
"""

from __future__ import annotations

import argparse
import base64
import gc
import hashlib
import json
import statistics
import time
from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from atoma_confidential import Opener, Recipient, seal
from atoma_confidential._reply import Opened, StreamOpener, open_answer
from atoma_confidential._wire import Endpoint
from atoma_confidential.receipt import verify_signature
from atoma_local import Node
from atoma_local.node import SealedRequest

EVENTS = 200
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
WORDS = "The cellar holds four thousand bottles of Silvaner. "


class Answers:
    """Seals answers for one request, as a node does."""

    def __init__(self) -> None:
        self._node = Node()
        envelope, self.opener = seal(Recipient(self._node.public_key), b"{}")
        self._request = SealedRequest(
            envelope.ciphertext,
            envelope.nonce,
            envelope.salt,
            envelope.encapsulated_key,
            self._node.public_key,
            envelope.plaintext_digest,
        )

    def seal(self, value: object) -> bytes:
        """Return a sealed reply, or what follows `data: ` in an event."""
        plaintext = json.dumps(value, separators=(",", ":")).encode()
        return json.dumps(self._node.seal(self._request, plaintext)).encode()

    def whole(self, size: int) -> bytes:
        """Return a sealed chat answer of about so many bytes."""
        text = (WORDS * (size // len(WORDS) + 1))[:size]
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return self.seal({"model": "m", "choices": [choice], "usage": USAGE})

    def stream(self) -> bytes:
        """Return the events of a stream, one word each."""
        head = {"id": "chatcmpl-1", "model": "m", "object": "chat.completion.chunk"}
        chunks = [
            {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
            for _ in range(EVENTS - 1)
        ] + [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        events = [self.seal({**head, "choices": [chunk]}) for chunk in chunks]
        return b"".join(b"data: " + event + b"\n\n" for event in events)


def microseconds(
    *runs: Callable[[], object], rounds: int, calls: int = 1
) -> list[float]:
    """Return the median CPU time of a call of each, which take turns."""
    taken: list[list[float]] = [[] for _ in runs]
    gc.disable()
    for turn in range(rounds + 1):
        for run, times in zip(runs, taken, strict=True):
            start = time.thread_time()
            run()
            if turn:  # the first warms up
                times.append((time.thread_time() - start) / calls)
    gc.enable()
    return [1e6 * statistics.median(times) for times in taken]


def read_stream(opener: Opener, data: bytes, *, check: bool) -> None:
    """Open all events, with or without checking who signed them."""
    signed = verify_signature if check else None
    stream = StreamOpener(opener, check_signature=signed)
    for _ in stream.feed(data):
        pass


def open_and_check(data: bytes, opener: Opener) -> Opened:
    """Open a whole answer and check who signed it."""
    opened = open_answer(data, opener, Endpoint.CHAT)
    verify_signature(opened.signature, opened.digest)
    return opened


def answers(rounds: int) -> Iterator[tuple[str, float, float]]:
    """Yield what was opened, and the time without and with its signature."""
    made = Answers()
    for size in (200, 2_000, 20_000, 1_000_000):
        body = made.whole(size)

        def plain(body: bytes = body) -> Opened:
            return open_answer(body, made.opener, Endpoint.CHAT)

        def checked(body: bytes = body) -> Opened:
            return open_and_check(body, made.opener)

        plain_, checked_ = microseconds(plain, checked, rounds=rounds)
        yield f"whole answer, {size:,} bytes", plain_, checked_
    stream = made.stream()
    plain_, checked_ = microseconds(
        lambda: read_stream(made.opener, stream, check=False),
        lambda: read_stream(made.opener, stream, check=True),
        rounds=max(rounds // 20, 5),
        calls=EVENTS,
    )
    yield "each event of a live stream", plain_, checked_


def schemes(rounds: int) -> Iterator[tuple[str, float]]:
    """Yield each signature scheme, and the time to check one signature of it."""
    digest = hashlib.blake2b(b"an answer", digest_size=32).digest()
    for name, signature in signatures(digest):

        def check(signature: bytes = signature) -> object:
            return verify_signature(signature, digest)

        yield name, *microseconds(check, rounds=rounds)


def signatures(digest: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a Sui signature of each scheme."""
    yield "ed25519", base64.b64decode(Node().sign(digest))
    for flag, curve, order in CURVES:
        key = ec.generate_private_key(curve)
        r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(SHA256())))
        s = min(s, order - s)
        point = key.public_key().public_bytes(
            Encoding.X962, PublicFormat.CompressedPoint
        )
        scalars = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        yield curve.name, bytes([flag]) + scalars + point


CURVES = [
    (
        1,
        ec.SECP256K1(),
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    ),
    (
        2,
        ec.SECP256R1(),
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ),
]


def main() -> None:
    """Print the medians of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    rounds = parser.parse_args().rounds
    print(f"{'':30}{'opened':>10}{'and checked':>14}{'more':>10}   ratio")
    for name, plain, checked in answers(rounds):
        more = checked - plain
        print(
            f"{name:30}{plain:7.0f} µs{checked:11.0f} µs{more:7.0f} µs   "
            f"{checked / plain:.2f}"
        )
    for name, taken in schemes(rounds):
        print(f"one signature, {name:15}{taken:7.0f} µs")


if __name__ == "__main__":
    main()
