"""Names that one thread or task holds at a time, and that nobody holds for ever."""

import asyncio
import threading

import pytest

from atoma_confidential._turns import TaskTurns, ThreadTurns


class Crowd:
    """Counts how many are inside at a time."""

    def __init__(self):
        self.inside = self.most = 0

    def enter(self):
        self.inside += 1
        self.most = max(self.most, self.inside)

    def leave(self):
        self.inside -= 1


def test_one_thread_at_a_time_holds_a_name():
    turns, crowd = ThreadTurns(), Crowd()

    def work():
        with turns.turn("a", seconds=10):
            crowd.enter()
            threading.Event().wait(0.01)
            crowd.leave()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert crowd.most == 1
    assert not turns._held


def test_a_turn_that_an_interrupt_left_is_found_over(monkeypatch):
    def interrupt(*_args):
        raise KeyboardInterrupt

    turns = ThreadTurns()
    with monkeypatch.context() as patch:
        patch.setattr(turns, "_drop", interrupt)
        with pytest.raises(KeyboardInterrupt), turns.turn("a", seconds=10):
            pass
    left = turns._held["a"]
    with turns.turn("a", seconds=0):
        assert turns._held["a"] is not left
    assert turns._held == {}


async def test_one_task_at_a_time_holds_a_name():
    turns, crowd = TaskTurns(), Crowd()

    async def work():
        async with turns.turn("a", seconds=10):
            crowd.enter()
            await asyncio.sleep(0.01)
            crowd.leave()

    await asyncio.gather(*(work() for _ in range(5)))
    assert crowd.most == 1
    assert not turns._held


async def test_other_names_and_late_comers_do_not_wait():
    threads, tasks = ThreadTurns(), TaskTurns()
    with (
        threads.turn("a", seconds=10),
        threads.turn("b", seconds=10),
        threads.turn("a", seconds=0.01),
    ):
        assert threads._held.keys() == {"a", "b"}
    async with (
        tasks.turn("a", seconds=10),
        tasks.turn("b", seconds=10),
        tasks.turn("a", seconds=0.01),
    ):
        assert tasks._held.keys() == {"a", "b"}
    assert not threads._held
    assert not tasks._held


async def test_a_turn_ends_with_an_error_and_with_a_cancellation():
    threads, tasks = ThreadTurns(), TaskTurns()
    with pytest.raises(ValueError, match="mine"), threads.turn("a", seconds=10):
        raise ValueError("mine")
    assert not threads._held

    async def stay():
        async with tasks.turn("a", seconds=10):
            await asyncio.sleep(10)

    first, second = asyncio.ensure_future(stay()), asyncio.ensure_future(stay())
    await asyncio.sleep(0)
    second.cancel()  # one that waits takes nothing with it
    await asyncio.sleep(0)
    assert tasks._held.keys() == {"a"}
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    async with tasks.turn("a", seconds=0):
        assert tasks._held.keys() == {"a"}
