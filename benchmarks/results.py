"""What was measured, as values; and as JSON, from which the page is written."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Curve", "Figures", "Measured", "Part", "Ratio", "Summary", "summary"]


@dataclass(frozen=True, slots=True)
class Summary:
    """A median, and the quartiles on both sides of it."""

    median: float
    low: float
    high: float

    def times(self, factor: float) -> Summary:
        return Summary(self.median * factor, self.low * factor, self.high * factor)


def summary(values: Iterable[float]) -> Summary:
    """Return the median of some values, and their quartiles."""
    values = list(values)
    if len(values) == 1:
        return Summary(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Summary(median, low, high)


@dataclass(frozen=True, slots=True)
class Measured:
    """What each contender took in each round.

    Attributes:
        taken: by contender, a dictionary for each round; see `worker`.
    """

    taken: dict[str, list[dict[str, Any]]]

    def of(self, name: str, what: str = "cpu", *, factor: float = 1) -> Summary:
        """Return what a contender took, in seconds times a factor."""
        return summary(took[what] for took in self.taken[name]).times(factor)

    def all(self, what: str = "cpu", *, factor: float = 1) -> dict[str, Summary]:
        """Return the same of each contender."""
        return {name: self.of(name, what, factor=factor) for name in self.taken}

    def ratio(self, name: str, other: str, what: str = "cpu") -> Summary | None:
        """Return a contender's part of another's, round by round.

        None where one of them did not take part.
        """
        if not {name, other} <= self.taken.keys():
            return None
        pairs = zip(self.taken[name], self.taken[other], strict=True)
        return summary(mine[what] / theirs[what] for mine, theirs in pairs)


@dataclass(frozen=True, slots=True)
class Figures:
    """One thing, measured for each contender."""

    title: str
    unit: str
    of: dict[str, Summary]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A comparison, and the limit that was set for it, if one was.

    Attributes:
        with_others: whether the other one is not ours.
    """

    title: str
    value: Summary
    at_most: float | None = None
    at_least: float | None = None
    with_others: bool = True

    @property
    def met(self) -> bool:
        if self.at_most is not None:
            return self.value.median <= self.at_most
        return self.at_least is None or self.value.median >= self.at_least

    @property
    def behind(self) -> bool:
        """Whether somebody else does better."""
        if self.at_least is not None:
            return self.with_others and self.value.median < 1
        return self.with_others and self.value.median > 1


@dataclass(frozen=True, slots=True)
class Curve:
    """How the cost of something grows.

    Attributes:
        points: by contender, pairs of size and CPU seconds, sizes rising.
    """

    name: str
    title: str
    size: str
    points: dict[str, list[tuple[float, float]]]

    def exponent(self, contender: str) -> float:
        """Return the slope of a straight line through the larger half, in log and log.

        At the smaller sizes it is what does not grow that is seen.
        """
        pairs = self.points[contender]
        larger = pairs[len(pairs) // 2 :] if len(pairs) > 3 else pairs  # noqa: PLR2004
        sizes, costs = zip(*larger, strict=True)
        return statistics.linear_regression(
            list(map(math.log, sizes)), list(map(math.log, costs))
        ).slope


@dataclass(slots=True)
class Part:
    """What one part of a run found."""

    name: str
    figures: list[Figures] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    def add(self, title: str, unit: str, of: dict[str, Summary]) -> None:
        self.figures.append(Figures(title, unit, of))

    def compare(
        self,
        title: str,
        value: Summary | None,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        with_others: bool = True,
    ) -> None:
        """Note a comparison, unless one side of it did not take part."""
        if value is not None:
            self.ratios.append(Ratio(title, value, at_most, at_least, with_others))

    def as_json(self) -> dict[str, Any]:
        return _rounded(asdict(self))

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> Part:
        return cls(
            data["name"],
            [
                Figures(one["title"], one["unit"], _summaries(one["of"]))
                for one in data["figures"]
            ],
            [
                Ratio(**{**one, "value": Summary(**one["value"])})
                for one in data["ratios"]
            ],
            [Curve(**one) for one in data["curves"]],
        )


def _summaries(data: dict[str, Any]) -> dict[str, Summary]:
    return {name: Summary(**value) for name, value in data.items()}


def _rounded(value: Any) -> Any:
    """Return the same with four digits: more would be noise."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value
