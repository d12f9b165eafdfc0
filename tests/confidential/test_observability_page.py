"""The tables of docs/observability.md, against what calls of all kinds really tell."""

import re
from pathlib import Path

import pytest
from records import RecordedKey, with_record
from shells import CHAT

import atoma_confidential as ac

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"


def rows(name):
    """The cells of the table under a mark."""
    _, _, rest = PAGE.read_text().partition(f"<!-- {name} -->\n")
    table, _, _ = rest.partition("\n\n")
    _head, _line, *lines = table.splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def first_cells(name):
    found = [re.fullmatch(r"`(.+)`", row[0])[1] for row in rows(name)]
    assert found
    return found


@pytest.fixture
def told(connect, recorded_atoma, telemetry, delays):
    """Telemetry of calls of all kinds and ends."""
    atoma = recorded_atoma
    shell = connect(atoma, **with_record(atoma, RecordedKey()), max_retries=1)
    atoma.faults.once("lock-503")
    shell.stream()
    shell.chat()
    shell.embed(["a text", "another"], batch_size=1)
    shell.models()
    shell.appraise(node=atoma.node.small_id, key=atoma.node_public_key)
    shell.probe_nonces()
    connect(atoma, lock_ahead=True).chat_in_turn(2)
    atoma.faults.once("post-401")
    with pytest.raises(ac.AuthenticationError):
        shell.chat()
    assert delays
    return telemetry


def test_each_span_is_in_its_table(told):
    names = {re.sub(r" \S+/\S+$", " {model}", span.name) for span in told.spans}

    assert names == {*first_cells("spans")}
    assert any(span.name == f"chat {CHAT}" for span in told.spans)


def test_each_attribute_is_in_its_table(told):
    calls = {name for span in told.calls for name in span.attributes}
    others = [span for span in told.spans if span not in told.calls]
    requests = {name for span in others for name in span.attributes}
    events = [event for span in told.calls for event in span.events]

    assert calls == {*first_cells("call")}
    assert requests == {*first_cells("request")}
    page = PAGE.read_text()
    assert all(f"`{event.name}`" in page for event in events)
    assert all(f"`{name}`" in page for event in events for name in event.attributes)


def test_each_metric_is_in_its_table_and_its_labels_on_the_page(told):
    assert {*told.points} == {*first_cells("metrics")}
    kinds = {
        name: f"{told.kinds[name][0]}, `{told.kinds[name][1]}`" for name in told.points
    }
    assert {row[0].strip("`"): row[1] for row in rows("metrics")} == kinds
    labels = {
        name
        for points in told.points.values()
        for point in points
        for name in point.attributes
    }
    assert all(f"`{name}`" in PAGE.read_text() for name in labels)


def test_each_log_record_is_in_its_table(told):
    records = [record for record in told.records if hasattr(record, "atoma")]
    written = {(record.name, record.levelname) for record in records}
    fields = {name for record in records for name in record.atoma}

    assert written == {(r[0].strip("`"), r[1].strip("`")) for r in rows("logs")}
    assert fields == {*first_cells("fields")}
    assert all(
        f"{name}={value!r}" in record.getMessage()
        for record in records
        for name, value in record.atoma.items()
    )
