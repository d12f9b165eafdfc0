"""A prompt's material cut into units: sentences, list items, table rows."""

# ruff: noqa: RUF001  quotation marks and full stops of several languages

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._text import sentences, strip_markdown

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Unit", "units_of"]

_LABEL = re.compile(r"^\s*\[(\d{1,3})\]\s*(.*)$")
_HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.+?)\s*#*$")
_BULLET = re.compile(r"^(\s*)(?:[-*+•]|\d{1,3}[.)])\s+(.+)$")
_TABLE_RULE = re.compile(r"^[\s|:+-]*-{2,}[\s|:+-]*$")
_RULE = re.compile(r"^\s*([-*_=])(\s*\1){2,}\s*$")
_LIST_ITEMS = 6
_LIST_LENGTH = 420


@dataclass(frozen=True, slots=True)
class Unit:
    """Something that can be said on its own.

    `context` is what stands above it: headings, a table's head, the label of its
    passage. `label` is the passage's number, where passages are numbered.
    """

    text: str
    context: str
    label: str
    passage: int
    whole: bool = True


@dataclass(slots=True)
class _Reader:
    """State while reading one block of material line by line."""

    passage: int = 0
    label: str = ""
    title: str = ""
    headings: tuple[tuple[int, str], ...] = ()
    head_row: str = ""

    def context(self) -> str:
        return " ".join([self.title, *(text for _, text in self.headings)])

    def unit(self, text: str, *, context: str = "", whole: bool = True) -> Unit:
        above = f"{self.context()} {context}".strip()
        return Unit(strip_markdown(text), above, self.label, self.passage, whole)


def units_of(material: str) -> list[Unit]:
    """Cut material into units, remembering which passage and heading they are under."""
    reader = _Reader()
    return [
        unit for block in _blocks(material) for unit in _units_of_block(block, reader)
    ]


def _blocks(material: str) -> Iterator[list[str]]:
    """Group lines: a heading or label alone, a paragraph, a list with its lead."""
    block: list[str] = []
    fenced = False
    for line in material.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        if fenced:
            line = f"    {line}"  # noqa: PLW2901  (code is never a heading or a list)
        starts = _HEADING.match(line) or _LABEL.match(line) or _RULE.match(line)
        if starts or not line.strip():
            # A lead ("It sees:") belongs to the list after the blank line.
            if block and not (not line.strip() and block[-1].rstrip().endswith(":")):
                yield block
                block = []
            if starts and not _RULE.match(line):
                yield [line]
            continue
        block.append(line)
    if block:
        yield block


def _units_of_block(block: list[str], reader: _Reader) -> Iterator[Unit]:
    first = block[0]
    if label := _LABEL.match(first):
        reader.label, reader.title = label[1], ""
        reader.passage += 1
        reader.headings, reader.head_row = (), ""
        if _is_title(label[2]):
            reader.title = label[2]
        elif label[2]:
            yield from (reader.unit(text) for text in sentences(label[2]))
    elif heading := _HEADING.match(first):
        level = len(heading[1])
        kept = [(n, text) for n, text in reader.headings if n < level]
        reader.headings = (*kept, (level, heading[2]))
        reader.head_row = ""
    elif any(_BULLET.match(line) for line in block):
        yield from _list_units(block, reader)
    elif sum(line.count("|") >= 2 for line in block) > len(block) // 2:  # noqa: PLR2004
        yield from _table_units(block, reader)
    else:
        yield from _prose_units(block, reader)


def _is_title(text: str) -> bool:
    return len(text.split()) <= 12 and not text.rstrip().endswith((".", "!", "?"))  # noqa: PLR2004


def _prose_units(block: list[str], reader: _Reader) -> Iterator[Unit]:
    found = sentences(" ".join(block))
    for number, text in enumerate(found):
        # A splitter may have cut the passage in the middle of a sentence.
        begins = not (number == 0 and text[:1].islower())
        ends = text.rstrip("\"'”’)]*_`").endswith(
            (".", "!", "?", ":", "。", "！", "？")
        )
        yield reader.unit(text, whole=begins and ends)


def _list_units(block: list[str], reader: _Reader) -> Iterator[Unit]:
    lead, items = _read_list(block)
    *before, intro = sentences(lead) or [""]
    yield from (reader.unit(text) for text in before)
    joined = "; ".join(item.rstrip(".;") for item in items[:_LIST_ITEMS])
    if intro.endswith(":") and len(joined) <= _LIST_LENGTH:
        yield reader.unit(f"{intro} {joined}.")
    elif intro:
        yield reader.unit(intro, whole=not intro.endswith(":"))
    for item in items:
        for text in sentences(item):
            yield reader.unit(text, context=intro)


def _read_list(block: list[str]) -> tuple[str, list[str]]:
    lead: list[str] = []
    items: list[str] = []
    for line in block:
        bullet = _BULLET.match(line)
        if bullet:
            items.append(bullet[2].strip())
        elif items:
            items[-1] += f" {line.strip()}"
        else:
            lead.append(line.strip())
    return " ".join(lead), items


def _table_units(block: list[str], reader: _Reader) -> Iterator[Unit]:
    rows = [line for line in block if not _TABLE_RULE.match(line)]
    if len(rows) < len(block):
        reader.head_row, *rows = rows
    names = _cells(reader.head_row)
    for row in rows:
        if row.count("|") < 2:  # noqa: PLR2004
            yield from _prose_units([row], reader)
            continue
        key, *rest = _cells(row) or [""]
        said = "; ".join(cell for cell in rest if cell)
        if key and said:
            yield reader.unit(f"{key}: {said}.", context=" ".join(names))


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]
