"""`atoma explain`: who would see what of a question, without asking it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.text import Text

from atoma_confidential import Client
from atoma_confidential.explain import RANDOM

from ._console import out, printable
from ._endpoint import STANDS_IN_FOR_A_KEY
from ._index_dir import default_directory
from ._sinks import plaintext_sinks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from atoma_confidential import Crossing, Explanation

    from ._endpoint import Endpoint

__all__ = ["Account", "account_for", "show_account"]


@dataclass(frozen=True, slots=True)
class Account:
    """Who would see what of a question.

    Attributes:
        calls: What crosses the network, by what it is for.
        tracing: The plaintext sinks that are on, by framework.
        disk: What is kept on this machine.
    """

    calls: Mapping[str, Explanation]
    tracing: Mapping[str, str]
    disk: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        calls = {name: call.as_dict() for name, call in self.calls.items()}
        return {"calls": calls, "tracing": dict(self.tracing), "disk": self.disk}


def account_for(
    text: str, endpoint: Endpoint, folder: Path | None, framework: str
) -> Account:
    """Return who would see what of a question.

    Args:
        text: What would be asked.
        endpoint: With which models, and how.
        folder: The folder that it would be asked of, with `atoma ask`.
        framework: With which framework.
    """
    calls = {}
    with _client(endpoint) as client:
        if folder is not None:
            calls["embedding the question, as each passage of the folder"] = (
                client.explain_embed([text], model=endpoint.embedding_model)
            )
        calls["asking"] = client.explain(
            [{"role": "user", "content": text}],
            model=endpoint.chat_model,
            stream=True,
        )
    return Account(calls, plaintext_sinks(), _disk(folder, framework))


def _client(endpoint: Endpoint) -> Client:
    return Client(
        api_key=STANDS_IN_FOR_A_KEY,
        stream_mode=endpoint.stream_mode.value,
        confidential=endpoint.confidential,
    )


def _disk(folder: Path | None, framework: str) -> str:
    if folder is None:
        return "nothing is written; a conversation is kept in memory"
    return f"passages and vectors, in clear: {default_directory(folder, framework)}"


def show_account(account: Account) -> None:
    """Print it for a person."""
    out.print("Nothing is sent by this command.\n", style="dim")
    for name, call in account.calls.items():
        out.print(f"[bold]On the wire, {name}[/bold]")
        for crossing in call.crossings:
            _show_crossing(crossing)
        _line("in each answer, in clear", call.answer_clear)
    last = [*account.calls.values()][-1]
    _party(f"Policy: {last.policy}", [f"asks {asked}" for asked in last.asked])
    _party("The proxy, and who controls it", last.proxy)
    _party("The node", last.node)
    _party("The network between", last.network)
    _party(
        "Tracing",
        [f"{k}: {v or 'no known sink is on'}" for k, v in account.tracing.items()],
    )
    _party("This disk", [account.disk])


def _show_crossing(crossing: Crossing) -> None:
    title = f"  {crossing.method} {crossing.path}: {crossing.purpose}"
    out.print(Text(printable(title)), soft_wrap=True)
    _line("headers", crossing.headers)
    telling = [f"{n} = {v}" for n, v in crossing.clear.items() if v != RANDOM]
    _line("in clear", telling)
    if random := [name for name, value in crossing.clear.items() if value == RANDOM]:
        _line("in clear, but random", random)
    if crossing.sealed_bytes:
        what = ", ".join(crossing.sealed) or "the probe"
        _line("sealed", [f"{crossing.sealed_bytes} bytes: {what}"])


def _line(name: str, values: Iterable[str]) -> None:
    text = Text(f"{name}: {printable(', '.join(values))}", style="dim")
    out.print(Padding(text, (0, 0, 0, 6), expand=False))


def _party(title: str, sees: Iterable[str]) -> None:
    out.print(Text(f"\n{title}", style="bold"))
    for one in sees:
        out.print(Padding(Text(printable(one)), (0, 0, 0, 2), expand=False))
