"""What the engine behind the server says: made once, and handed out again.

The last message of a chat is JSON and says what is wanted: `{"chunks": 2000}`,
`{"tool": 11000}` or `{"reply": 40}`. Embeddings have 1,024 dimensions.
"""

from __future__ import annotations

import base64
import functools
import json
import random
import struct
from typing import Any

__all__ = ["DIMENSIONS", "WORD", "answer", "chunks", "wanted"]

DIMENSIONS = 1024
WORD = " word"  # one token
TOKEN = 6  # characters of a tool call's arguments that come at a time
HEAD = {"id": "chatcmpl-1", "created": 1_750_000_000, "model": "gpt-4o"}
KINDS = ("chat.completion", "chat.completion.chunk")


def dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def wanted(body: dict[str, Any]) -> dict[str, int]:
    """Return what the last message asks for."""
    content = body["messages"][-1]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    try:
        said = json.loads(text)
    except ValueError:
        return {"chunks": 4}  # a canary, of our own client
    return dict(said)


@functools.cache
def chunks(words: int, tool: int) -> tuple[bytes, ...]:
    """Return the chunks of a stream: so many words, or a call's arguments."""
    deltas = _call(tool) if tool else [{"content": WORD} for _ in range(words)]
    deltas[0] = {"role": "assistant", **deltas[0]}
    reason = "tool_calls" if tool else "stop"
    bodies = [_chunk(delta, None) for delta in deltas] + [_chunk({}, reason)]
    return (*map(dump, bodies), dump(_head(1) | {"choices": [], "usage": _usage(1)}))


def _call(size: int) -> list[dict[str, Any]]:
    arguments = json.dumps({"text": "x" * (size - len('{"text": ""}'))})
    first = {"id": "call_1", "type": "function"}
    function = {"name": "note", "arguments": ""}
    calls = [{"index": 0, **first, "function": function}]
    calls += [
        {"index": 0, "function": {"arguments": arguments[at : at + TOKEN]}}
        for at in range(0, len(arguments), TOKEN)
    ]
    return [{"tool_calls": [call]} for call in calls]


def _head(kind: int) -> dict[str, Any]:
    return HEAD | {"object": KINDS[kind]}


def _chunk(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return _head(1) | {"choices": [choice]}


def answer(body: dict[str, Any]) -> tuple[bytes, bytes]:
    """Return a whole answer, and its `usage` alone, as JSON."""
    if "input" not in body:
        return _reply(wanted(body)["reply"])
    inputs = body["input"]
    count = 1 if isinstance(inputs, str) else len(inputs)
    return _vectors(count, body.get("encoding_format", "float"))


@functools.cache
def _reply(words: int) -> tuple[bytes, bytes]:
    message = {"role": "assistant", "content": WORD * words}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = _head(0) | {"choices": [choice], "usage": _usage(words)}
    return dump(body), dump(body["usage"])


@functools.cache
def _vectors(count: int, encoding: str) -> tuple[bytes, bytes]:
    numbers = random.Random(1)  # noqa: S311  any vectors will do
    data = struct.pack(
        f"<{DIMENSIONS}f", *(numbers.uniform(-0.1, 0.1) for _ in range(DIMENSIONS))
    )
    if encoding == "base64":
        vector: Any = base64.b64encode(data).decode()
    else:
        vector = struct.unpack(f"<{DIMENSIONS}f", data)
    # Written by hand: the same vector again and again, and no list of 10^6 numbers.
    start, end = b'{"object":"embedding","embedding":%b,"index":', b"}"
    item = start % dump(vector)
    items = b",".join(item + str(index).encode() + end for index in range(count))
    usage = dump({"prompt_tokens": count, "total_tokens": count})
    head = b'{"object":"list","model":"gpt-4o","data":['
    return head + items + b'],"usage":' + usage + b"}", usage


def _usage(words: int) -> dict[str, int]:
    return {
        "prompt_tokens": 1,
        "completion_tokens": words,
        "total_tokens": 1 + words,
    }
