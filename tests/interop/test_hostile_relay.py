"""What comes of a hostile relay, measured, against what the documentation says."""

import pytest
from deltas import CALLED, calls
from fragments import fragment
from hostile_relay import COLUMNS, PAGE, measure, written
from lc_streamed import by_stream, calls_of

from langchain_atoma import AtomaChatModel


@pytest.fixture(scope="module")
def table(sdk_python):
    return measure(sdk_python)


@pytest.fixture(scope="module")
def cells(table):
    _, _, *rows = [row.strip("| \n").split(" | ") for row in table.splitlines()]
    return {
        (action, column): cell
        for action, *found in rows
        for column, cell in zip(COLUMNS, found, strict=True)
    }


def test_the_page_says_what_was_measured(table):
    """If not: `python tests/support/hostile_relay.py .venv-sdk/bin/python`."""
    assert written(PAGE.read_text()) == table


def test_without_a_hostile_relay_all_is_right(cells):
    assert {cells["nothing", column] for column in COLUMNS} == {"right answer"}


def test_a_whole_answer_is_the_nodes_or_an_error(cells):
    for (_, column), cell in cells.items():
        if column in {"buffered", "auto, repeated nonce"}:
            assert "wrong" not in cell


def test_what_a_live_stream_of_ours_cannot_notice_is_what_the_page_says(cells):
    live = {"live, fresh nonces", "auto, fresh nonces"}
    unnoticed = {
        action
        for (action, column), cell in cells.items()
        if column in live and "wrong" in cell
    }
    assert unnoticed == {"delete a chunk of text", "swap two chunks of text"}


def test_a_tool_call_can_lose_a_piece_too(scripted, engine):
    engine.chunks = [
        calls(fragment('{"keep": 9', "prune", index=0, id="c1")),
        calls(fragment("99", index=0)),
        calls(fragment("}", index=0)),
        CALLED,
    ]
    model = AtomaChatModel(
        model="meta-llama/Llama-3.3-70B-Instruct",
        api_key=scripted.api_key,
        base_url=scripted.base_url,
        stream_mode="live",
    )
    scripted.tap.faults.once("event-dropped:1")

    answer = by_stream(model, "Prune the backups, and keep 999.")

    assert calls_of(answer) == [("prune", {"keep": 9})]
