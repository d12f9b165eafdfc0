"""An answer on the terminal while it is being written, and what was checked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from ._console import err, out, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

__all__ = ["Answer", "show_verdict", "stream_answer"]

_ASSURANCES = {"proxy_asserted": "for which the proxy alone vouches"}


@dataclass(frozen=True, slots=True)
class Answer:
    """The text of an answer and its verdict, as the answer's metadata holds it."""

    text: str
    verdict: Mapping[str, bool | int | str]


def stream_answer(chat: BaseChatModel, messages: Sequence[BaseMessage]) -> Answer:
    """Ask, print the answer piece by piece, and return all of it."""
    pieces: list[str] = []
    verdict: Mapping[str, bool | int | str] = {}
    try:
        for chunk in chat.stream([*messages]):
            pieces.append(chunk.text)
            out.print(Text(printable(chunk.text)), end="", soft_wrap=True)
            verdict = chunk.response_metadata.get("atoma", verdict)
    finally:
        if pieces:
            out.print()
    return Answer("".join(pieces), verdict)


def show_verdict(verdict: Mapping[str, bool | int | str]) -> None:
    """Print in one line what was checked, and what was not."""
    if not verdict.get("sealed"):
        err.print(Text("Not sealed: the proxy could read all of this.", style="yellow"))
        return
    assurance = str(verdict["assurance"])
    checks = (
        f"Sealed to node {verdict['node']}, key {verdict['key']}, "
        f"{_ASSURANCES.get(assurance, f'accepted by {assurance}')}. "
        f"Answer: {verdict['stream']}, hash {verdict['hash']}, "
        f"signature {verdict['signature']}."
    )
    err.print(Text(checks, style="dim"), soft_wrap=True)
