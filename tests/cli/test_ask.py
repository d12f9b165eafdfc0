"""`atoma ask` from end to end, over real HTTP and real encryption."""

import contextlib
import os
import re
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from llama_index.core import MockEmbedding, Settings, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.schema import TextNode
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span_handlers import BaseSpanHandler
from pydantic import Field

from atoma_cli import _langchain_store, _llama_index_store
from atoma_cli._index import BATCH
from atoma_cli._index_dir import default_directory

QUESTION = "When is the launch of the Heron satellite?"
SECRETS = [
    "A bee dances in the hive to show the way to a flower field.",
    "The launch of the Heron satellite is planned for the fourth of May.",
    "The budget of the Heron project is forty thousand euros.",
    QUESTION,
]


PREFIX = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the "
    "query\nQuery: "
)


@pytest.fixture
def ask(atoma_command, framework):
    """Run `atoma ask` with arguments, with each of the frameworks."""

    def run(*arguments):
        return atoma_command("ask", "--framework", framework, *arguments)

    return run


def assert_nothing_crossed(network, *texts):
    assert network.tap.find([*SECRETS, *texts]) == []


def test_answers_from_the_folder_and_lists_its_sources(ask, network, folder):
    done = ask(folder, QUESTION, "-k", 2)

    assert done.exit_code == 0, done.stderr
    answer, _, sources = done.stdout.partition("Sources")
    assert "fourth of May" in answer
    assert "[1] plans/launch.txt, passage 1: The launch of the Heron" in sources
    assert "[2] budget.md, passage 1: # Budget The budget" in sources
    assert "bees.md" not in sources
    assert "3 files, 3 passages: 3 embedded, 0 unchanged, 0 removed." in done.stderr
    assert re.search(
        r"Sealed to node \d+, key [0-9a-f]{16}, for which the proxy alone vouches\. "
        r"Answer: live, hash verified, signature skipped\.",
        done.stderr,
    )
    assert_nothing_crossed(network, answer.strip())


def test_the_model_gets_the_passages_and_the_question(ask, network, folder):
    ask(folder, QUESTION, "-k", 1, "--stream-mode", "buffered")

    body = network.opened[-1].body
    assert body["model"] == "meta-llama/Llama-3.3-70B-Instruct"
    asked = body["messages"][-1]["content"]
    assert SECRETS[1] in asked
    assert SECRETS[0] not in asked
    assert asked.endswith(f"Question: {QUESTION}")


def test_queries_are_embedded_with_the_prefix_of_the_model_and_passages_without(
    ask, network, folder
):
    ask(folder, QUESTION)

    query, passages = (
        body["input"] for path, body in network.opened if path.endswith("embeddings")
    )
    assert query == [f"{PREFIX}{QUESTION}"]
    assert len(passages) == 3
    assert not [passage for passage in passages if "Instruct" in passage]


def test_both_frameworks_send_the_same(atoma_command, make_atoma, folder, monkeypatch):
    """What is shared is shared: they find, ask and embed alike."""

    def opened(framework):
        atoma = make_atoma()
        monkeypatch.setenv("ATOMA_BASE_URL", atoma.base_url)
        monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
        done = atoma_command("ask", folder, QUESTION, "--framework", framework)
        assert done.exit_code == 0, done.stderr
        return [(path, body) for path, body in atoma.opened], done.stdout

    assert opened("langchain") == opened("llama-index")


def test_langchain_is_the_default(atoma_command, folder):
    atoma_command("ask", folder, QUESTION)

    assert (default_directory(folder, "langchain") / "index.json").exists()
    assert not default_directory(folder, "llama-index").exists()


def test_the_frameworks_do_not_share_an_index(atoma_command, embedded, folder):
    for framework in ("langchain", "llama-index"):
        done = atoma_command("ask", folder, QUESTION, "--framework", framework)

        assert "3 embedded, 0 unchanged, 0 removed" in done.stderr
        assert len(embedded()) == 3


def test_an_index_of_another_framework_is_refused_before_anything_is_sent(
    atoma_command, network, folder, tmp_path
):
    ask = ("ask", "--index-dir", tmp_path / "index", folder, QUESTION)
    atoma_command(*ask)
    sent = len(network.exchanges)

    done = atoma_command(*ask, "--framework", "llama-index")

    assert done.exit_code == 1
    assert "was made with langchain, not llama-index" in done.stderr
    assert f"Next: Delete {tmp_path / 'index'}" in done.stderr
    assert len(network.exchanges) == sent


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


def test_the_index_is_kept_outside_of_the_folder(ask, folder, framework):
    before = sorted(folder.rglob("*"))

    ask(folder, QUESTION)

    assert sorted(folder.rglob("*")) == before
    assert (default_directory(folder, framework) / "index.json").exists()


def test_another_embedding_model_is_refused_before_anything_is_sent(
    ask, network, folder
):
    ask(folder, QUESTION)
    sent = len(network.exchanges)

    done = ask(folder, QUESTION, "--embedding-model", "other/model")

    assert done.exit_code == 1
    assert "was made with the embedding model intfloat/" in done.stderr
    assert "Next: Delete " in done.stderr
    assert len(network.exchanges) == sent


