"""Replies and edits that the rows of the fault table are made of."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from .node import to_base64

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

__all__ = [
    "ClearReply",
    "CutReply",
    "SilentReply",
    "break_embeddings",
    "change_all_vectors",
    "change_vectors",
    "flip_bit",
]


class ClearReply(Exception):  # noqa: N818  (a signal, not a failure)
    """Tells the node to leave its answer unsealed."""


class SilentReply(Response):
    """Waits until the client gives up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        while (await receive())["type"] != "http.disconnect":
            pass


class CutReply(Response):
    """Promises the whole of another response and sends half of it."""

    def __init__(self, whole: Response) -> None:
        super().__init__(whole.body, whole.status_code)
        # As they are: a stream has no length, and must not get one here.
        self.raw_headers = whole.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        start = {"type": "http.response.start", "status": self.status_code}
        await send(start | {"headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        # Returning before the body is complete makes the server close the connection.
        await send({"type": "http.response.body", "body": half, "more_body": True})


def flip_bit(text: str, *, at: int) -> str:
    """Flip the lowest bit of one byte under the base64."""
    data = bytearray(base64.b64decode(text))
    data[at] ^= 1
    return to_base64(bytes(data))


def break_embeddings(
    answer: dict[str, Any], edit: Callable[[list[Any]], list[Any]]
) -> dict[str, Any]:
    """Edit the list of vectors; answers of other kinds pass unharmed."""
    data = answer.get("data")
    return answer | {"data": edit(data)} if isinstance(data, list) else answer


def change_vectors(
    answer: dict[str, Any], edit: Callable[[list[float]], list[float]]
) -> dict[str, Any]:
    """Edit the last vector, in whichever of the two encodings it is."""
    return break_embeddings(answer, lambda data: [*data[:-1], _change(data[-1], edit)])


def change_all_vectors(
    answer: dict[str, Any], edit: Callable[[list[float]], list[float]]
) -> dict[str, Any]:
    """Edit each vector, likewise."""
    return break_embeddings(answer, lambda data: [_change(d, edit) for d in data])


def _change(
    item: dict[str, Any], edit: Callable[[list[float]], list[float]]
) -> dict[str, Any]:
    vector = item["embedding"]
    if not isinstance(vector, str):
        return item | {"embedding": edit(vector)}
    raw = base64.b64decode(vector)
    floats = edit(list(struct.unpack(f"<{len(raw) // 4}f", raw)))
    return item | {"embedding": to_base64(struct.pack(f"<{len(floats)}f", *floats))}
