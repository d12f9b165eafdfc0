"""Writes what was measured into docs/performance.md, between its markers, and plots.

Nothing between two markers is typed: a test compares the page with the results.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import plots
from .names import name_of
from .results import Curve, Figures, Part, Ratio, Summary

__all__ = ["PAGE", "PLOTS", "load", "pictures", "publish", "tables", "written"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"
RESULTS = Path(__file__).with_name("results.json")

TRIAL = "; **a trial run, whose figures mean nothing**"
_MARKED = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def written(page: str, results: dict[str, Any]) -> str:
    """Return the page with these results between its markers."""
    parts = [Part.of_json(part) for part in results["parts"]]
    ratios = [ratio for part in parts for ratio in part.ratios]
    made = {
        "about": _about(results["about"]),
        "targets": _ratios([ratio for ratio in ratios if _limit(ratio)]),
        "behind": _behind([ratio for ratio in ratios if ratio.behind]),
    }
    made |= {part.name: tables(part) for part in parts}

    def replaced(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        return f"{start}{made[name]}\n{end}" if name in made else match[0]

    return _MARKED.sub(replaced, page)


def pictures(results: dict[str, Any]) -> dict[str, str]:
    """Return the plots by their file names."""
    parts = {part["name"]: Part.of_json(part) for part in results["parts"]}
    made = {}
    for name, first in (("streams", 0), ("completions", 0), ("embeddings", 0)):
        if name in parts:
            made[f"{name}.svg"] = plots.bars(parts[name].figures[first])
    for part in parts.values():
        made |= {f"{curve.name}.svg": plots.lines(curve) for curve in part.curves}
    return made


def tables(part: Part) -> str:
    """Return all that a part measured, a table for each unit."""
    blocks = [
        _by_contender([one for one in part.figures if one.unit == unit], unit)
        for unit in dict.fromkeys(one.unit for one in part.figures)
    ]
    if part.ratios:
        blocks.append(_ratios(part.ratios))
    if part.curves:
        blocks.append(_exponents(part.curves))
    return "\n\n".join(blocks)


def _by_contender(figures: list[Figures], unit: str) -> str:
    names = dict.fromkeys(name for one in figures for name in one.of)
    head = [unit or "number", *(one.title for one in figures)]
    return _table(
        head,
        (
            [name_of(name), *(_cell(one.of.get(name)) for one in figures)]
            for name in names
        ),
    )


def _cell(value: Summary | None) -> str:
    if value is None:
        return ""
    if value.low == value.high:
        return _number(value.median)
    return f"{_number(value.median)} ({_number(value.low)} to {_number(value.high)})"


def _number(value: float) -> str:
    if abs(value) >= 1000:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _ratios(ratios: list[Ratio]) -> str:
    return _table(
        ["comparison", "measured", "quartiles", "target", ""],
        (
            [
                ratio.title,
                f"{ratio.value.median:.2f}",
                f"{ratio.value.low:.2f} to {ratio.value.high:.2f}",
                _limit(ratio),
                _judged(ratio),
            ]
            for ratio in ratios
        ),
    )


def _behind(ratios: list[Ratio]) -> str:
    return _ratios(ratios) if ratios else "Nowhere, in what was compared."


def _limit(ratio: Ratio) -> str:
    if ratio.at_most is not None:
        return f"at most {ratio.at_most:g}"
    return "" if ratio.at_least is None else f"at least {ratio.at_least:g}"


def _judged(ratio: Ratio) -> str:
    limit = ratio.at_least if ratio.at_most is None else ratio.at_most
    if limit is None:
        return ""
    if ratio.met:
        return "met"
    return f"**missed by {abs(ratio.value.median / limit - 1):.0%}**"


def _exponents(curves: list[Curve]) -> str:
    rows = [
        [curve.title, name_of(name), f"{curve.exponent(name):.2f}"]
        for curve in curves
        for name in curve.points
    ]
    return _table(["growth", "", "exponent"], rows)


def _about(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"])
    facts = {
        "Measured": about["date"],
        "Revision": about["revision"],
        "Machine": about["machine"],
        "Python": about["python"],
        "Versions": versions,
        "Took": f"{about['seconds'] / 60:.1f} minutes{TRIAL if about['trial'] else ''}",
    }
    return _table(["", ""], ([name, str(fact)] for name, fact in facts.items()))


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def load() -> dict[str, Any]:
    """Return the results of the last whole run."""
    return dict(json.loads(RESULTS.read_text(encoding="utf-8")))


def publish(results: dict[str, Any]) -> None:
    """Keep results, and write page and plots from them."""
    text = json.dumps(results, indent=1, ensure_ascii=False)
    RESULTS.write_text(text + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(written(page, results), encoding="utf-8")
    PLOTS.mkdir(exist_ok=True)
    for name, picture in pictures(results).items():
        (PLOTS / name).write_text(picture, encoding="utf-8")