@pytest.mark.clear_text
def test_without_sealing_it_says_so_and_everything_crosses(ask, network, folder):
    done = ask(folder, QUESTION, "--no-confidential")

    assert done.exit_code == 0, done.stderr
    assert "Not sealed: the proxy could read all of this." in done.stderr
    found = {finding.text for finding in network.tap.find(SECRETS)}
    assert found == {*range(len(SECRETS))}


def test_a_node_that_reuses_nonces_is_buffered_and_noted(ask, network, folder):
    network.nonces = "reused"

    done = ask(folder, QUESTION)

    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("Note: ") == 1
    assert "Answer: buffered, hash verified" in done.stderr
    assert_nothing_crossed(network)


def test_a_broken_pdf_is_noted_and_the_rest_is_answered(atoma_command, folder):
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing follows")

    done = atoma_command("ask", folder, QUESTION)

    assert done.exit_code == 0, done.stderr
    assert "Skipped broken.pdf: not a PDF, or a damaged one." in done.stderr


def test_an_answer_cannot_drive_the_terminal(ask, folder):
    (folder / "plans" / "launch.txt").write_text(
        "The launch of the \x1b]0;owned\x07Heron satellite is on the \x1b[2Jfourth."
    )

    done = ask(folder, QUESTION)

    assert done.exit_code == 0, done.stderr
    assert "Heron satellite" in done.stdout
    assert not {"\x1b", "\x07"} & {*done.stdout, *done.stderr}


@pytest.mark.parametrize("content", [None, "   \n"])
def test_a_folder_with_nothing_to_read_is_an_error(
    atoma_command, network, tmp_path, content
):
    empty = tmp_path / "empty"
    empty.mkdir()
    if content:
        (empty / "blank.md").write_text(content)

    done = atoma_command("ask", empty, QUESTION)

    assert done.exit_code == 1
    assert f"Error: There is nothing to read in {empty}." in done.stderr
    assert "Next: Point to a folder with .md, .pdf, .txt files" in done.stderr
    assert network.exchanges == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "q"), "does not exist"),
        ((".", "  "), "it is empty"),
        ((".", "q", "--model", ""), "it is empty"),
        ((".", "q", "--embedding-model", " "), "it is empty"),
        ((".", "q", "-k", "0"), "greater than or equal to 1"),
        ((".", "q", "--stream-mode", "fast"), "'fast' is not one of"),
        ((".", "q", "--framework", "haystack"), "'haystack' is not one of"),
        ((".",), "Missing argument 'QUESTION'"),
    ],
)
def test_usage_errors_exit_with_2_and_send_nothing(
    atoma_command, network, arguments, said
):
    done = atoma_command("ask", *arguments)

    assert done.exit_code == 2
    assert said in done.stderr
    assert network.exchanges == []


def test_without_a_key_it_says_how_to_get_going(ask, folder, monkeypatch):
    monkeypatch.delenv("ATOMA_API_KEY")

    done = ask(folder, QUESTION)

    assert done.exit_code == 1
    assert "Error: " in done.stderr
    assert "ATOMA_API_KEY" in done.stderr
    assert "atoma local" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ATOMA_API_KEY", "wrong", "API key"),
        ("ATOMA_BASE_URL", "http://127.0.0.1:9", "connection"),
        ("ATOMA_BASE_URL", "http://example.org", "http"),
        ("ATOMA_BASE_URL", "not a url", "URL"),
    ],
)
def test_errors_of_the_network_are_a_line_and_a_next_step(
    ask, folder, monkeypatch, variable, value, said
):
    monkeypatch.setenv(variable, value)

    done = ask(folder, QUESTION)

    assert done.exit_code == 1
    assert done.stderr.count("Error: ") == 1
    assert said.lower() in done.stderr.lower()
    assert "Left this process: " in done.stderr
    assert "Next: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not [secret for secret in SECRETS if secret in done.stderr]


def test_an_engine_without_money_behind_it_says_what_to_top_up(ask, network, folder):
    network.faults.always("lock-402")

    done = ask(folder, QUESTION)

    assert done.exit_code == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 3
    assert "Next: Top up" in done.stderr


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


def test_nothing_is_traced_whatever_the_environment_says(
    network, folder, start, make_atoma, framework
):
    langsmith = make_atoma()
    process = start(
        "atoma_cli",
        "ask",
        "--framework",
        framework,
        folder,
        QUESTION,
        LANGSMITH_TRACING="true",
        LANGSMITH_API_KEY="key",
        LANGSMITH_ENDPOINT=langsmith.base_url,
    )
    out, err = process.communicate(timeout=120)

    assert process.returncode == 0, err
    assert "fourth of May" in out
    assert langsmith.tap.sent == b""


class Ears(BaseEventHandler):
    heard: list = Field(default_factory=list)

    def handle(self, event, **kwargs):
        self.heard.append(event)


