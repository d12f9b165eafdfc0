"""Answers taken from material: the sentences that meet the question best."""

# ruff: noqa: RUF001  quotation marks and full stops of several languages

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ._passages import Unit, units_of
from ._text import content_stems, words

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Extract", "extract", "summarise"]

# Below this share of the question's weight a sentence is about something else.
_THRESHOLD = 0.4
_KEPT = 0.8
_SENTENCES = 3
_LENGTH = 560
_CONTEXT_WEIGHT = 0.6
_ANNOUNCED = 0.95
_PREFIX = 5

_PATHS = re.compile(r"`[^`\s]*[/:][^`\s]*`")
_HINTS = (
    (r"^(how (many|much|long|often|big|large|old|far)|when)\b", r"\d"),
    (r"^why\b", r"\b(because|so that|since|therefore|otherwise|in order)\b"),
    (r"^who\b", r"\b[A-Z]\w+"),
    (r"^(how|can i|what command)\b", r"\b(use|run|call|set|pass|install|by)\b|`"),
)


@dataclass(frozen=True, slots=True)
class Extract:
    """What the material says: sentences, and how well the best one fits, 0 to 1."""

    sentences: tuple[str, ...]
    score: float
    units: int

    @property
    def text(self) -> str:
        """The sentences as one paragraph; empty where the material is silent."""
        return " ".join(self.sentences)


@dataclass(frozen=True, slots=True)
class _Question:
    text: str
    weights: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.weights.values()) or 1.0


def extract(question: str, material: str, *, background: str = "") -> Extract:
    """Find the one to three sentences that answer a question.

    Args:
        question: in the user's words.
        material: passages, Markdown allowed.
        background: earlier turns; they say what a question like "And why?" is about.
    """
    units = _unique(units_of(material))
    weighed = _weigh(question, units, background)
    if not units or not weighed.weights:
        return Extract((), 0.0, len(units))
    scores = [_score(unit, weighed, len(units)) for unit in units]
    best = max(range(len(units)), key=lambda n: scores[n])
    if scores[best] < _THRESHOLD:
        return Extract((), scores[best], len(units))
    chosen = _choose(units, scores, best)
    return Extract(_say([units[n] for n in chosen]), min(scores[best], 1.0), len(units))


def summarise(material: str) -> Extract:
    """Pick the sentences that share most with the rest, in their order."""
    units = [unit for unit in _unique(units_of(material)) if unit.whole]
    counts = Counter(s for unit in units for s in set(content_stems(unit.text)))
    scores = []
    for number, unit in enumerate(units):
        stems = set(content_stems(unit.text))
        shared = sum(math.log1p(counts[s] - 1) for s in stems) / math.sqrt(
            len(stems) + 4
        )
        scores.append(shared + 0.3 / (1 + number))
    ranked = sorted(range(len(units)), key=lambda n: -scores[n])[:_SENTENCES]
    return Extract(_say([units[n] for n in sorted(ranked)]), 1.0, len(units))


def _unique(units: list[Unit]) -> list[Unit]:
    """Overlapping chunks repeat sentences; the first one stays."""
    return list({" ".join(words(unit.text)): unit for unit in units[::-1]}.values())[
        ::-1
    ]


def _weigh(question: str, units: Sequence[Unit], background: str) -> _Question:
    stems = content_stems(question)
    if not stems:
        stems = content_stems(background)[-6:]
    known = Counter(s for unit in units for s in set(_all_stems(unit)))
    # Smoothed, as a prompt with two sentences says little about what is rare.
    weights = {s: math.log1p((len(units) + 3) / (known[s] + 1.3)) for s in stems}
    return _Question(question, weights)


def _all_stems(unit: Unit) -> list[str]:
    return content_stems(f"{_prose(unit.text)} {unit.context}")


def _prose(text: str) -> str:
    """Leave out paths and line numbers in code marks; their words are no prose."""
    return _PATHS.sub(" ", text)


