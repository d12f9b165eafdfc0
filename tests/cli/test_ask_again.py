"""What a further run of `atoma ask` embeds, however the one before it ended."""

import contextlib
import re
import signal
import sqlite3
import time

import pytest
from documents import QUESTION

from atoma_cli import _langchain_store, _llama_index_store
from atoma_cli._index import BATCH


def test_a_second_run_embeds_nothing_but_the_question(ask, embedded, folder):
    ask(folder, QUESTION)
    assert len(embedded()) == 3

    done = ask(folder, QUESTION)

    assert embedded() == []
    assert "0 embedded, 3 unchanged, 0 removed" in done.stderr


def test_only_the_changed_file_is_embedded_again(ask, embedded, folder):
    ask(folder, QUESTION)
    embedded()
    (folder / "bees.md").write_text("Bees sleep at night, holding on to each other.")

    done = ask(folder, "Do bees sleep?", "-k", 1)

    assert embedded() == ["Bees sleep at night, holding on to each other."]
    assert "1 embedded, 2 unchanged, 1 removed" in done.stderr
    assert "bees.md, passage 1: Bees sleep" in done.stdout


def test_a_deleted_file_is_no_source_any_more(ask, folder):
    ask(folder, QUESTION)
    (folder / "plans" / "launch.txt").unlink()

    done = ask(folder, QUESTION, "-k", 9)

    assert "0 embedded, 2 unchanged, 1 removed" in done.stderr
    assert "launch.txt" not in done.stdout


def test_a_killed_run_goes_on_where_it_stopped(
    ask, embedded, folder, start, tmp_path, framework
):
    lines = [
        f"Fact {n}: the {n}th heron of the colony sleeps on stone {n * 7}, far from "
        f"the other birds, and leaves it at hour {n % 24} to fish."
        for n in range(3 * BATCH)
    ]
    for number, line in enumerate(lines):
        (folder / f"fact-{number:04}.txt").write_text(line)
    index_dir = tmp_path / "index"
    killed = start(
        "atoma_cli",
        "ask",
        "--framework",
        framework,
        "--index-dir",
        index_dir,
        folder,
        QUESTION,
    )
    wait_for_vectors(index_dir, killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    first = embedded()

    done = ask("--index-dir", index_dir, folder, QUESTION)
    second = embedded()

    assert done.exit_code == 0, done.stderr
    stored = int(re.search(r"(\d+) unchanged", done.stderr)[1])
    assert stored in {BATCH, 2 * BATCH}
    assert not {*first[:stored]} & {*second}
    assert len(second) == len(lines) + 3 - stored


def wait_for_vectors(index_dir, process):
    """Wait until the first batch is recorded, reading as another process may."""
    for _ in range(3000):
        assert process.poll() is None, process.communicate()
        if (index_dir / "docstore.json").exists() or has_records(index_dir):
            return
        time.sleep(0.01)
    pytest.fail("nothing was recorded")


def has_records(index_dir):
    path = index_dir / "records.sqlite"
    if not path.exists():
        return False
    with contextlib.closing(sqlite3.connect(path)) as connection:
        try:
            count = connection.execute("SELECT count(*) FROM upsertion_record")
            return count.fetchone()[0] > 0
        except sqlite3.OperationalError:
            return False  # the table is not there yet, or is being written


def test_ctrl_c_is_one_line_and_the_next_run_goes_on(
    ask, network, folder, start, framework
):
    for number in range(BATCH + 97):
        (folder / f"fact-{number:04}.txt").write_text(f"Fact {number} of the colony.")
    # The question and the four requests of the first batch are answered, no more.
    network.faults.once("post-silent", "post-silent", skip=5)
    process = start("atoma_cli", "ask", "--framework", framework, folder, QUESTION)
    while network.faults.pending:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    done = ask(folder, QUESTION)

    assert process.returncode == 130
    assert out == ""
    assert err == (
        "Interrupted. What was indexed so far is kept; "
        "the next run goes on from there.\n"
    )
    assert f"100 embedded, {BATCH} unchanged, 0 removed" in done.stderr


def test_a_failing_batch_keeps_the_batches_before_it(
    ask, network, folder, embedded, monkeypatch
):
    for store in (_langchain_store, _llama_index_store):
        monkeypatch.setattr(store, "BATCH", 2)
    network.faults.once("lock-402", skip=2)  # after the question and two passages

    failed = ask(folder, QUESTION)
    first = embedded()
    done = ask(folder, QUESTION)

    assert failed.exit_code == 1
    assert "What was indexed so far is kept" in failed.stderr
    assert len(first) == 2
    assert "1 embedded, 2 unchanged, 0 removed" in done.stderr
