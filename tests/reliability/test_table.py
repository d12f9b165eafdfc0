"""The table of faults is whole, and the page is made of it."""

import pytest
from fault_cases import UNNOTICED, cases
from fault_outcomes import BEGIN, END, PAGE, load, table, written
from fault_runs import RIGHT, WRONG

from atoma_confidential import Exposure, errors
from atoma_local import list_faults

OUTCOMES = load()
NAMES = {outcome.fault.partition(":")[0] for outcome in OUTCOMES}

# What users meet, or fear, and the rows that are about it.
WANTED = {
    "400": ["lock-400", "post-400", "post-400-text"],
    "400, fiat only": ["post-400-fiat"],
    "400, a stack is being bought": ["lock-400-concurrent", "post-400-concurrent"],
    "401": ["lock-401", "post-401"],
    "402": ["lock-402", "post-402"],
    "404 and 405": ["lock-404", "post-404", "post-405"],
    "413": ["post-413"],
    "415 and 422": ["post-415", "post-422", "lock-422"],
    "423": ["post-423"],
    "425": ["post-425"],
    "429": ["lock-429", "post-429"],
    "429, Retry-After in seconds": ["lock-429-retry-after", "post-429-retry-after"],
    "429, Retry-After as a date": ["post-429-retry-date"],
    "500": ["lock-500", "post-500"],
    "500, no key": ["lock-500-no-key"],
    "500, of the node": ["post-500-node", "post-500-node-status", "post-500-invalid"],
    "500, the node's 400": ["post-500-bad-request", "stack-unknown"],
    "501": ["post-501"],
    "503": ["lock-503", "lock-503-retry-after", "post-503"],
    "a node that cannot be reached": ["post-unreachable"],
    "a lock that expired": ["lock-expired"],
    "a lock that was stolen": ["lock-stolen"],
    "rotation before a request": ["lock-key-stale", "key-rotated-before-open"],
    "rotation during a request": ["key-rotated-before-seal", "key-rotated-in-stream"],
    "rotation after a request": ["key-rotated-after"],
    "a node that restarts": ["key-rotated-before-open"],
    "an answer under the new key": ["key-rotated-before-seal"],
    "GCM failure": ["tag-tampered", "nonce-wrong"],
    "hash": ["hash-wrong", "hash-missing", "hash-short"],
    "nonce": ["nonce-wrong", "nonce-missing", "nonce-short"],
    "signature": ["signature-wrong", "signature-missing", "signature-short"],
    "reflection": ["reflection"],
    "keys": [f"lock-key-{k}" for k in ("low-order", "short", "long", "zero")],
    "URL-safe base64": ["lock-key-urlsafe", "base64-urlsafe"],
    "an error in clear inside a 200": ["reply-error", "lock-error"],
    "HTML 502": ["lock-502-html", "post-502-html"],
    "gzip": ["lock-gzip", "reply-gzip"],
    "redirect": ["lock-307", "post-307"],
    "a body over the limit": ["lock-huge", "reply-huge"],
    "slow drip": ["request-dripped", "reply-dripped"],
    "stall with keep-alives": ["stream-stalled"],
    "stall without": ["stream-silent", "post-silent", "reply-stalled"],
    "cut": ["reply-cut", "reply-reset", "events-cut", "event-torn", "stream-cut"],
    "dropped": ["event-dropped", "stream-dropped"],
    "duplicated": ["event-duplicated", "stream-duplicated"],
    "reordered": ["event-reordered", "stream-reordered"],
    "injected": ["event-injected", "stream-clear-event"],
    "merged": ["events-merged", "stream-coalesced"],
    "split": ["reply-split", "stream-resplit"],
    "line ends": ["events-cr", "events-crlf"],
    "BOM": ["events-bom"],
    "multi-line data": ["events-two-lines"],
    "UTF-8 split anywhere": ["reply-split", "stream-resplit"],
    "empty stream": ["stream-empty"],
    "usage chunk without choices": ["stream-no-choices"],
    "finish twice": ["stream-finish-twice"],
    "delta: null": ["stream-delta-null"],
    "two calls in one delta": ["tool-calls-joined"],
    "interleaved calls": ["tool-calls-interleaved"],
    "calls at one index": ["tool-calls-one-index"],
    "id and name in every delta": ["tool-calls-repeated"],
    "calls without an index": ["tool-calls-unnumbered"],
    "text and calls in one turn": ["tool-calls-and-text"],
    "an error in a stream": ["stream-engine-error"],
    "huge chunk": ["stream-huge"],
    "JSON depth bomb": ["lock-deep", "reply-deep", "answer-deep", "stream-deep"],
    "indices of vectors": ["embeddings-duplicate", "embeddings-no-index"],
    "wrong dimensions": ["embeddings-dimensions", "embeddings-short"],
    "NaN and infinity": ["embeddings-nan", "embeddings-infinite"],
    "wrong count": ["embeddings-missing", "embeddings-extra", "embeddings-none"],
}


def test_every_fault_has_an_outcome_for_every_call_that_it_can_hit():
    recorded = {(o.fault, o.on, o.call) for o in OUTCOMES}
    assert len(recorded) == len(OUTCOMES)
    assert recorded == {(f, on, call) for f, on, calls in cases() for call in calls}
    assert {row.name.partition(":")[0] for row in list_faults()} == NAMES


@pytest.mark.parametrize("what", WANTED)
def test_what_users_meet_has_a_row(what):
    assert set(WANTED[what]) <= NAMES


def test_every_end_is_an_answer_or_one_of_our_errors():
    for end in {outcome.end for outcome in OUTCOMES}:
        assert end.left in Exposure.__members__
        if end.end not in (RIGHT, WRONG):
            assert getattr(errors, end.end).advice


def test_only_what_the_page_says_goes_unnoticed_and_buffered_answers_are_right():
    def calls(end):
        return {
            (outcome.fault.partition(":")[0], outcome.call)
            for outcome in OUTCOMES
            if outcome.end.end == end
        }

    streams = ("live", "auto", "first")
    assert calls(WRONG) == {(name, call) for name in UNNOTICED for call in streams}
    assert calls(RIGHT) >= {(name, "buffered") for name in UNNOTICED}
    page = PAGE.read_text()
    assert all(f"`{name}" in page.partition(BEGIN)[0] for name in UNNOTICED)


def test_the_page_is_the_table():
    """If not: `python tests/reliability/page.py`."""
    page = PAGE.read_text()
    assert written(page) == table()
    assert END in page
    cells = [line.split(" | ") for line in table().splitlines()[2:]]
    assert all(len(row) == 8 and all(map(str.strip, row)) for row in cells)


@pytest.mark.parametrize("exposure", Exposure)
def test_the_page_says_what_had_left(exposure):
    before = PAGE.read_text().partition(BEGIN)[0]
    assert f"| {exposure.name.lower()} | {exposure.value} |" in before
