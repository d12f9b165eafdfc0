"""`atoma chat`: a conversation on the terminal, kept in memory and nowhere else."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from atoma_confidential.errors import ConfidentialError

from ._answer import show_verdict, stream_answer
from ._console import err, note, out, say_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._backend import Answerer, Message, Verdict

__all__ = ["converse", "read_line"]

_HELP = "/new starts over, /verdict shows what was checked, /exit or Ctrl-D ends."


def converse(
    answerer: Answerer,
    read: Callable[[], str | None],
    *,
    system: str = "",
    forgiving: bool = True,
) -> None:
    """Answer line after line until there is none, remembering the conversation.

    Args:
        answerer: Who answers.
        read: Gives the next line, None at the end.
        system: Instructions that stay on top of the conversation.
        forgiving: Forget a turn that fails and go on, instead of raising its error.
    """
    opening: list[Message] = [("system", system)] if system else []
    history = [*opening]
    verdict: Verdict | None = None
    while (line := read()) is not None:
        match line.strip():
            case "":
                continue
            case "/exit" | "/quit":
                return
            case "/new":
                history = [*opening]
                err.print("A new conversation.", style="dim")
            case "/verdict" if verdict is not None:
                show_verdict(verdict)
            case command if command.startswith("/"):
                err.print(_HELP, style="dim")
            case text:
                with _forgiven() if forgiving else contextlib.nullcontext():
                    verdict = _turn(answerer, history, text)


def read_line() -> str | None:
    """Read a line from the terminal or a pipe; None at the end of input."""
    if out.is_terminal:
        with contextlib.suppress(ImportError):  # not on Windows
            import readline  # noqa: F401, PLC0415  line editing for `input`
    try:
        return input("> " if out.is_terminal else "")
    except EOFError:
        out.print()
        return None


def _turn(answerer: Answerer, history: list[Message], text: str) -> Verdict:
    asked: Message = ("user", text)
    answer = stream_answer(answerer.stream([*history, asked]))
    out.print()
    history += [asked, ("assistant", answer.text)]
    return answer.verdict


@contextlib.contextmanager
def _forgiven() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        note("Stopped; this turn is forgotten.")
    except ConfidentialError as error:
        say_error(error)
