"""What is told to logs, and when anything is told at all."""

import logging

import pytest
from shells import locks

from atoma_confidential import opentelemetry as ours
from atoma_local import BuiltInBackend

# Batches of one size: a smaller one may use up the lock of a larger one (protocol 4.3).
TEXTS = [f"canary-heliotrope-5f1d9c, cellar number {n} of Ostheim" for n in range(6)]


def test_logs_and_spans_share_an_id_that_is_never_sent(connect, atoma, telemetry):
    shell = connect(atoma)
    shell.chat()
    shell.chat()

    ids = [call.attributes["atoma.call.id"] for call in telemetry.calls]
    assert len({*ids}) == 2
    records = [*telemetry.of("calls"), *telemetry.of("requests")]
    assert {fields["call"] for fields in records} == {*ids}
    assert [fields["kind"] for fields in telemetry.of("requests")] == [
        *["lock", "answer"] * 2
    ]
    levels = {(r.name, r.levelname) for r in telemetry.records if hasattr(r, "atoma")}
    assert levels == {
        ("atoma_confidential.calls", "DEBUG"),
        ("atoma_confidential.calls", "INFO"),
        ("atoma_confidential.requests", "DEBUG"),
    }
    sent = [seen.body + repr(seen.headers).encode() for seen in atoma.exchanges]
    assert not any(one.encode() in raw for one in ids for raw in sent)
    assert len(locks(atoma)) == 2


def test_a_name_of_a_model_writes_no_line_of_its_own(connect, atoma, telemetry):
    connect(atoma).chat(model="no\nsuch model")

    lines = [record.getMessage() for record in telemetry.records]
    shown = [line for line in lines if r"model='no\nsuch model'" in line]
    assert [line.partition(":")[0] for line in shown] == [
        "begins",
        "request",
        "request",
        "ends",
    ]
    assert not any("\n" in line for line in shown)


def test_by_itself_nothing_is_told(connect, atoma, monkeypatch, caplog):
    monkeypatch.setattr("atoma_confidential._watch._Watched", None)  # is not made
    shell = connect(atoma)
    shell.chat()
    shell.stream()
    shell.embed(TEXTS, batch_size=2)

    assert not [record for record in caplog.records if hasattr(record, "atoma")]


@pytest.mark.parametrize(
    ("logger", "level"),
    [("calls", logging.INFO), ("retries", logging.INFO), ("requests", logging.DEBUG)],
)
def test_logs_can_be_turned_on_one_by_one(
    connect, make_atoma, caplog, delays, logger, level
):
    atoma = make_atoma()
    atoma.faults.once("lock-503")
    name = f"atoma_confidential.{logger}"
    with caplog.at_level(level, logger=name):
        connect(atoma).chat()

    told = [record for record in caplog.records if hasattr(record, "atoma")]
    assert {record.name for record in told} == {name}
    assert {record.levelno for record in told} == {level}


def test_what_was_turned_off_hears_of_no_further_call(connect, atoma, telemetry):
    shell = connect(atoma)
    shell.models()
    ours.uninstrument()
    shell.models()

    assert len(telemetry.calls) == 1
    assert len(telemetry.points["gen_ai.client.operation.duration"]) == 1


def test_without_a_provider_nothing_is_kept_and_nothing_fails(connect, atoma):
    ours.instrument()
    try:
        assert connect(atoma).chat().verdict.sealed
    finally:
        ours.uninstrument()


def test_many_calls_at_once_have_spans_of_their_own(connect, make_atoma, telemetry):
    atoma = make_atoma(backend=BuiltInBackend())
    shell = connect(atoma)
    shell.chat_at_once(6)

    assert len(telemetry.calls) == 6
    for call in telemetry.calls:
        kinds = [span.name for span in telemetry.below(call)]
        assert kinds == ["atoma.lock", "atoma.answer"]
