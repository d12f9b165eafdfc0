"""Ctrl-C, wherever a blocking call is just then."""

import re
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest
from lived import WAYS, is_answer

import atoma_confidential

# What begins and ends connections, streams and turns. Where httpcore takes its locks,
# an interrupt of just that moment leaves one taken, so its lines are not gone through.
CORE = Path(atoma_confidential.__file__).parent
FILES = {str(CORE / name) for name in ("_turns.py", "client.py", "_deadline.py")}

# Where a socket was just opened, and is no connection's yet: being dropped closes it.
DROPPED = [
    ("_deadline.py", name) for name in ("connect_tcp", "__init__", "get_extra_info")
]

TRIES = 10

EMBEDS = [way for way in WAYS if way.name.endswith("embed")]


class Interrupt:
    """Notes the lines of a call that are in these files, and interrupts it at one.

    Args:
        at: That line, which is interrupted before it is run for the first time.

    Attributes:
        lines: Those that were run, each once, with the names of their functions.
    """

    def __init__(self, at=None):
        self._at = at
        self.lines = {}

    def __enter__(self):
        sys.settrace(self._call)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def _call(self, frame, event, arg):
        return self._line if frame.f_code.co_filename in FILES else None

    def _line(self, frame, event, arg):
        if event == "line":
            line = Path(frame.f_code.co_filename).name, frame.f_lineno
            self.lines[line] = frame.f_code.co_name
            if line == self._at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self._line


def interrupted(way, line, make):
    """Return a model whose first call was interrupted at a line.

    How the bytes of a reply are cut decides whether a few lines are gone through.
    """
    for _ in range(TRIES):
        model = make()
        try:
            with Interrupt(line):
                way.sync(model)
        except KeyboardInterrupt:
            return model
        way.clients(model).close()
    return pytest.fail(f"{line} was never gone through again")


def turns_of(clients):
    return [
        name
        for turns in clients.sync._turns.values()
        for name in turns._held
        if turns._held[name].locked()
    ]


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


@pytest.fixture
def dropped(monkeypatch):
    """What warned when it was dropped: sockets that were open."""
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: seen.append(told.object))
    return seen


@pytest.mark.usefixtures("untraced")
def test_interrupted_at_each_line(way, scripted, dropped):
    more = {"stream_mode": "live"} if way.begin else {}
    model = way.make(scripted, **more)
    with Interrupt() as whole:
        assert is_answer(way.sync(model))
    way.clients(model).close()
    passed = {name for name, _ in whole.lines}
    # The threads of batches are not interrupted: Ctrl-C goes to the main one.
    others = {"_turns.py", "_deadline.py"}
    assert passed == ({"client.py"} if way in EMBEDS else {"client.py", *others})
    for line, function in whole.lines.items():
        model = interrupted(way, line, lambda: way.make(scripted, **more))
        workers_end()
        assert turns_of(way.clients(model)) == [], line
        assert is_answer(way.sync(model)), line
        way.clients(model).close()
        # Without a collector's help: no cycle holds what was interrupted.
        assert dropped == [] or (line[0], function) in DROPPED, line
        assert all(isinstance(one, socket.socket) for one in dropped)
        dropped.clear()


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
