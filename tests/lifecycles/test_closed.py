"""A client that is closed while its calls are in flight, by another thread or task."""

import asyncio

from lived import WAYS, is_answer
from waiting import Call

import atoma_confidential as ac

EMBEDS = [way for way in WAYS if way.name.endswith("embed")]
LIVE = {"stream_mode": "live"}
ENDS = (ac.ClientClosedError, ac.StreamTruncatedError)  # of a stream that has begun


def made(way, atoma):
    return way.make(atoma, **(LIVE if way.begin else {}))


def test_closed_by_another_thread(way, waiting_atoma, waiting):
    model = made(way, waiting_atoma)
    call = Call(lambda: way.sync(model))
    assert waiting.begun.wait(30)
    way.clients(model).close()
    call.join(30)
    assert not call.is_alive(), "it hangs"
    assert isinstance(call.error, ENDS), call.error
    # The other batch of vectors may still be at its lock, and its error come first.
    sent = {ac.Exposure.SEALED} | ({ac.Exposure.LOCK} if way in EMBEDS else set())
    assert call.error.exposure in sent
    waiting.go_on.set()
    assert is_answer(way.sync(model)), "and a further call makes new connections"
    way.clients(model).close()


async def test_closed_by_another_task(way, waiting_atoma, waiting):
    model = made(way, waiting_atoma)
    call = asyncio.ensure_future(way.asynchronous(model))
    assert await asyncio.to_thread(waiting.begun.wait, 30)
    await way.clients(model).aclose()
    async with asyncio.timeout(30):
        (error,) = await asyncio.gather(call, return_exceptions=True)
    assert isinstance(error, ENDS), error
    sent = {ac.Exposure.SEALED} | ({ac.Exposure.LOCK} if way in EMBEDS else set())
    assert error.exposure in sent
    waiting.go_on.set()
    assert is_answer(await way.asynchronous(model))
    await way.clients(model).aclose()


def test_closed_many_times_at_once(way, scripted):
    """Whoever comes between finds no half-closed client."""
    model = made(way, scripted)
    calls = [Call(lambda: way.sync(model)) for _ in range(4)]
    while any(call.is_alive() for call in calls):
        way.clients(model).close()
        calls[0].join(0.005)
    for call in calls:
        assert isinstance(call.error, ENDS) or is_answer(call.result), call.error
    way.clients(model).close()
    assert is_answer(way.sync(model))
    way.clients(model).close()