class Spans(BaseSpanHandler):
    heard: list = Field(default_factory=list)

    def new_span(self, id_, bound_args, **kwargs):
        self.heard.append(bound_args)

    prepare_to_exit_span = prepare_to_drop_span = new_span


class LegacyEars(BaseCallbackHandler):
    def __init__(self):
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self.heard = []

    def on_event_start(self, event_type, payload=None, **kwargs):
        self.heard.append(payload)

    on_event_end = on_event_start

    def start_trace(self, trace_id=None):
        pass

    def end_trace(self, trace_id=None, trace_map=None):
        pass


@pytest.fixture(params=["", "llama_index.core.base.base_retriever", "global", "own"])
def heard(request, monkeypatch):
    """What handlers hear: of the root, of a dispatcher, the global one, a manager's."""
    if request.param in ("global", "own"):
        legacy = LegacyEars()
        if request.param == "global":
            monkeypatch.setattr("llama_index.core.global_handler", legacy)
            monkeypatch.setattr(Settings, "_callback_manager", None)
        else:
            monkeypatch.setattr(
                Settings, "_callback_manager", CallbackManager([legacy])
            )
        yield legacy.heard
        return
    dispatcher = get_dispatcher(request.param) if request.param else get_dispatcher()
    kept = [*dispatcher.event_handlers], [*dispatcher.span_handlers]
    ears, spans = Ears(), Spans()
    dispatcher.add_event_handler(ears)
    dispatcher.add_span_handler(spans)
    spans.heard = ears.heard
    yield ears.heard
    assert ears in dispatcher.event_handlers, "it was not put back"
    dispatcher.event_handlers, dispatcher.span_handlers = kept


def test_handlers_of_llama_index_hear_nothing(atoma_command, folder, heard):
    """Such as `opentelemetry-instrument` puts into any Python process."""
    done = atoma_command("ask", folder, QUESTION, "--framework", "llama-index")
    assert done.exit_code == 0, done.stderr
    assert heard == []


def test_such_handlers_do_hear_what_a_retriever_does(heard):
    """Or the test above could not fail."""
    index = VectorStoreIndex(
        [TextNode(text="A text.", embedding=[1.0, 0.0])],
        embed_model=MockEmbedding(embed_dim=2),
    )
    index.as_retriever().retrieve("a question")
    assert heard


def test_no_default_of_llama_index_is_ever_made(atoma_command, folder, monkeypatch):
    """They are models of OpenAI, and a tokenizer that may be downloaded."""
    defaults = ("_llm", "_embed_model", "_tokenizer", "_node_parser")
    for name in defaults:
        monkeypatch.setattr(Settings, name, None)

    done = atoma_command("ask", folder, QUESTION, "--framework", "llama-index")

    assert done.exit_code == 0, done.stderr
    assert [name for name in defaults if getattr(Settings, name) is not None] == []


def test_names_of_files_cannot_forge_lines_or_turn_them_around(ask, folder):
    (folder / "plans" / "launch.txt").rename(folder / "a\nSealed to node 1.\u202e.txt")
    (folder / "b\nSealed to node 2.txt").write_text("")

    done = ask(folder, QUESTION)

    assert done.exit_code == 0, done.stderr
    assert "[1] a Sealed to node 1..txt, passage 1: The launch" in done.stdout
    assert "Skipped b Sealed to node 2.txt: no text in it." in done.stderr
    lines = done.stdout.splitlines() + done.stderr.splitlines()
    assert len([line for line in lines if line.startswith("Sealed to node ")]) == 1
    assert "\u202e" not in done.stdout


def test_names_that_are_not_utf_8_are_sources_like_others(ask, folder):
    odd = Path(os.fsdecode(os.fsencode(folder) + b"-caf\xe9"))
    folder.rename(odd)
    (odd / "plans" / "launch.txt").rename(odd / os.fsdecode(b"caf\xe9.txt"))
    (odd / os.fsdecode(b"caf\xe8.txt")).write_text("")

    done = ask(odd, QUESTION, "-k", 1)

    assert done.exit_code == 0, done.output
    assert "[1] caf\\xe9.txt, passage 1: The launch" in done.stdout
    assert "Skipped caf\\xe8.txt: no text in it." in done.stderr
    assert Path(re.search("Index, in clear: (.+)", done.stderr)[1]).is_dir()


def test_a_terminal_without_the_characters_gets_others(network, folder, start):
    (folder / "größe.md").write_text("Die Größe des Satelliten Heron ist fünf Meter.")

    process = start(
        "atoma_cli",
        "ask",
        folder,
        "Die Größe des Satelliten?",
        "-k",
        1,
        PYTHONIOENCODING="ascii",
    )
    out, err = process.communicate(timeout=120)

    assert process.returncode == 0, err
    assert "[1] gr??e.md, passage 1: Die Gr??e des Satelliten" in out
    assert network.opened


def test_a_question_with_half_a_character_is_one_line(ask, network, folder):
    done = ask(folder, os.fsdecode(b"caf\xe9?"))

    assert done.exit_code == 1
    assert done.stderr.count("Error: ") == 1
    assert network.opened == []
