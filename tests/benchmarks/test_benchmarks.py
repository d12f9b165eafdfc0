"""The programs behind docs/performance.md work; what they measure is not judged."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import page

    return page


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import check

    return check


def measure(*parts):
    """Make a trial run, without anybody to compare with, and return what it printed."""
    only = [word for part in parts for word in ("--only", part)]
    done = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-m", "benchmarks", "--quick", "--ours-only", *only],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_each_way_of_calling_ours_is_measured():
    before = (ROOT / "docs" / "performance.md").read_text()

    printed = measure("streams", "completions", "embeddings", "transport")

    assert "| langchain_atoma, sealed |" in printed
    assert "| llama_index_atoma, plain |" in printed
    assert "sealed against plain" in printed
    assert (ROOT / "docs" / "performance.md").read_text() == before


def test_a_corpus_is_indexed_and_its_memory_told():
    assert "| after 1,010 |" in measure("corpus")


def test_every_figure_on_the_page_is_one_that_was_measured(page):
    text = page.PAGE.read_text()
    results = page.load()

    assert page.written(text, results) == text
    shown = page.pictures(results)
    assert shown == {path.name: path.read_text() for path in page.PLOTS.glob("*.svg")}


def test_a_changed_figure_shows(page):
    text = page.PAGE.read_text()
    results = page.load()
    figures = results["parts"][0]["figures"][0]["of"]["langchain_atoma"]
    figures["median"] *= 2

    assert page.written(text, results) != text


def test_plots_are_small_and_well_formed(page):
    for name, picture in page.pictures(page.load()).items():
        assert ET.fromstring(picture).tag.endswith("svg"), name  # noqa: S314  ours
        assert len(picture) < 12_000, name


def counted(**figures):
    versions = {"cryptography": "46", "pydantic": "2"}
    what = {"unit": "instructions", "python": "3.11.7", "machine": "x86_64"}
    return {**what, "versions": versions, "figures": figures}


def test_the_guard_lets_pass_what_costs_as_much_as_before(check, capsys):
    then = counted(open_event=100_000, seal_request=500_000)

    assert check.compared(then, then) == 0
    assert "0 dearer" in capsys.readouterr().out


def test_the_guard_names_a_path_that_became_dearer(check, capsys):
    then = counted(open_event=100_000, seal_request=500_000)
    now = counted(open_event=110_000, seal_request=400_000)

    assert check.compared(now, then) == 1
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "DEARER" in x]
    assert line.startswith("open_event")


def test_the_guard_refuses_to_compare_counts_with_times(check):
    then = counted(open_event=100_000)

    with pytest.raises(SystemExit):
        check.compared(then | {"unit": "calibrated time"}, then)


def test_what_is_counted_is_what_is_done(check):
    for name, count in check.COUNTED.items():
        assert check.PATHS[name](count) == count
