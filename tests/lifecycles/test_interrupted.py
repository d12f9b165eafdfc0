"""Ctrl-C, wherever a blocking call is just then."""

import random
import re
import signal
import sys
import threading

import pytest
from lived import WAYS, is_answer

SAMPLES = 25
# Where httpcore takes its locks, an interrupt of just that moment leaves one taken.
TRACED = ("/atoma_confidential/", "/httpx/", "/httpcore/")
NOT_TRACED = ("_synchronization.py",)


class Interrupt:
    """Counts lines of a call, and interrupts it at one of them.

    Args:
        at: The number of that line; 0 for none.

    Attributes:
        lines: How many lines were run.
    """

    def __init__(self, at=0):
        self._at = at
        self.lines = 0

    def __enter__(self):
        sys.settrace(self._call)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def _call(self, frame, event, arg):
        path = frame.f_code.co_filename
        traced = any(part in path for part in TRACED) and not path.endswith(NOT_TRACED)
        return self._line if traced else None

    def _line(self, frame, event, arg):
        self.lines += event == "line"
        if self.lines == self._at and event == "line":
            sys.settrace(None)
            raise KeyboardInterrupt
        return self._line


def turns_of(clients):
    return [name for turns in clients.sync._turns.values() for name in turns._held]


def workers_end():
    """Wait for what goes on until its request has ended."""
    for thread in threading.enumerate():
        if re.fullmatch(r"atoma-\d+", thread.name):
            thread.join(60)


@pytest.fixture
def untraced():
    """Leave a tracer that was there before, such as that of a coverage report."""
    before = sys.gettrace()
    yield
    sys.settrace(before)


# A socket that was opened on the line before is closed by being forgotten: it warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("untraced")
def test_interrupted_at_any_line(way, scripted):
    model = way.make(scripted, **({"stream_mode": "live"} if way.begin else {}))
    with Interrupt() as whole:
        assert is_answer(way.sync(model))
    chosen = random.Random(5).sample(range(1, whole.lines), SAMPLES)  # noqa: S311
    way.clients(model).close()
    interrupted = 0
    for at in chosen:
        model = way.make(scripted, **({"stream_mode": "live"} if way.begin else {}))
        try:
            with Interrupt(at):
                way.sync(model)
        except KeyboardInterrupt:
            interrupted += 1
        workers_end()
        assert turns_of(way.clients(model)) == [], at
        assert is_answer(way.sync(model)), at
        way.clients(model).close()
    assert interrupted > SAMPLES // 2


EMBEDS = [way for way in WAYS if way.name.endswith("embed")]


@pytest.mark.parametrize("way", EMBEDS, ids=lambda way: way.name)
def test_ctrl_c_while_batches_run_side_by_side(way, waiting_atoma, waiting):
    model = way.make(waiting_atoma)

    def interrupt():
        assert waiting.begun.wait(30)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        way.sync(model)
    thread.join()
    waiting.go_on.set()
    assert is_answer(way.sync(model))
    workers_end()
    way.clients(model).close()
