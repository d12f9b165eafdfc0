"""`atoma ask`: index a folder, find the passages that matter, answer from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from atoma_confidential.errors import ConfidentialError

from ._answer import Answer, show_verdict, stream_answer
from ._backend import connect
from ._console import CommandError, err, note, out, printable
from ._folder import SUFFIXES, Folder, read_folder
from ._index import PassageIndex, Refreshed, open_index
from ._index_dir import Maker, check, default_directory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ._backend import Message
    from ._endpoint import Endpoint, Framework
    from ._passages import Passage

__all__ = ["Asked", "Question", "ask"]

_SYSTEM = (
    "Answer the question from the numbered passages, and from nothing else. "
    "Name the passages you used like this: [1]. "
    "If the passages do not hold the answer, say that you do not know."
)
_EXCERPT_CHARACTERS = 60
_KEPT = "What was indexed so far is kept; the next run goes on from there."


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, of which folder, with how many passages to answer from.

    Attributes:
        folder: What to answer from.
        text: What is asked.
        k: How many passages to answer from.
        index_dir: Where the index is kept; None for a place of its own.
    """

    folder: Path
    text: str
    k: int
    index_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer, and everything that went into it."""

    passages: Sequence[Passage]
    sources: Sequence[Passage]
    answer: Answer


def ask(question: Question, endpoint: Endpoint, framework: Framework) -> Asked:
    """Answer a question from a folder, printing the answer as it is written.

    Raises:
        CommandError: The folder has nothing to read, or its index does not fit.
    """
    directory = question.index_dir or default_directory(question.folder, framework)
    maker = Maker(framework, endpoint.embedding_model)
    check(directory, maker)
    folder = _read(question.folder)
    with err.status("Loading …"):
        backend = connect(framework, endpoint)
        open_store = backend.open_store
    # Before the passages: it tells how long the vectors of a new index are.
    vector = backend.embed_query(question.text)
    with open_index(directory, open_store, maker, len(vector)) as index:
        _report(folder, _refresh(index, folder.passages), directory)
        sources = index.nearest(vector, question.k)
    answer = stream_answer(backend.stream(_prompt(question.text, sources)))
    _list_sources(sources)
    show_verdict(answer.verdict)
    return Asked(folder.passages, sources, answer)


def _read(root: Path) -> Folder:
    folder = read_folder(root)
    for reason in folder.skipped:
        note(f"Skipped {reason}.")
    if not folder.passages:
        raise CommandError(
            f"There is nothing to read in {root}.",
            f"Point to a folder with {', '.join(SUFFIXES)} files that hold text.",
        )
    return folder


def _refresh(index: PassageIndex, passages: Sequence[Passage]) -> Refreshed:
    columns = (TextColumn("Indexing"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TextColumn("passages"),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as progress:
        task = progress.add_task("", total=len(passages))
        try:
            return index.refresh(
                passages, lambda stored: progress.update(task, completed=stored)
            )
        except ConfidentialError:
            note(_KEPT)
            raise
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_KEPT) from None


def _report(folder: Folder, changed: Refreshed, index_dir: Path) -> None:
    note(
        f"{_count(folder.files, 'file')}, "
        f"{_count(len(folder.passages), 'passage')}: "
        f"{changed.embedded} embedded, {changed.unchanged} unchanged, "
        f"{changed.removed} removed.",
        style="dim",
    )
    if not changed.unchanged:
        note(f"Index, in clear: {index_dir}", style="dim")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _prompt(question: str, sources: Sequence[Passage]) -> list[Message]:
    passages = "\n\n".join(
        f"[{number}] {source.label}\n{source.text}"
        for number, source in enumerate(sources, start=1)
    )
    return [
        ("system", _SYSTEM),
        ("user", f"Passages:\n\n{passages}\n\nQuestion: {question}"),
    ]


def _list_sources(sources: Sequence[Passage]) -> None:
    out.print("\n[bold]Sources[/bold]")
    for number, source in enumerate(sources, start=1):
        excerpt = " ".join(source.text.split())
        if len(excerpt) > _EXCERPT_CHARACTERS:
            excerpt = excerpt[:_EXCERPT_CHARACTERS].rstrip() + "…"
        line = f"  [{number}] {source.label}: {excerpt}"
        out.print(Text(printable(line)), soft_wrap=True)
    out.print()
