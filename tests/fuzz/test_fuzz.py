"""The fuzz targets, over what they start from and some changes of it; no fuzzer needed.

So the targets cannot rot, and what a fuzzer has found stays found.
"""

import random
import re
from pathlib import Path

import pytest
from fuzz_mutator import faulty, mutated
from fuzz_targets import TARGETS, attempt

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
ROUNDS = 120
# Nothing that these take is ever refused, or the other way round.
TAKES_ALL = {"sse", "status", "tool-calls"}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_some_and_refuses_some_and_raises_nothing_else(name):
    target = TARGETS[name]
    seeds = target.seeds()
    rng = random.Random(f"2026 {name}")  # noqa: S311 - to be repeated, not secret
    taken = [attempt(target, seed) for seed in seeds]
    assert any(taken), "no seed gets to the end of its parser"
    for _ in range(ROUNDS):
        data = rng.choice(seeds)
        for _ in range(rng.randint(1, 3)):
            change = mutated(data, rng, target.words) if target.text else None
            data = change or faulty(data, rng)
        taken.append(attempt(target, data))
    assert all(taken) is (name in TAKES_ALL)


def test_a_find_is_told_from_a_refusal():
    target = TARGETS["lease"]
    broken = type(target)(lambda _: {}["missing"], target.seeds)
    with pytest.raises(KeyError):
        attempt(broken, b"")


def test_the_page_has_a_row_for_each_target():
    section = PAGE.read_text().partition("## Fuzzing")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)
    assert rows == list(TARGETS)
