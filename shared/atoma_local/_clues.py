"""Values found in a prompt: numbers, quotations, places, dates, names."""

# ruff: noqa: RUF001  quotation marks and full stops of several languages

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ._text import STOP_WORDS, content_stems, identifier_words, stem, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Clues"]

_QUOTED = re.compile(
    r"\"([^\"\n]{1,400})\"|“([^”]{1,400})”|«([^»]{1,400})»|「([^」]{1,400})」"
    r"|`([^`\n]{1,400})`|(?<!\w)['‘]([^'’\n]{1,400})['’](?!\w)"
)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?")
_DATE = (
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?Z?)?"
    r"|(?:\d{1,2}(?:st|nd|rd|th)?\s+)?(?:January|February|March|April|May|June|July|"
    r"August|September|October|November|December)(?:\s+\d{1,2}(?:st|nd|rd|th)?)?"
    r"(?:,?\s+\d{4})?"
    r"|(?:next |this |last )?(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
    r"|today|tomorrow|yesterday|tonight|(?:next|this|last) (?:week|month|year|weekend)"
)
_TIME = r"\d{1,2}:\d\d(?:\s?[ap]\.?m\.?)?|\d{1,2}\s?[ap]m|noon|midnight"
_PROPER = (
    r"[^\W\d_a-zß-öø-ÿ][\w'’.-]*(?:(?:\s+(?:of|de|la|van|von)\s+|\s+|,\s+)"
    r"[^\W\d_a-zß-öø-ÿ][\w'’-]*)*"
)
_LOWER_PHRASE = (
    r"[\w'’-]+(?:\s+(?!(?:and|or|on|at|in|for|to|from|with|by)\b)[\w'’-]+){0,2}"
)
_SHAPES = (
    ({"email", "mail", "recipient", "to"}, r"[\w.+-]+@[\w-]+\.[\w.-]*\w"),
    ({"url", "link", "uri", "website", "endpoint"}, r"https?://[^\s\"'<>)]+"),
    ({"time", "hour"}, _TIME),
    ({"date", "day", "when", "deadline", "start", "end", "due", "until"}, _DATE),
    (
        {"expression", "formula", "equation", "calculation", "expr"},
        r"[(\d][\d\s.+\-*/^()%×÷]*[\d)]",
    ),
    (
        {"path", "file", "filename", "directory"},
        r"[\w~./-]*[\w-]+\.\w{1,5}\b|[~/][\w./-]+",
    ),
    ({"currency", "code", "symbol", "ticker", "airport", "iata"}, r"\b[A-Z]{2,5}\b"),
)
_ENUMERATION = (
    r"[\w'’-]+(?: [\w'’-]+)?(?:, [\w'’-]+(?: (?!and\b|or\b)[\w'’-]+)?)+"
    r"(?:,? (?:and|or) [\w'’-]+)?"
)
# Nothing else will do for these.
_SHAPED = {"email", "url", "link", "uri", "date", "deadline", "time"}
_PLACES = {
    "address", "area", "city", "country", "location", "place", "region", "room",
    "site", "timezone", "town", "venue", "where",
}  # fmt: skip
_FROM = {"from", "origin", "source", "departure", "start"}
_TO = {"to", "target", "destination", "arrival", "end", "recipient"}
_NAMED = {"name", "named", "customer", "person", "user", "author", "company", "title"}
_WHOLE = {
    "query", "question", "search", "input", "prompt", "text", "request", "message",
    "task", "term", "terms", "topic", "q", "keyword", "keywords", "content",
}  # fmt: skip
_ABOUT = {"subject", "topic", "theme", "headline"}
_DESCRIBED = {"description", "summary", "details", "note", "notes", "reason", "body"}
_OPENINGS = STOP_WORDS | {
    "add", "book", "call", "create", "delete", "email", "extract", "find", "get",
    "look", "register", "remove", "schedule", "send", "update", "write",
}  # fmt: skip
_COMMAND = re.compile(
    r"(?i)^(?:(?:please|can you|could you|would you|i want to|i need to|using the tool"
    r"s?,?|use the \w+(?: tool)?(?: to)?|search(?: the \w+)?(?: for)?|look up|find"
    r"(?: out)?(?: about)?|tell me(?: about)?|show me|get(?: me)?|give me)\s+)+"
)


