"""Values for event loops, of which several may come and go in threads at once."""

import asyncio
import sys
import threading

import pytest

from atoma_confidential._loops import LoopLocal


async def used(local, value):
    before = local.get()
    return before, local.set(value), local.get(), local.pop(), local.get()


def test_each_loop_has_a_value_of_its_own():
    local = LoopLocal()
    for value in (1, 2):
        assert asyncio.run(used(local, value)) == (None, value, value, value, None)
    assert len(local) == 0


def test_closed_loops_are_let_go():
    local = LoopLocal()

    async def leave(value):
        local.set(value)

    for value in range(5):
        asyncio.run(leave(value))
    assert len(local) == 1


@pytest.fixture
def impatient():
    """Let threads take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_loops_of_several_threads_do_not_disturb_each_other(impatient):
    local = LoopLocal()
    failed = []

    async def come_and_go(value):
        assert local.get() is None
        local.set(value)
        await asyncio.sleep(0)
        assert local.get() == value

    def work():
        try:
            for value in range(60):
                asyncio.run(come_and_go(value))
        except Exception as error:  # noqa: BLE001  whatever it is, it is told
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
