"""Answers that are kept with the node's signature, for `atoma chat --receipt`.

A receipt proves nothing without the exact bytes that were signed, so the file has them
too: the answers, in clear, for its owner alone.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoma_confidential import Client, Receipt, ReceiptError
from atoma_confidential._json import once_each

from ._backend import Piece
from ._console import CommandError, note

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from atoma_confidential import ChatReply

    from ._backend import Message
    from ._endpoint import Endpoint

__all__ = ["Kept", "Signed", "read_kept"]

MAX_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    """One line of a file of receipts: a receipt, and the answer it is for."""

    receipt: Receipt
    answer: bytes

    def to_json(self) -> str:
        """Return it as a line."""
        receipt = json.loads(self.receipt.to_json())
        return json.dumps({"receipt": receipt, "answer": self.answer.decode()})


class Signed:
    """Answers with a model's whole answers, and keeps each with its receipt."""

    def __init__(self, endpoint: Endpoint, path: Path) -> None:
        self._endpoint = endpoint
        self._path = path
        self._client = Client(trust=endpoint.trust)
        note(f"Answers are kept, in clear, in {path}.", style="dim")
        if is_open_to_others(path):
            note(f"Other users can read {path}.")

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def stream(self, messages: Sequence[Message]) -> Iterator[Piece]:
        """Answer in one piece, after it was kept."""
        reply = self._client.chat(
            [{"role": role, "content": text} for role, text in messages],
            model=self._endpoint.chat_model,
        )
        self._keep(reply)
        text = reply.body["choices"][0]["message"].get("content") or ""
        yield Piece(text, reply.verdict.as_dict())

    def _keep(self, reply: ChatReply) -> None:
        if reply.receipt is None:
            raise ReceiptError("The answer came without a signature.")
        line = Kept(reply.receipt, reply.opened).to_json()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            with os.fdopen(os.open(self._path, flags, 0o600), "a") as file:
                file.write(f"{line}\n")
        except OSError as error:
            raise CommandError(
                f"{self._path} cannot be written: {error.strerror}.",
                "Name another file with --receipt.",
            ) from None


def is_open_to_others(path: Path) -> bool:
    """Tell whether a file is there already, and not for its owner alone."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return sys.platform != "win32" and bool(stat.S_IMODE(mode) & 0o077)


def read_kept(path: Path) -> Iterator[Kept | ReceiptError]:
    """Yield the lines of a file of receipts, or what is wrong with one.

    Raises:
        CommandError: The file cannot be read.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CommandError(
                f"{path} exceeds {MAX_BYTES} bytes.", "Split it, a line each."
            )
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise CommandError(
            f"{path} cannot be read: {error.strerror}.", "Check the file's name."
        ) from None
    for line in lines:
        try:
            yield _parsed(line)
        except ReceiptError as error:
            yield error


def _parsed(line: bytes) -> Kept:
    try:
        fields = json.loads(line, object_pairs_hook=once_each)
        match fields:
            case {"receipt": dict(receipt), "answer": str(answer), **rest} if not rest:
                return Kept(Receipt.from_json(json.dumps(receipt)), answer.encode())
    except (ValueError, RecursionError):  # half of a surrogate pair is a ValueError
        pass
    raise ReceiptError("The line is no receipt with its answer.")
