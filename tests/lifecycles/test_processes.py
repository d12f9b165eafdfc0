"""Processes that are forked or spawned, and interpreters that end with it all open."""

import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from lived import LANGCHAIN, LLAMA_INDEX, ask_again, is_answer
from waiting import Call

PLUGINS = LANGCHAIN + LLAMA_INDEX
SUPPORT = Path(__file__).parents[1] / "support"
LIVE = {"stream_mode": "live"}


def in_child(work):
    """Fork, and return what the child's exit status says: 0 is success."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def test_forked_after_use(way, scripted):
    model = way.make(scripted)
    assert is_answer(way.sync(model))
    assert in_child(lambda: is_answer(way.sync(model))) == 0
    assert is_answer(way.sync(model))
    way.clients(model).close()


def test_forked_in_the_middle_of_a_stream(stream, waiting_atoma, waiting):
    """The child's end of the stream, and of the client, is nothing to the parent."""
    model = stream.make(waiting_atoma, **LIVE)
    items = stream.begin(model)
    first = next(items)
    waiting.go_on.set()

    def work():
        items.close()
        answer = stream.sync(model)
        stream.clients(model).close()
        return is_answer(answer)

    assert in_child(work) == 0
    assert first
    assert len(list(items)) >= 5
    assert is_answer(stream.sync(model))
    stream.clients(model).close()


def test_forked_while_another_thread_asks(way, waiting_atoma, waiting):
    """Not even its turn is missed: the first lock of a model is made by one thread."""
    model = way.make(waiting_atoma, **(LIVE if way.begin else {}))
    call = Call(lambda: way.sync(model))
    assert waiting.begun.wait(30)
    waiting.go_on.set()
    assert in_child(lambda: is_answer(way.sync(model))) == 0
    call.join(30)
    assert call.error is None
    assert is_answer(call.result)
    way.clients(model).close()


@pytest.mark.parametrize("way", PLUGINS, ids=lambda way: way.name)
def test_spawned_with_a_pickled_model(way, scripted, monkeypatch):
    monkeypatch.setenv("ATOMA_API_KEY", scripted.api_key)
    monkeypatch.setenv("ATOMA_BASE_URL", scripted.base_url)
    model = way.make(scripted)
    assert is_answer(way.sync(model))
    assert scripted.api_key.encode() not in pickle.dumps(model)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert pool.apply_async(ask_again, (way.name, model)).get(120)
    way.clients(model).close()


# Only these: imports of frameworks have warnings of their own.
STRICT = ["-W", "ignore", "-W", "error::ResourceWarning", "-W", "error::RuntimeWarning"]
ENDINGS = {
    "returns": "pass",
    "exits": "raise SystemExit(0)",
    "in a loop": "asyncio.run(halfway())",
}
PROGRAM = """
import asyncio
import logging
import sys
import lived

logging.getLogger("asyncio").setLevel(logging.ERROR)  # not that a machine is slow
models = {{way: way.make(lived.Address({key!r}, {url!r})) for way in lived.WAYS}}
kept = []
for way, model in models.items():
    assert lived.is_answer(way.sync(model))
    assert lived.is_answer(asyncio.run(way.asynchronous(model)))
    if way.begin:
        kept.append(way.begin(model))
        next(kept[-1])


async def halfway():
    for way, model in models.items():
        if way.name == "llama-index-stream":
            continue  # asyncio has a word on its generators that close one another
        if way.abegin:
            kept.append(way.abegin(model))
            await anext(kept[-1])
        else:
            kept.append(asyncio.ensure_future(way.asynchronous(model)))
            await asyncio.sleep(0)


{ending}
"""


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_with_all_of_it_open(scripted, ending):
    program = PROGRAM.format(
        key=scripted.api_key, url=scripted.base_url, ending=ENDINGS[ending]
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-X", "dev", *STRICT, "-c", program],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SUPPORT)},
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
