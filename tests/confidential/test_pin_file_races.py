"""The pin file: what two at once leave, be they threads, processes or forks."""

import errno
import multiprocessing
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pinned import CHANGED, KEY, SEEN, other_key, posix, refused
from witnessed import CHIP, OTHER_CHIP

from atoma_confidential import PinFile, PinMismatchError, _private_files


def overtaken(pins, seen):
    """Make a pin file that another overtakes once, between its reading and writing."""
    real = pins.read
    raced = []

    class Racing(PinFile):
        def read(self):
            found = real()
            if not raced:
                raced.append(PinFile(self.path).remember(42, seen))
            return found

    return Racing(pins.path), raced


def test_of_two_that_meet_a_node_at_once_one_fails(pins):
    """The second has read an empty file, and finds the first one's pins in it."""
    racing, raced = overtaken(pins, CHANGED)
    with pytest.raises(PinMismatchError):
        racing.remember(42, SEEN)
    assert raced == [None]
    assert pins.read().nodes[42].chips.value == {OTHER_CHIP}


def test_of_two_that_see_the_same_the_second_finds_it_done(pins):
    racing, raced = overtaken(pins, SEEN)
    assert racing.remember(42, SEEN).chips.value == {CHIP}
    assert raced == [None]
    assert len(pins.accepted_keys()) == 1


def test_a_log_that_is_made_between_two_looks_is_no_loss(pins, monkeypatch):
    real = _private_files.read
    raced = []

    def read(path, limit):
        found = real(path, limit)
        if not raced:
            raced.append(None)
            PinFile(path).remember(42, SEEN)
        return found

    monkeypatch.setattr(_private_files, "read", read)
    assert list(pins.read().nodes) == [42]


def test_threads_lose_nothing(pins):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda node: pins.remember(node, SEEN), range(40)))
    assert sorted(pins.read().nodes) == [*range(40)]
    assert sorted(key.node for key in pins.accepted_keys()) == [*range(40)]


_MEET = """
import sys
from atoma_confidential import PinFile
from atoma_confidential.attestation import SeenKey

pins, first, last = PinFile(sys.argv[1]), *map(int, sys.argv[2:])
for node in range(first, last):
    pins.remember(node, SeenKey("0" * 16, frozenset({f"chip{node}"})))
    if node == first:
        print("going", flush=True)
"""


def meeting(pins, first, last):
    return subprocess.Popen(  # noqa: S603  our own script
        [sys.executable, "-c", _MEET, pins.path, str(first), str(last)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_lose_nothing(pins):
    running = [meeting(pins, first, first + 40) for first in (0, 20, 40)]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
    assert sorted(pins.read().nodes) == [*range(80)]
    assert sorted(key.node for key in pins.accepted_keys()) == [*range(80)]


@posix
def test_a_process_that_is_killed_leaves_a_whole_file(pins):
    chance = random.Random(1)  # noqa: S311
    met = set()
    for _ in range(20):
        process = meeting(pins, len(met), 10**6)
        assert process.stdout.readline() == "going\n"
        time.sleep(chance.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = pins.read().nodes  # raises where it is half-written
        assert met < found.keys()
        met = {*found}
        assert met <= {key.node for key in pins.accepted_keys()}
    assert all(
        node.chips.value == {f"chip{node.node}"} for node in pins.read().nodes.values()
    )


def test_a_lock_that_is_never_released_is_given_up(met, monkeypatch):
    monkeypatch.setattr(_private_files, "_LOCK_SECONDS", 0.05)
    with _private_files.exclusive(met.path.with_name("pins.json.lock")):
        refused(met, "cannot be locked: another process has it", seen=other_key())
    assert met.remember(42, other_key()).key.value == KEY


@posix
def test_a_lock_that_the_system_refuses_is_an_error(met, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(_private_files.fcntl, "flock", refuse)
    refused(met, "cannot be locked: No locks available", seen=other_key())


@posix
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_fork_does_not_keep_the_lock(met, monkeypatch):
    """A child forked while a thread had the lock has a copy of the open file."""
    context = multiprocessing.get_context("fork")
    locked, forked, end = threading.Event(), threading.Event(), context.Event()

    def hold():
        with _private_files.exclusive(met.path.with_name("pins.json.lock")):
            locked.set()
            forked.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait()
    child = context.Process(target=end.wait, daemon=True)
    child.start()
    forked.set()
    thread.join()
    monkeypatch.setattr(_private_files, "_LOCK_SECONDS", 0.2)
    try:
        assert met.remember(42, other_key()).key.value == KEY
    finally:
        end.set()
        child.join()


def test_a_fork_remembers_in_the_same_file(met):
    child = multiprocessing.get_context("fork").Process(
        target=met.remember, args=(43, SEEN)
    )
    child.start()
    child.join()
    assert child.exitcode == 0
    assert met.read().nodes.keys() == {42, 43}
