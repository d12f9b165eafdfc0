"""An answer on the terminal while it is being written, and what was checked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from ._console import err, out, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._backend import Piece, Verdict

__all__ = ["Answer", "show_verdict", "stream_answer"]

_ASSURANCES = {
    "proxy_asserted": "for which the proxy alone vouches",
    "key_pinned": "which is pinned",
    "gpu_witnessed": "for which NVIDIA GPUs vouch",
    "gpu_witnessed_measured": "for which NVIDIA GPUs vouch, measured",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The text of an answer and its verdict."""

    text: str
    verdict: Verdict


def stream_answer(pieces: Iterable[Piece]) -> Answer:
    """Print an answer piece by piece, and return all of it."""
    texts: list[str] = []
    verdict: Verdict = {}
    try:
        for piece in pieces:
            texts.append(piece.text)
            out.print(Text(printable(piece.text)), end="", soft_wrap=True)
            verdict = piece.verdict or verdict
    finally:
        if texts:
            out.print()
    return Answer("".join(texts), verdict)


def show_verdict(verdict: Verdict) -> None:
    """Print what was checked, and what nobody has proven."""
    if not verdict.get("sealed"):
        err.print(Text("Not sealed: the proxy could read all of this.", style="yellow"))
        return
    assurance = str(verdict["assurance"])
    checks = (
        f"Sealed to node {verdict['node']}, key {verdict['key']}, "
        f"{_ASSURANCES.get(assurance, f'accepted as {assurance}')}. "
        f"Answer: {verdict['stream']}, hash {verdict['hash']}, "
        f"signature {verdict['signature']}."
    )
    err.print(Text(checks, style="dim"), soft_wrap=True)
    err.print(
        Text(f"Not proven: {verdict['not_proven']}.", style="dim"), soft_wrap=True
    )
