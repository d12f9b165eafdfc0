"""Streams that are left, forgotten or never begun; threads; loops that come and go."""

import asyncio
import gc
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from endless import Endless, hung_up
from lived import is_answer

LIVE = {"stream_mode": "live"}


@pytest.fixture
def endless():
    return Endless()


@pytest.fixture
def endless_atoma(make_atoma, endless):
    return make_atoma(backend=endless)


@pytest.fixture
def no_collector():
    """What hangs up is the code, and not a cycle that was found."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def _strict():
    """Whatever is found open or never awaited is an error, here and now."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
        gc.collect()


def test_threads(way, scripted):
    model = way.make(scripted)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(way.sync, model) for _ in range(8)]
        assert all(is_answer(call.result()) for call in calls)
    way.clients(model).close()


def test_loops_one_after_another(way, scripted):
    model = way.make(scripted)
    for _ in range(3):
        assert is_answer(asyncio.run(way.asynchronous(model)))
        gc.collect()


def test_loops_at_the_same_time(way, scripted):
    model = way.make(scripted)
    with ThreadPoolExecutor(3) as pool:
        calls = [
            pool.submit(lambda: asyncio.run(way.asynchronous(model))) for _ in range(6)
        ]
        assert all(is_answer(call.result()) for call in calls)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("how", ["break", "close"])
def test_an_early_break(stream, endless_atoma, endless, how):
    model = stream.make(endless_atoma, **LIVE)
    items = stream.begin(model)
    for _ in items:
        break
    if how == "close":
        items.close()
    else:
        del items, _
    assert hung_up(endless)
    stream.clients(model).close()


async def test_an_early_break_in_a_loop(stream, endless_atoma, endless):
    model = stream.make(endless_atoma, **LIVE)
    items = stream.abegin(model)
    async for _ in items:
        break
    await items.aclose()
    assert await asyncio.to_thread(hung_up, endless)
    await stream.clients(model).aclose()


async def test_a_forgotten_stream_is_closed_by_its_loop(stream, endless_atoma, endless):
    model = stream.make(endless_atoma, **LIVE)
    items = stream.abegin(model)
    await anext(items)
    del items
    gc.collect()
    assert await asyncio.to_thread(hung_up, endless)
    await stream.clients(model).aclose()


def test_a_stream_forgotten_while_its_loop_stands_still(stream, endless_atoma, endless):
    model = stream.make(endless_atoma, **LIVE)
    loop = asyncio.new_event_loop()
    kept = []

    async def begin():
        kept.append(stream.abegin(model))
        await anext(kept[0])

    loop.run_until_complete(begin())
    kept.clear()
    gc.collect()
    loop.run_until_complete(asyncio.sleep(0))
    assert loop.run_until_complete(asyncio.to_thread(hung_up, endless))
    loop.run_until_complete(stream.clients(model).aclose())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_a_stream_that_outlives_its_loop(stream, endless_atoma, endless):
    model = stream.make(endless_atoma, **LIVE)
    kept = []

    async def begin():
        kept.append(stream.abegin(model))
        await anext(kept[0])

    asyncio.run(begin())
    assert hung_up(endless)
    kept.clear()
    gc.collect()


def test_a_stream_that_was_never_begun(stream, scripted):
    model = stream.make(scripted)
    stream.begin(model)
    stream.abegin(model)
    gc.collect()
    assert scripted.exchanges == []
