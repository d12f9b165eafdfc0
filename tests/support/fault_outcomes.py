"""How each fault ends: the file of outcomes, and the table that is made of it."""

import tomllib
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from fault_runs import LOCK, RIGHT, SEALED, WRONG, End
from page_marks import between

from atoma_confidential import errors
from atoma_local import list_faults

FOLDER = Path(__file__).parents[1] / "reliability"
FILE = FOLDER / "outcomes.toml"
PAGE = FOLDER.parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- outcomes: generated -->\n", "<!-- end of outcomes -->\n"

STREAMS = ("live", "auto", "first")
# What the requests of a fault begin with, where it could hit several.
ON = {"lock": LOCK, "request": SEALED, "": ""}
# Kinds of call that can be hit, by the place of a fault.
CALLS = {
    "lock": ("answer", "first", "vectors"),
    "proxy": ("answer", "live", "first", "vectors"),
    "node": ("answer", *STREAMS, "vectors"),
    "stream": STREAMS,
    "network": ("answer", "live", "first", "vectors"),
}


@dataclass(frozen=True)
class Outcome:
    """A fault, a kind of call, and how that ends.

    Attributes:
        on: Of `ON`: which requests of the call are hit.
    """

    fault: str
    on: str
    call: str
    end: End

    @property
    def path(self):
        return ON[self.on]

    @property
    def name(self):
        return "-".join(
            filter(None, [self.fault, self.on and f"on-{self.on}", self.call])
        )


def load():
    """Return the outcomes, one for each kind of call."""
    return [
        Outcome(
            row["fault"],
            row.get("on", ""),
            call,
            End(
                row["end"],
                row["locks"],
                row["requests"],
                row["repeats"],
                row["left"],
                row.get("warned", False),
            ),
        )
        for row in tomllib.loads(FILE.read_text())["outcome"]
        for call in row["calls"]
    ]


def rows(outcomes):
    """Put the kinds of call together that end in the same way."""
    for (fault, on), group in groupby(outcomes, lambda o: (o.fault, o.on)):
        calls = {}
        for outcome in group:
            calls.setdefault(outcome.end, []).append(outcome.call)
        for end, names in calls.items():
            yield fault, on, names, end


def table():
    """The table of the page."""
    about = {row.name.partition(":")[0]: row.about for row in list_faults()}
    lines = [
        "| fault | what happens | calls | end | repeated | sent | left | next |\n",
        "|---|---|---|---|---|---|---|---|\n",
    ]
    for (fault, on), group in groupby(load(), lambda o: (o.fault, o.on)):
        name, _, number = fault.partition(":")
        happens = about[name] + (f"; N is {number}" if number else "")
        happens += " (the lock's)" if on == "lock" else ""
        for end, sent in _alike(group):
            calls = ", ".join(call for calls in sent.values() for call in calls)
            lines.append(
                f"| `{fault}` | {happens} | {calls} | {_said(end)} | "
                f"{_times(end.repeats)} | {_counts(sent)} | {end.left.lower()} | "
                f"{_next(name, end)} |\n"
            )
    return "".join(lines)


def _alike(outcomes):
    """Put calls together that differ in nothing but how much they sent."""
    found = {}
    for outcome in outcomes:
        end = replace(outcome.end, locks=0, requests=0)
        sent = found.setdefault(end, {})
        count = f"{outcome.end.locks}, {outcome.end.requests}"
        sent.setdefault(count, []).append(outcome.call)
    return found.items()


def _counts(sent):
    if len(sent) == 1:
        return next(iter(sent))
    return "; ".join(f"{', '.join(calls)}: {n}" for n, calls in sent.items())


def _said(end):
    if end.end == WRONG:
        return "**a wrong answer**"
    if end.end == RIGHT:
        return f"{RIGHT}, and a warning" if end.warned else RIGHT
    return f"`{end.end}`"


def _times(repeats):
    return {0: "no", 1: "once"}.get(repeats, f"{repeats} times")


def _next(name, end):
    if end.end == WRONG:
        return "Use stream_mode='buffered' where the way to the node is hostile."
    if end.warned:
        return "Use stream_mode='buffered'."
    if end.end == RIGHT and name == "signature-wrong":
        return "Pass signatures='all'."
    if end.end == RIGHT:
        return "Nothing."
    return getattr(errors, end.end).advice


def written(page):
    """The table as the page has it."""
    return between(page, BEGIN, END)