def _score(unit: Unit, question: _Question, total_units: int) -> float:
    own, above = content_stems(_prose(unit.text)), set(content_stems(unit.context))
    own_set = set(own)
    # A heading that holds the whole question announces its answer.
    announced = _ANNOUNCED if question.weights.keys() <= above else _CONTEXT_WEIGHT
    score = sum(
        weight * _match(s, own_set, above, announced)
        for s, weight in question.weights.items()
    )
    score /= question.total
    if not score:
        return 0.0
    length = len(own)
    if length < 3:  # noqa: PLR2004  (a fragment says little)
        score *= 0.7
    if not unit.whole:
        score *= 0.85
    score += 0.06 * _neighbours(list(question.weights), own)
    score += 0.06 * _hinted(question.text, unit.text) + 0.1 * _defines(question, unit)
    score -= 0.08 * max(0, length - 24) / 24
    # Passages come in the order in which the search found them.
    return score + 0.04 / (1 + unit.passage) * min(1.0, total_units / 4)


def _match(wanted: str, own: set[str], above: set[str], announced: float) -> float:
    if wanted in own:
        return 1.0
    if wanted in above:
        return announced
    if len(wanted) >= _PREFIX and any(
        len(s) >= _PREFIX and (s.startswith(wanted) or wanted.startswith(s))
        for s in own
    ):
        return 0.7
    return 0.0


def _neighbours(wanted: list[str], own: list[str]) -> int:
    pairs = set(pairwise(own))
    return sum(pair in pairs for pair in pairwise(wanted))


def _hinted(question: str, text: str) -> bool:
    asked = question.strip().casefold()
    return any(re.match(q, asked) and re.search(t, text) for q, t in _HINTS)


def _defines(question: _Question, unit: Unit) -> bool:
    """Whether "What is X?" meets a sentence that begins "X is"."""
    asked = re.match(r"\s*what(?:'s| is| are| does) ", question.text, re.IGNORECASE)
    subject = re.match(r"\W*(?:(?:an?|the) )?([^,.;:]{2,50}?) (?:is|are)\b", unit.text)
    if not asked or not subject:
        return False
    stems = content_stems(subject[1])
    return bool(stems) and set(stems) <= question.weights.keys()


def _choose(units: Sequence[Unit], scores: Sequence[float], best: int) -> list[int]:
    chosen = [best]
    length = len(units[best].text)
    for n in sorted(range(len(units)), key=lambda n: -scores[n]):
        if len(chosen) == _SENTENCES or scores[n] < max(
            _THRESHOLD, _KEPT * scores[best]
        ):
            break
        fits = length + len(units[n].text) <= _LENGTH
        fresh = all(_overlap(units[n], units[m]) < 0.6 for m in chosen)  # noqa: PLR2004
        if n not in chosen and fits and fresh and units[n].whole:
            chosen.append(n)
            length += len(units[n].text)
    return sorted(chosen) if _same_passage(units, chosen) else chosen


def _same_passage(units: Sequence[Unit], chosen: Sequence[int]) -> bool:
    return len({units[n].passage for n in chosen}) == 1


def _overlap(one: Unit, other: Unit) -> float:
    left, right = set(content_stems(one.text)), set(content_stems(other.text))
    return len(left & right) / (min(len(left), len(right)) or 1)


def _say(units: Sequence[Unit]) -> tuple[str, ...]:
    """Close each sentence, and name its passage after the last one taken from it."""
    said = []
    for number, unit in enumerate(units):
        text = unit.text.strip().rstrip(":;,")
        text = text[:1].upper() + text[1:] if unit.whole else f"… {text}"
        if text[-1:] not in ".!?。！？…":
            text += "."
        following = units[number + 1].label if number + 1 < len(units) else ""
        if unit.label and unit.label != following:
            text += f" [{unit.label}]"
        said.append(text)
    return tuple(said)
