"""A node that streams as many chunks as are asked for, one at a time, from no server.

What is measured beside it is what the client keeps: nothing here grows.
"""

import gc
import json
import os
import tracemalloc

import httpx
from scripted import CHAT

from atoma_local.node import Node, SealedRequest, blake2b_256, to_base64

CHUNK = {"id": "c", "model": CHAT, "choices": [{"index": 0, "delta": {"content": "x"}}]}
END = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = {"id": "c", "choices": [], "usage": {"total_tokens": 1}}


class Events(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The events of one answer."""

    def __init__(self, cipher, count):
        self._cipher, self._count = cipher, count

    def __iter__(self):
        for _ in range(self._count):
            yield self._event(CHUNK)
        yield self._event(END)
        yield self._event(USAGE)

    async def __aiter__(self):
        for event in self:
            yield event

    def _event(self, chunk):
        plaintext, nonce = json.dumps(chunk).encode(), os.urandom(12)
        body = {
            "nonce": to_base64(nonce),
            "ciphertext": to_base64(self._cipher.encrypt(nonce, plaintext, None)),
            "response_hash": to_base64(blake2b_256(plaintext)),
            "signature": to_base64(bytes(97)),  # a stand-in, which nobody looks at
        }
        return b"data: " + json.dumps(body).encode() + b"\n\n"


def streaming(count):
    """Return a transport that answers with so many chunks."""
    node = Node()

    def answer(request):
        if request.url.path == "/v1/nodes/lock":
            lease = {"node_small_id": 1, "stack_small_id": 1}
            lease["public_key"] = to_base64(node.public_key)
            return httpx.Response(200, json=lease)
        sealed = SealedRequest.from_envelope(json.loads(request.content))
        headers = {"content-type": "text/event-stream"}
        events = Events(node._cipher(sealed), count)
        return httpx.Response(200, headers=headers, stream=events)

    return httpx.MockTransport(answer)


def peak_of(read):
    """Return the bytes that a call has occupied at the most."""
    gc.collect()
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
