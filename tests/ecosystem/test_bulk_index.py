"""Bulk indexing on Ray: what is killed resumes, exactly, and a rate holds.

The short form of `make bulk-index`.
"""

import importlib
import json
import random
import time
from argparse import Namespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bulk_job import PROGRAM, Job

from langchain_atoma import AtomaEmbeddings

MODEL = "intfloat/multilingual-e5-large-instruct"
TEXTS = 2000
AT_ONCE = 50
SMALL = ("--batch-size", "25", "--requests", "2", "--commit", str(AT_ONCE))


@pytest.fixture
def texts(canary):
    return [f"Passage {n} of the {canary} is on shelf {n * 7}." for n in range(TEXTS)]


@pytest.fixture
def load(monkeypatch):
    """Import a module of the example; what it sets in the environment is undone."""
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "")
    return importlib.import_module


def sent(atoma):
    return [text for one in atoma.opened for text in one.body["input"]]


def left_in(folder):
    """All that Ray wrote: its logs, and what it did not keep in memory."""
    return b"".join(one.read_bytes() for one in folder.rglob("*") if one.is_file())


def test_what_is_killed_resumes_and_a_rate_is_that_of_all_workers(
    atoma, texts, tmp_path, canary
):
    job = Job(texts, tmp_path, atoma, *SMALL)

    # A passage in a hundred seconds: what one worker sends first is all for long.
    with job.running("--rate", "0.01") as run:
        assert run.until(lambda: job.stored()[0]), run.said
        assert run.until(lambda: len(run.workers()) == 2), run.said
        time.sleep(1)  # in which two that knew no rate would send all there is
        run.kill()
        left = left_in(run.sessions)
    recorded = {*job.stored()[1]}
    first = sent(atoma)
    atoma.opened.clear()
    with job.running() as run:
        assert run.until(lambda: len(atoma.opened) >= 4), run.said
        assert run.kill_worker(random.Random(7))  # noqa: S311
        assert run.wait() == 0, run.said
        assert f"{TEXTS:,} of {TEXTS:,}" in run.said

    assert recorded == {*first}
    assert len(first) == AT_ONCE
    assert not recorded & {*sent(atoma)}
    assert not any(job.faults(texts).values()), job.faults(texts)
    assert atoma.api_key.encode() not in left
    assert canary.encode() not in left


def test_who_waited_long_has_saved_nothing(load):
    now = 100.0
    pace = load("bulk_index").Pace(50, clock=lambda: now)

    assert [pace.reserve(100) for _ in range(3)] == [0, 2, 4]
    now += 60
    assert [pace.reserve(100) for _ in range(2)] == [0, 2]


def asked(**changed):
    names = {"lines": False, "column": "text", "model": MODEL, "dimensions": None}
    return Namespace(**names | changed)


def test_bad_input_is_a_sentence(load, tmp_path):
    bulk_index, table = load("bulk_index"), load("table")
    source = str(tmp_path / "passages.parquet")
    pq.write_table(pa.table({"body": ["One."], "title": ["One"]}), source)
    vectors = pa.array([[0.5, 0.5]], pa.list_(pa.float32(), 2))
    rows = pa.table({"id": ["00"], "text": ["One."], "vector": vectors})
    table.Table(tmp_path, MODEL).add(rows)
    made = table.Table(tmp_path, MODEL)

    with pytest.raises(SystemExit, match=r"^There is no \S+absent\.$"):
        bulk_index.count(asked(source=str(tmp_path / "absent")))
    with pytest.raises(SystemExit, match=r"^--column is one of body, title\.$"):
        bulk_index.count(asked(source=source))
    with pytest.raises(SystemExit, match=f"is of {MODEL}: name another folder.$"):
        bulk_index.check(made, asked(index="it", model="other/model"))
    with pytest.raises(
        SystemExit, match="has vectors of 2 numbers: pass --dimensions 2,"
    ):
        bulk_index.check(made, asked(index="it", dimensions=3))
    longer = pa.array([[0.5, 0.5, 0.5]], pa.list_(pa.float32(), 3))
    with pytest.raises(SystemExit, match=r"and these have 3: pass --dimensions 2,"):
        made.add(rows.set_column(2, "vector", longer))
    with pytest.raises(ValueError):
        bulk_index.not_negative("-1")
    with (
        bulk_index.only_writer(tmp_path),
        pytest.raises(SystemExit, match=r"^Another run writes to"),
        bulk_index.only_writer(tmp_path),
    ):
        pass
    assert bulk_index.count(asked(source=source, column="body")) == 1
    bulk_index.check(made, asked(dimensions=2))


def test_a_passage_that_comes_again_is_stored_once(load, tmp_path):
    table = load("table").Table(tmp_path, MODEL)
    vectors = pa.array([[1.0], [2.0], [3.0]], pa.list_(pa.float32(), 1))
    rows = pa.table({"id": ["a", "b", "a"], "text": ["A", "B", "A"], "vector": vectors})

    assert [table.add(rows), table.add(rows)] == [2, 0]
    assert sorted(id_ for ids in table.ids() for id_ in ids) == ["a", "b"]


def test_what_is_recorded_or_blank_is_not_sent(load, monkeypatch):
    bulk_index = load("bulk_index")
    monkeypatch.setattr(bulk_index.ray, "get", lambda recorded: recorded)
    known = bulk_index.packed([bulk_index.passage_id("B")])
    rows = pa.table({"said": ["A", "B", None, " \n", "", "C", "A"]})

    left = bulk_index.unrecorded(rows, column="said", recorded=known)

    assert left["text"].to_pylist() == ["A", "C", "A"]
    assert left["id"].to_pylist() == [*map(bulk_index.passage_id, "ACA")]


def test_a_table_that_was_killed_before_its_first_version_is_made_again(load, tmp_path):
    (tmp_path / "passages.lance" / "_versions").mkdir(parents=True)
    vectors = pa.array([[1.0]], pa.list_(pa.float32(), 1))
    rows = pa.table({"id": ["a"], "text": ["A"], "vector": vectors})

    assert load("table").Table(tmp_path, MODEL).add(rows) == 1
    assert load("table").Table(tmp_path, MODEL).model == MODEL


@pytest.mark.parametrize(
    ("count", "size", "dimensions"), [(100, 443, 1024), (7, 90, 8)]
)
def test_the_estimate_is_what_crosses_the_wire(load, atoma, count, size, dimensions):
    estimate = load("estimate")
    texts = [f"Passage {number:4}: {'x' * (size - 14)}" for number in range(count)]
    embeddings = AtomaEmbeddings(
        model=MODEL,
        dimensions=dimensions,
        api_key=atoma.api_key,
        base_url=atoma.base_url,
    )
    embeddings.embed_documents(texts)
    locked = json.loads(atoma.exchanges[0].body)["max_num_tokens"]
    sealed = estimate.rehearse(texts, model=MODEL, dimensions=dimensions)

    assert sealed.units == locked
    assert sealed.sent == pytest.approx(len(atoma.tap.sent), rel=0.01)
    assert sealed.received == pytest.approx(len(atoma.tap.received), rel=0.01)

    found = estimate.estimate(sealed, 10**9, rate=5000, dimensions=dimensions)
    assert found.requests == -(-(10**9) // count)
    assert found.units == found.requests * locked
    assert found.cost(price=2) == found.units / 500_000
    assert found.hours == pytest.approx(55.6, abs=0.1)
    assert estimate.rate_of(workers=4, requests=4, batch_size=100, seconds=0.5) == 3200
