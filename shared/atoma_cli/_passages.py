"""A passage: what is embedded, found again, answered from and listed as a source."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Passage", "one_line"]


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, and where it stands in the folder.

    Attributes:
        text: What it says, and all of it that is embedded.
        source: The file, below the folder.
        number: Which passage of the file, or of its page, counted from 1.
        page: The page of a PDF, counted from 1.
    """

    text: str
    source: str
    number: int
    page: int | None = None

    @classmethod
    def at(cls, place: Mapping[str, Any], text: str) -> Passage:
        """Make a passage from its text and its `place`."""
        return cls(text, place["source"], place["passage"], place.get("page"))

    @property
    def place(self) -> dict[str, str | int]:
        """Where it stands, as both frameworks store it beside the text."""
        page = {} if self.page is None else {"page": self.page}
        return {"source": self.source, **page, "passage": self.number}

    @property
    def key(self) -> str:
        """A name for this text at this place; another text is another passage."""
        identity = json.dumps([self.text, self.place], sort_keys=True)
        digest = hashlib.blake2b(identity.encode(), digest_size=16).digest()
        return str(uuid.UUID(bytes=digest))  # Qdrant takes UUIDs, not digests

    @property
    def label(self) -> str:
        """Name it by file, page and number, as the list of sources shows it."""
        page = "" if self.page is None else f", page {self.page}"
        return f"{one_line(self.source)}{page}, passage {self.number}"


def one_line(name: str) -> str:
    """Keep a name from showing, on a line of its own, what only we may say."""
    return " ".join(name.split())
