"""Answers that are kept with the node's signature, for `atoma chat --receipt`.

A receipt proves nothing without the exact bytes that were signed, so the file has them
too: the answers, in clear, for its owner alone.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoma_confidential import Client, Receipt, ReceiptError

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


def read_kept(path: Path) -> Iterator[Kept]:
    """Yield the lines of a file of receipts.

    Raises:
        ReceiptError: A line is something else, or cut off.
        CommandError: The file cannot be read.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ReceiptError(f"The file exceeds {MAX_BYTES} bytes.")
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise CommandError(
            f"{path} cannot be read: {error.strerror}.", "Check the file's name."
        ) from None
    except ValueError:
        raise ReceiptError("The file is not text.") from None
    for line in lines:
        yield _parsed(line)


def _parsed(line: str) -> Kept:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    match fields:
        case {"receipt": dict(receipt), "answer": str(answer), **rest} if not rest:
            return Kept(Receipt.from_json(json.dumps(receipt)), answer.encode())
    raise ReceiptError("A line of the file is no receipt with its answer.")
