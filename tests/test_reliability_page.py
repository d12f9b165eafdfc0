"""The tables of bounds and lifecycles in docs/reliability.md say what the code does."""

import re
from pathlib import Path

import httpcore
import pytest

import atoma_confidential as ac
from atoma_confidential import (
    _ahead,
    _attempts,
    _findings,
    _http,
    _json,
    _loops,
    _nonces,
    _plan,
    _reply,
    _request,
    _session,
    _sse,
    _units,
    _wire,
    retry,
    tool_calls,
)
from atoma_confidential._http import Limits
from atoma_confidential.attestation import evidence

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "reliability.md").read_text()
USUAL = Limits()


def mebibytes(size):
    return f"{size // 2**20} MiB"


def seconds(limit):
    return f"{limit:g} s"


def usual_plan():
    return _plan.plan_embedding(["x"] * 1000, confidential=True, model="m")


DEFAULTS = {
    "a whole answer, as it travels": mebibytes(USUAL.reply_bytes),
    "any other reply: a lock, an error, a canary, evidence": mebibytes(
        _http.MAX_NOTE_BYTES
    ),
    "the head of a reply": (
        f"{httpcore.HTTP11Connection.MAX_INCOMPLETE_EVENT_SIZE // 2**10} KiB"
    ),
    "a line of a stream, and an event": mebibytes(_sse.MAX_EVENT_BYTES),
    "events of a stream": f"{_reply.MAX_EVENTS:,}",
    "objects and lists inside one another": f"{_json.MAX_DEPTH}",
    "braces, brackets and commas around a ciphertext": f"{_wire._MAX_MEMBERS:,}",
    "tool calls of an answer": f"{tool_calls.MAX_CALLS}",
    "an attestation record, unpacked": mebibytes(evidence._MAX_DOCUMENT),
    "devices in an attestation record": f"{evidence._MAX_ITEMS}",
    "a request, padded": f"{_request.MAX_BODY_BYTES:,} bytes",
    "compute units of a request": f"{_units.MAX_UNITS:,}",
    "units of a lock that is taken ahead": f"{_ahead.LARGEST:,}",
    "for how long a lock that was taken ahead is used": seconds(
        _attempts.LOCK_SECONDS - _ahead.SENDING_SECONDS
    ),
    "an answer that is opened on its loop's own thread": f"{_loops.LARGE // 2**10} KiB",
    "texts in a request for vectors": f"{len(usual_plan().batches[0])}",
    "bytes of text in a request for vectors": "200,000",
    "requests for vectors at a time": f"{usual_plan().concurrency}",
    "until a connection stands": seconds(USUAL.connect),
    "until a lock is whole": seconds(USUAL.lock),
    "until an answer is whole": seconds(USUAL.answer),
    "until a canary is whole, or what a policy fetches": seconds(USUAL.probe),
    "until a stream's head, and between two of its bytes": seconds(USUAL.silence),
    "between two events of a stream": seconds(USUAL.idle),
    "repetitions where the network is busy": f"{ac.RetryPolicy().max_retries}",
    "one wait before a repetition": seconds(retry.MAX_WAIT),
    "all waits of a request": seconds(retry.MAX_WAITS),
    "nonces of a stream that are all remembered": f"{3 * _nonces.KEPT:,}",
    "node keys whose nonces are remembered": f"{_session.MAX_KEYS:,}",
    "results of appraisals that are remembered": f"{_findings.MAX_FINDINGS:,}",
}


def rows(section):
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


BOUNDS = {row[0]: row[1:] for row in rows("Bounds")}
LIVES = {row[0]: row[1:] for row in rows("Lifecycles")}


def test_each_bound_is_there_once():
    assert BOUNDS.keys() == DEFAULTS.keys()
    assert len(rows("Bounds")) == len(DEFAULTS)


@pytest.mark.parametrize("bound", DEFAULTS)
def test_a_bound_is_what_the_page_says(bound):
    default, how, end, _ = BOUNDS[bound]
    assert default == DEFAULTS[bound]
    if (name := re.search(r"`(\w+)`", how)) is not None:
        kinds = (ac.ClientSettings, ac.EmbeddingParameters)
        assert any(name[1] in kind.__annotations__ for kind in kinds)
    else:
        assert how.startswith("fixed")
    if (name := re.search(r"`(\w+)`", end)) is not None:
        assert issubclass(getattr(ac, name[1]), ac.ConfidentialError)


def test_what_the_page_says_of_batch_bytes():
    lengths = [len(text) for text in (["x" * 100_000] * 4)]
    plan = _plan.plan_embedding(
        ["x" * length for length in lengths], confidential=True, model="m"
    )
    assert plan.batches == [range(2), range(2, 4)]


def test_the_evidence_has_the_time_of_a_canary():
    assert USUAL.evidence == USUAL.probe


def test_each_life_has_a_name():
    assert LIVES
    assert all(LIVES)


@pytest.mark.parametrize("life", LIVES)
def test_no_cell_is_empty(life):
    assert all(LIVES[life])


@pytest.mark.parametrize("row", [*BOUNDS, *LIVES])
def test_the_tests_of_a_row_exist(row):
    told = (BOUNDS.get(row) or LIVES[row])[-1]
    found = re.findall(r"`(test_\w+)(\.py)?`", told)
    assert [name for name, ending in found if not ending]
    source = ""
    for name, ending in found:
        if ending:
            (path,) = TESTS.rglob(f"{name}.py")
            source = path.read_text()
        else:
            assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), name
