"""The command in this process, or in one of its own, before a local Atoma."""

import os
import subprocess
import sys
from functools import partial

import pytest
from counted import for_langchain, for_llama_index
from typer.testing import CliRunner

from atoma_cli import _langchain_store, _llama_index_store
from atoma_cli._app import cli
from atoma_cli._index import open_index
from atoma_cli._index_dir import Maker

STORES = {"langchain": _langchain_store, "llama-index": _llama_index_store}


@pytest.fixture
def network(atoma, monkeypatch, tmp_path):
    """A local Atoma that the environment names, and a home of its own."""
    monkeypatch.setenv("ATOMA_BASE_URL", atoma.base_url)
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))
    monkeypatch.setenv("COLUMNS", "120")
    return atoma


@pytest.fixture
def atoma_command(network):
    """Run `atoma` with arguments; gives stdout, stderr and exit_code."""

    def run(*arguments, **options):
        return CliRunner().invoke(cli, [*map(str, arguments)], **options)

    return run


@pytest.fixture(params=["langchain", "llama-index"])
def framework(request):
    """Each of the frameworks that `atoma ask` can use."""
    return request.param


@pytest.fixture
def ask(atoma_command, framework):
    """Run `atoma ask` with arguments, with each of the frameworks."""

    def run(*arguments):
        return atoma_command("ask", "--framework", framework, *arguments)

    return run


@pytest.fixture
def start():
    """Start `python -m …` as a process; ends what is still running."""
    started = []

    def run(*arguments, **environment):
        process = subprocess.Popen(  # noqa: S603  our own module
            [sys.executable, "-m", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def folder(tmp_path, canary):
    """Three documents with facts that are in no other; one has the canary."""
    root = tmp_path / "documents"
    (root / "plans").mkdir(parents=True)
    (root / "bees.md").write_text(
        "# Bees\n\nA bee dances in the hive to show the way to a flower field.\n"
        f"\nIts name is {canary}.\n"
    )
    (root / "plans" / "launch.txt").write_text(
        "The launch of the Heron satellite is planned for the fourth of May.\n"
    )
    (root / "budget.md").write_text(
        "# Budget\n\nThe budget of the Heron project is forty thousand euros.\n"
    )
    return root


@pytest.fixture
def embedded(network):
    """Give the passages that were embedded since the last call, without queries."""
    seen = 0

    def since():
        nonlocal seen
        new = network.opened[seen:]
        seen = len(network.opened)
        inputs = [body["input"] for path, body in new if path.endswith("/embeddings")]
        texts = [
            text
            for given in inputs
            for text in ([given] if isinstance(given, str) else given)
        ]
        return [text for text in texts if not text.startswith("Instruct: ")]

    return since


@pytest.fixture
def langsmith(monkeypatch):
    """Switch LangSmith's tracing on; it remembers the environment, and is to forget."""
    from langsmith.utils import get_env_var

    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    get_env_var.cache_clear()
    yield
    monkeypatch.delenv("LANGSMITH_TRACING")
    get_env_var.cache_clear()


@pytest.fixture
def batches_of(framework, monkeypatch):
    """Make the index store this many passages at a time."""
    return partial(monkeypatch.setattr, STORES[framework], "BATCH")


@pytest.fixture
def opened(framework):
    """Open an index that counts what it embeds."""

    def open_it(directory, counted, model="m"):
        made = for_langchain if framework == "langchain" else for_llama_index
        store = partial(STORES[framework].open_store, embeddings=made(counted))
        return open_index(directory, store, Maker(framework, model), counted.size)

    return open_it


@pytest.fixture
def refresh(opened):
    """Make an index hold some passages; gives what changed, and all it then finds."""

    def run(directory, counted, given, model="m"):
        with opened(directory, counted, model) as index:
            changed = index.refresh(given, lambda _stored: None)
            found = index.nearest([0.5] * counted.size, 100)
        return changed, {passage.text for passage in found}

    return run