class Clues:
    """What a text offers for the parameters of a call; each clue is used once.

    Args:
        text: where to look first, usually what the user asked.
        more: where to look next.
    """

    def __init__(self, text: str, more: str = "") -> None:
        self.text = text
        self._texts = [text, more] if more else [text]
        self._used: set[str] = set()
        self.reserved: set[str] = set()  # names of fields, which are no values

    def number(self, name: str) -> float | None:
        """Find a number: one that stands by the name, else the next unused one."""
        for candidate in (*self._numbers_by(name), *self._all_numbers()):
            if candidate not in self._used:
                self._used.add(candidate)
                return float(candidate.replace(",", ""))
        return None

    def all_numbers(self) -> list[float]:
        """Return every number of the text, used or not."""
        return [float(n.replace(",", "")) for n in self._all_numbers()]

    def quotations(self) -> list[str]:
        """Return what the text puts in quotation marks, in order."""
        return [
            next(group for group in match.groups() if group is not None)
            for text in self._texts
            for match in _QUOTED.finditer(text)
        ]

    def pattern(self, pattern: str) -> str | None:
        """Find what a JSON schema's `pattern` describes."""
        try:
            match = re.search(pattern.strip("^$"), self.text)
        except re.error:
            return None
        return match.group() if match else None

    def mentioned(self, options: Iterable[str]) -> list[str]:
        """Return the options that the text names, in the order it names them."""
        found = []
        for option in options:
            said = " ".join(identifier_words(option)) or option.casefold()
            for text in self._texts:
                match = re.search(rf"(?<!\w){re.escape(said)}", text.casefold())
                if match:
                    found.append((match.start(), option))
                    break
        return [option for _, option in sorted(found)]

    def flag(self, name: str) -> bool | None:
        """Tell whether the text affirms or denies what a boolean is named after."""
        wanted = {stem(w) for w in identifier_words(name)} - {"is", "ha", "includ"}
        for text in self._texts:
            said = words(text)
            for place, word in enumerate(said):
                if stem(word) in wanted:
                    before = said[max(0, place - 3) : place]
                    return not {"no", "not", "without", "don", "don't", "never"} & {
                        *before
                    }
        return None

    def string(self, name: str, description: str = "") -> str | None:
        """Find a text for a parameter; None where nothing points to one."""
        hints = {*identifier_words(name)}
        for candidate in self._strings(name, hints, description):
            value = candidate.strip(" \t\n.,;:?!")
            if value and value not in self._used | self.reserved:
                self._used.add(value)
                return value
        return None

    def rest(self) -> str:
        """Return the request without its opening words of command."""
        return _COMMAND.sub("", self.text.strip()).strip(" ?.!") or self.text.strip()

    def items(self, name: str) -> list[str]:
        """Find the members of a list: after its name, in quotes, or joined by `and`."""
        label = _label(name)
        for text in self._texts:
            match = re.search(
                rf"(?i)\b{label}s?\b\s*(?:are|is|of|:|=)?\s+([^.?!\n]+)", text
            )
            if match and re.search(r",|\band\b", match[1]):
                return _members(match[1])
        quoted = self.quotations()
        if quoted:
            return quoted
        match = re.search(_ENUMERATION, self.text)
        if match:
            return _members(match.group())
        match = re.search(rf"({_PROPER}) and ({_PROPER})", self.text)
        return [match[1], match[2]] if match else []

    def _strings(self, name: str, hints: set[str], description: str) -> Iterator[str]:
        yield from self._labelled(name)
        for triggers, shape in _SHAPES:
            if hints & triggers:
                yield from self._matches(rf"({shape})")
        if not hints & _SHAPED:
            yield from self._introduced(hints | ({*words(description)} & _PLACES))
            yield from self.quotations()
            yield from self._guessed(hints)

    def _introduced(self, hints: set[str]) -> Iterator[str]:
        """Find what a preposition or "named" announces."""
        for triggers, prepositions in (
            (_FROM, "from"),
            (_TO, "to|for|with"),
            (_PLACES, "in|at|near|around|for|of|to|from"),
        ):
            if hints & triggers:
                yield from self._after(prepositions)
        if hints & _ABOUT:
            yield from self._matches(r"\babout\s+([^:.?!\"“]+)")
        if hints & _NAMED:
            yield from self._matches(rf"(?i:\b(?:named|called|is)\s+)({_PROPER})")

    def _guessed(self, hints: set[str]) -> Iterator[str]:
        """Offer the request itself, asides, and whatever is capitalised."""
        if hints & _WHOLE:
            yield self.rest()
        if hints & _DESCRIBED:
            yield from self._matches(r"\s[-–—:]\s+([^\n]+?)(?:[.\n]|$)")
            yield from self._matches(r"\(([^)]{3,})\)")
        if hints & _NAMED:
            yield from self._full_names()
        yield from self._matches(rf"(?<=[\w,:;(] )({_PROPER})")
        if hints & _NAMED:
            yield from self._matches(rf"({_PROPER})")

    def _full_names(self) -> Iterator[str]:
        """Find capitalised pairs; a sentence may begin with one, or with a verb."""
        for found in self._matches(rf"({_PROPER})"):
            first, _, rest = found.partition(" ")
            name = rest if first.casefold() in _OPENINGS else found
            if " " in name:
                yield name

    def _labelled(self, name: str) -> Iterator[str]:
        label = _label(name)
        yield from self._matches(rf"(?i)\b{label}\s*[=:]\s*[\"'“]?([^\"'”,;\n]+)")
        if len(name) > 1:
            yield from self._matches(
                rf"(?i:\b{label}\s+(?:is|of|to be|should be|as)\s+)({_PROPER})"
            )

    def _after(self, prepositions: str) -> Iterator[str]:
        yield from self._matches(rf"\b(?i:{prepositions})\s+(?:the\s+)?({_PROPER})")
        lower = rf"\b(?:{prepositions})\s+(?:the\s+|an?\s+)?({_LOWER_PHRASE})"
        for found in self._matches(lower):
            if not set(words(found)) <= STOP_WORDS:
                yield found

    def _matches(self, pattern: str) -> Iterator[str]:
        for text in self._texts:
            for match in re.finditer(pattern, text):
                yield match[1]

    def _numbers_by(self, name: str) -> Iterator[str]:
        label, number = _label(name), rf"({_NUMBER.pattern})"
        yield from self._matches(rf"(?i)\b{label}\s*[=:]\s*{number}")
        stems = content_stems(" ".join(identifier_words(name)))
        for stemmed in stems:
            if len(stemmed) > 2:  # noqa: PLR2004
                yield from self._matches(rf"(?i){number}[\s-]+{stemmed}")
        if len(name) > 1:
            yield from self._matches(rf"(?i)\b{label}\s+(?:is|of|to|at)?\s*{number}")
        for stemmed in stems:
            if len(stemmed) > 2:  # noqa: PLR2004
                yield from self._matches(rf"(?i){number}\s+\w+\s+{stemmed}")

    def _all_numbers(self) -> list[str]:
        return [
            match.group()
            for text in self._texts
            for match in _NUMBER.finditer(re.sub(rf"{_DATE}|{_TIME}", " ", text))
        ]


def _label(name: str) -> str:
    parts = [re.escape(word) for word in identifier_words(name)] or [re.escape(name)]
    return r"[\s_-]?".join(parts)


def _members(text: str) -> list[str]:
    parts = re.split(r",?\s+(?:and|or)\s+|,\s*", text.strip())
    cut = [re.sub(r"^(?:with|of|as|for|are|is|the|to)\s+", "", part) for part in parts]
    return [part for part in cut if part]
