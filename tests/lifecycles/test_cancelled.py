"""A call that is cancelled, or whose client is closed, at each of its awaits."""

import asyncio
from collections.abc import Coroutine

from lived import is_answer

import atoma_confidential as ac


class Watch:
    """Calls something when what it watches is suspended for the so-many-th time.

    That is a call, with all the tasks that it starts.

    Attributes:
        suspended: How often it was.
    """

    def __init__(self, at, do=None):
        self._at, self.do = at, do
        self.suspended = 0

    @property
    def called(self):
        return self.suspended >= self._at

    async def call(self, coroutine):
        loop = asyncio.get_running_loop()
        loop.set_task_factory(self._make_task)
        try:
            return await Watched(coroutine, self)
        finally:
            loop.set_task_factory(None)

    def _make_task(self, loop, coroutine, **options):
        return asyncio.Task(Watched(coroutine, self), loop=loop, **options)

    def note(self):
        self.suspended += 1
        if self.suspended == self._at:
            self.do()


class Watched(Coroutine):
    """A coroutine that tells a watch when it is suspended."""

    def __init__(self, inner, watch):
        self._inner, self._watch = inner, watch

    def send(self, value):
        return self._noted(self._inner.send(value))

    def throw(self, *error):
        return self._noted(self._inner.throw(*error))

    def close(self):
        self._inner.close()

    def __await__(self):
        go_on, given = self.send, None
        while True:
            try:
                step = go_on(given)
            except StopIteration as stop:
                return stop.value
            try:
                go_on, given = self.send, (yield step)
            except BaseException as error:  # noqa: BLE001  it is thrown further in
                go_on, given = self.throw, error

    def _noted(self, step):
        self._watch.note()
        return step


async def run_cancelled(watch, coroutine):
    """Cancel oneself."""
    watch.do = asyncio.current_task().cancel
    return await watch.call(coroutine)


def closer(clients, closing):
    return lambda: closing.append(asyncio.ensure_future(clients.aclose()))


async def settled():
    """Let what is on its way to an end come to it, and return what has not."""
    for _ in range(10):
        await asyncio.sleep(0)
    return asyncio.all_tasks() - {asyncio.current_task()}


def busy(clients):
    """What an asynchronous client still holds: connections, turns, canaries."""
    client = clients.asynchronous
    state = client._loops.get()
    held = [*client._connection.session.probing]
    if state is not None:
        held += state.turns._held
        for http in state._own.values():
            pool = http._transport._pool
            held += pool._requests
            held += [c for c in pool.connections if not (c.is_idle() or c.is_closed())]
    return held


async def test_cancelled_at_each_await(way, scripted):
    at, called = 0, True
    while called:
        at += 1
        model = way.make(scripted)
        watch = Watch(at)
        task = asyncio.ensure_future(run_cancelled(watch, way.asynchronous(model)))
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        called = watch.called
        cancelled = isinstance(outcome, asyncio.CancelledError)
        assert cancelled if called else is_answer(outcome), (at, outcome)
        assert await settled() == set(), at
        assert busy(way.clients(model)) == [], at
        assert is_answer(await way.asynchronous(model)), at
        await way.clients(model).aclose()
    assert at > 10


async def test_closed_at_each_await(way, scripted):
    at, called, failed = 0, True, 0
    while called:
        at += 1
        model = way.make(scripted)
        clients = way.clients(model)
        closing = []
        watch = Watch(at, closer(clients, closing))
        async with asyncio.timeout(60):
            (outcome,) = await asyncio.gather(
                watch.call(way.asynchronous(model)), return_exceptions=True
            )
            await asyncio.gather(*closing)
        called = watch.called
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, ac.ConfidentialError), (at, outcome)
            failed += 1
        else:
            assert is_answer(outcome), at
        assert await settled() == set(), at
        await clients.aclose()
    assert failed
