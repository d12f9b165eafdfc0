"""What an observer of a recorded run learned, printed for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from atoma_local.encodings import SHORTEST

from ._console import out, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from atoma_local import Finding, Wiretap, WireView

    from ._ask import Asked

__all__ = ["Search", "search", "show_search", "show_view"]


@dataclass(frozen=True, slots=True)
class Search:
    """Which texts of a run were looked for on the wire, and which were found."""

    names: Sequence[str]
    too_short: Sequence[str]
    findings: Sequence[Finding]
    recorded: int

    @property
    def found(self) -> int:
        """How many of the texts crossed readably."""
        return len({finding.text for finding in self.findings})


def search(tap: Wiretap, asked: Asked, question: str) -> Search:
    """Look for every passage, the question and the answer in all that was recorded."""
    texts = {
        f"passage {number}": passage.text
        for number, passage in enumerate(asked.passages, start=1)
    }
    texts |= {"the question": question, "the answer": asked.answer.text}
    # Shorter ones turn up in random base64 by accident.
    names = [name for name, text in texts.items() if len(text) >= SHORTEST]
    findings = tap.find(texts[name] for name in names)
    too_short = [name for name in texts if name not in names]
    return Search(names, too_short, findings, len(tap.sent) + len(tap.received))


def show_view(view: WireView) -> None:
    """Print the requests, the sealed bytes and the fields in clear, by name."""
    for (method, path), count in view.requests.items():
        out.print(Text(printable(f"{count:>5} times {method} {path}")))
        if names := view.field_names(path):
            _indented("in clear", names)
    out.print("    all answers")
    answers = {f.name for f in view.clear_fields if f.direction == "response"}
    _indented("in clear", sorted(answers))
    out.print("    all requests")
    _indented("headers", view.header_names)
    out.print(
        f"\nSealed: {view.sealed_bytes_sent:,} bytes sent, "
        f"{view.sealed_bytes_received:,} received."
    )


def show_search(found: Search) -> None:
    """Print what was looked for and how much of it was found."""
    out.print(
        f"Searched {found.recorded:,} recorded bytes for {_listed(found.names)}: "
        "plain, JSON-escaped, base64, hex, UTF-16 and percent-encoded."
    )
    if found.too_short:
        out.print(f"Too short to tell from chance: {_listed(found.too_short)}.")
    style = "bold red" if found.found else "bold green"
    out.print(f"Found: {found.found} of {len(found.names)}", style=style)
    first = {finding.text: finding for finding in reversed(found.findings)}
    for finding in sorted(first.values())[:3]:
        name = found.names[finding.text]
        out.print(Text(f"  {name}, as {finding.encoding}, {finding.where}"))


def _listed(names: Sequence[str]) -> str:
    passages = sum(name.startswith("passage") for name in names)
    others = [name for name in names if not name.startswith("passage")]
    return ", ".join([f"{passages} passages", *others])


def _indented(name: str, values: Iterable[str]) -> None:
    text = Text(f"{name}: {printable(', '.join(values))}", style="dim")
    out.print(Padding(text, (0, 0, 0, 8)))
