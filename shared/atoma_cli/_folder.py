"""A folder of .md, .txt and .pdf files becomes passages; nothing else is read.

A file that cannot be read is reported and passed over: one broken PDF must not keep
the other documents from being asked about.
"""

from __future__ import annotations

import logging
import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_text_splitters import RecursiveCharacterTextSplitter

from ._console import legible, sound
from ._passages import Passage, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["SUFFIXES", "Folder", "read_folder"]

SUFFIXES = (".md", ".pdf", ".txt")

_PASSAGE_CHARACTERS = 1000  # multilingual-e5 reads 512 tokens
_OVERLAP_CHARACTERS = 150

# Where plain text is cut, best first. Text without spaces, or of nothing else, is cut
# into pieces: joining single characters takes half a minute for the largest file.
_CUTS = (r"\n\n+", r"\n+", " +", "(?s:.{50})")
_MARKDOWN_CUTS = (
    r"\n#{1,6} ",
    r"```\n",
    r"\n\*\*\*+\n",
    r"\n---+\n",
    r"\n___+\n",
    *_CUTS,
)

# A file is read whole. The longest novels have 4 MiB of text; a PDF is mostly pictures
# and fonts, and its reader takes several times its size.
_LARGEST_TEXT = 8 * 2**20
_LARGEST_PDF = 32 * 2**20

# What pypdf lets through from a damaged file beside its own errors.
_DAMAGED_PDF = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder holds: its passages, and why some files gave none."""

    passages: list[Passage]
    files: int
    skipped: list[str]


class _UnreadableError(Exception):
    """A file gives no text; the message says why, for the user."""


def read_folder(root: Path) -> Folder:
    """Cut every readable document below `root` into passages, in a stable order."""
    passages: list[Passage] = []
    skipped: list[str] = []
    files = 0
    inside = root.resolve()
    for path in _documents(root):
        name = legible(path.relative_to(root).as_posix())
        try:
            _check(path, inside)
            found = [*_passages(path, name)]
        except _UnreadableError as error:
            skipped.append(f"{one_line(name)}: {error}")
            continue
        passages += found
        files += 1
    return Folder(passages, files, skipped)


def _documents(root: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(root):
        # Hidden folders hold tools' state, ours (.atoma) among them.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(SUFFIXES):
                yield Path(parent, name)


def _check(path: Path, inside: Path) -> None:
    # The folder may come from somebody else: a link in it must not fetch our other
    # files, and reading a pipe or a device would never end.
    try:
        real = Path(os.path.realpath(path, strict=True))
        found = real.stat()
    except OSError as error:
        raise _UnreadableError(error.strerror or "cannot be read") from None
    if not real.is_relative_to(inside):
        raise _UnreadableError("a link to outside of the folder")
    if not stat.S_ISREG(found.st_mode):
        raise _UnreadableError("not a regular file")
    largest = _LARGEST_PDF if path.suffix.lower() == ".pdf" else _LARGEST_TEXT
    if found.st_size > largest:
        raise _UnreadableError(f"larger than {largest // 2**20} MiB")


def _passages(path: Path, name: str) -> Iterator[Passage]:
    suffix = path.suffix.lower()
    splitter = _splitter(_MARKDOWN_CUTS if suffix == ".md" else _CUTS)
    pages = _pdf_pages(path) if suffix == ".pdf" else [_text(path)]
    empty = True
    for page, whole in enumerate(pages, start=1):
        for number, text in enumerate(splitter.split_text(whole), start=1):
            empty = False
            yield Passage(text, name, number, page if suffix == ".pdf" else None)
    if empty:
        scanned = " (a scanned PDF needs text recognition first)"
        raise _UnreadableError("no text in it" + (scanned if suffix == ".pdf" else ""))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _UnreadableError("not UTF-8 text") from None
    except OSError as error:
        raise _UnreadableError(error.strerror or "cannot be read") from None


def _pdf_pages(path: Path) -> list[str]:
    from pypdf import PasswordType, PdfReader  # noqa: PLC0415  only folders with PDFs
    from pypdf.errors import PyPdfError  # noqa: PLC0415  likewise

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        with PdfReader(path) as reader:
            locked = reader.is_encrypted
            if locked and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
                raise _UnreadableError("it needs a password")
            return [sound(page.extract_text()) for page in reader.pages]
    except OSError as error:
        raise _UnreadableError(error.strerror or "cannot be read") from None
    except (PyPdfError, *_DAMAGED_PDF):
        raise _UnreadableError("not a PDF, or a damaged one") from None


def _splitter(cuts: Sequence[str]) -> RecursiveCharacterTextSplitter:
    return RecursiveCharacterTextSplitter(
        [*cuts],
        is_separator_regex=True,
        chunk_size=_PASSAGE_CHARACTERS,
        chunk_overlap=_OVERLAP_CHARACTERS,
    )
