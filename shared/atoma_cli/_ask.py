"""`atoma ask`: index a folder, find the passages that matter, answer from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_core.messages import HumanMessage, SystemMessage
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from atoma_confidential.errors import ConfidentialError

from ._answer import Answer, show_verdict, stream_answer
from ._console import CommandError, err, note, out, printable
from ._folder import SUFFIXES, Folder, label, read_folder
from ._index import PassageIndex, Refreshed, open_index
from ._index_dir import check_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langchain_core.documents import Document
    from langchain_core.messages import BaseMessage

    from ._endpoint import Endpoint

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
    """What is asked, of which folder, with how many passages to answer from."""

    folder: Path
    text: str
    index_dir: Path
    k: int


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer, and everything that went into it."""

    passages: Sequence[Document]
    sources: Sequence[Document]
    answer: Answer


def ask(question: Question, endpoint: Endpoint) -> Asked:
    """Answer a question from a folder, printing the answer as it is written.

    Raises:
        CommandError: The folder has nothing to read, or its index does not fit.
    """
    check_model(question.index_dir, endpoint.embedding_model)
    folder = _read(question.folder)
    chat, embeddings = endpoint.chat(), endpoint.embeddings()
    # Before the passages: it tells how long the vectors of a new index are.
    vector = embeddings.embed_query(question.text)
    with open_index(
        question.index_dir,
        embeddings,
        model=endpoint.embedding_model,
        dimensions=len(vector),
    ) as index:
        _report(folder, _refresh(index, folder.passages), question.index_dir)
        sources = index.nearest(vector, question.k)
    answer = stream_answer(chat, _prompt(question.text, sources))
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


def _refresh(index: PassageIndex, passages: Sequence[Document]) -> Refreshed:
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


def _prompt(question: str, sources: Sequence[Document]) -> list[BaseMessage]:
    passages = "\n\n".join(
        f"[{number}] {label(source)}\n{source.page_content}"
        for number, source in enumerate(sources, start=1)
    )
    return [
        SystemMessage(_SYSTEM),
        HumanMessage(f"Passages:\n\n{passages}\n\nQuestion: {question}"),
    ]


def _list_sources(sources: Sequence[Document]) -> None:
    out.print("\n[bold]Sources[/bold]")
    for number, source in enumerate(sources, start=1):
        excerpt = " ".join(source.page_content.split())
        if len(excerpt) > _EXCERPT_CHARACTERS:
            excerpt = excerpt[:_EXCERPT_CHARACTERS].rstrip() + "…"
        line = f"  [{number}] {label(source)}: {excerpt}"
        out.print(Text(printable(line)), soft_wrap=True)
    out.print()
