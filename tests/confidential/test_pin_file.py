"""The pin file: who may touch it, and what a crash, a race or a full disk leaves."""

import errno
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from shells import MESSAGES
from witnessed import ADDRESS, CHIP, OTHER_ADDRESS, OTHER_CHIP, Witnessed

from atoma_confidential import (
    ConfidentialError,
    InvalidInputError,
    PinFile,
    PinFileError,
    PinMismatchError,
    Recipient,
    TrustPolicy,
    _private_files,
)
from atoma_confidential.attestation import NodePins, Pin, Pins, SeenKey, SeenSigner
from atoma_confidential.pin_file import default_path

KEY = "00112233aabbccdd"
SEEN = SeenKey(KEY, frozenset({CHIP}))
CHANGED = SeenKey(KEY, frozenset({OTHER_CHIP}))

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes and owners of POSIX")


@pytest.fixture
def pins(tmp_path):
    return PinFile(tmp_path / "settings" / "pins.json")


@pytest.fixture
def met(pins):
    """A pin file with node 42 in it."""
    pins.remember(42, SEEN)
    return pins


def refused(pins, why, *, seen=SEEN):
    """Nothing may be accepted, and the error says which check failed."""
    with pytest.raises(PinFileError) as no:
        pins.remember(42, seen)
    assert why in no.value.message
    assert str(pins.path.parent) in no.value.message
    assert no.value.__context__ is None or no.value.__suppress_context__


# --- what is kept -------------------------------------------------------------------


def test_nothing_is_pinned_and_nothing_made_before_a_first_use(pins):
    assert pins.read() == Pins()
    assert pins.accepted_keys() == ()
    assert not pins.path.parent.exists()


def test_it_gives_what_was_pinned_before(pins):
    assert pins.remember(42, SEEN) is None
    before = pins.remember(42, SeenSigner(ADDRESS))
    assert (before.key.value, before.signer) == (KEY, None)
    again = pins.remember(42, SEEN)
    assert again == pins.read().nodes[42]
    assert again.signer.value == ADDRESS
    assert PinFile(pins.path).remember(42, SEEN) == again


def test_what_is_known_is_not_written_again(met, monkeypatch):
    monkeypatch.setattr(_private_files, "replace", pytest.fail)
    monkeypatch.setattr(_private_files, "exclusive", pytest.fail)
    assert met.remember(42, SEEN).chips.value == {CHIP}


def test_a_signer_alone_needs_no_log(pins):
    pins.remember(42, SeenSigner(ADDRESS))
    assert pins.remember(42, SeenSigner(ADDRESS)).signer.value == ADDRESS
    assert pins.accepted_keys() == ()


def test_what_is_refused_waits_for_a_person(met, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 5.0)
    for _ in range(2):
        with pytest.raises(PinMismatchError):
            met.remember(42, CHANGED)
        monkeypatch.setattr("time.time", lambda: 6.0)
    waiting = met.read().nodes[42].refused
    assert waiting == Pin(CHANGED, 5)
    with pytest.raises(PinMismatchError):
        met.remember(42, SeenKey(KEY))
    with pytest.raises(PinMismatchError, match="has changed meanwhile"):
        met.accept(42, waiting)
    with pytest.raises(PinMismatchError):
        met.accept(7, waiting)
    with pytest.raises(PinMismatchError):
        met.remember(42, CHANGED)
    met.accept(42, Pin(CHANGED, 6))
    assert met.remember(42, CHANGED).chips == Pin(CHANGED.chips, 6)
    with pytest.raises(PinMismatchError):
        met.remember(42, SEEN)


def test_a_forgotten_node_is_met_anew(met):
    with pytest.raises(InvalidInputError, match="node 7"):
        met.forget(7)
    met.forget(42)
    assert met.read() == Pins()
    assert met.remember(42, CHANGED) is None
    assert [key.fingerprint for key in met.accepted_keys()] == [KEY, KEY]


def test_a_mismatch_that_cannot_be_noted_is_still_one(met, monkeypatch):
    def full(*_):
        raise PinFileError("The disk is full.")

    monkeypatch.setattr(_private_files, "replace", full)
    with pytest.raises(PinMismatchError):
        met.remember(42, CHANGED)


def test_the_path_does_not_follow_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pins = PinFile("pins.json")
    pins.remember(42, SEEN)
    copy = pickle.loads(pickle.dumps(pins))
    monkeypatch.chdir("/")
    assert pins.remember(42, SEEN) == copy.remember(42, SEEN)
    assert pins.identity == copy.identity
    assert repr(copy) == f"PinFile({str(tmp_path / 'pins.json')!r})"


@pytest.mark.parametrize(
    ("platform", "given", "expected"),
    [
        ("linux", "/given", "/given/atoma/pins.json"),
        ("linux", "", "/home/me/.config/atoma/pins.json"),
        ("linux", "relative", "/home/me/.config/atoma/pins.json"),
        (
            "darwin",
            "/given",
            "/home/me/Library/Application Support/atoma/pins.json",
        ),
    ],
)
@posix
def test_where_it_is_kept(platform, given, expected, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("XDG_CONFIG_HOME", given)
    monkeypatch.setenv("HOME", "/home/me")
    assert default_path() == PinFile().path == Path(expected)


@posix
def test_without_a_home_there_is_no_default(monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(PinFileError, match="no home directory"):
        PinFile()


# --- who may touch it ---------------------------------------------------------------


@posix
def test_only_the_user_can_read_or_change_it(met):
    old = os.umask(0)
    try:
        met.remember(43, SEEN)
    finally:
        os.umask(old)
    found = {
        path.name: path.stat().st_mode & 0o777 for path in met.path.parent.iterdir()
    }
    assert found == {
        "pins.json": 0o600,
        "pins.json.keys": 0o600,
        "pins.json.lock": 0o600,
    }
    assert met.path.parent.stat().st_mode & 0o777 == 0o700


@posix
@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640, 0o604, 0o610, 0o602])
@pytest.mark.parametrize("name", ["pins.json", "pins.json.keys", "pins.json.lock"])
def test_one_that_others_can_open_is_refused(met, name, mode):
    path = met.path.with_name(name)
    path.chmod(mode)
    refused(
        met, f"{name}: it is open to other users (mode {mode:04o}", seen=other_key()
    )
    path.chmod(0o600)
    assert met.remember(42, other_key()).chips.value == {CHIP}


def other_key():
    """Return what makes it write to all three files."""
    return SeenKey("f" * 16, frozenset({CHIP}))


@posix
@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root"
)
@pytest.mark.parametrize("name", ["pins.json", "pins.json.keys", "pins.json.lock"])
def test_one_of_another_user_is_refused(met, name):
    os.chown(met.path.with_name(name), 12345, -1)
    refused(met, f"{name}: it belongs to another user", seen=other_key())


@posix
@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root"
)
def test_a_directory_of_another_user_is_refused(met):
    os.chown(met.path.parent, 12345, -1)
    refused(met, "settings: it belongs to another user")


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_that_others_can_change_is_refused(met, mode):
    """They could remove the file and its log, and that would be a first use again."""
    met.path.parent.chmod(mode)
    refused(met, "other users can change what is in it")
    met.path.parent.chmod(mode | 0o1000)  # sticky, as /tmp is
    assert met.remember(42, SEEN).chips.value == {CHIP}


@posix
@pytest.mark.parametrize("name", ["pins.json", "pins.json.keys", "pins.json.lock"])
def test_a_link_is_refused(met, name, tmp_path):
    path = met.path.with_name(name)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    refused(met, "it is a symbolic link", seen=other_key())


@posix
def test_a_link_that_leads_nowhere_is_not_a_first_use(pins, tmp_path):
    pins.path.parent.mkdir()
    pins.path.symlink_to(tmp_path / "nowhere")
    refused(pins, "it is a symbolic link")


@posix
@pytest.mark.parametrize("name", ["pins.json", "pins.json.keys", "pins.json.lock"])
def test_what_is_no_file_is_refused(met, name):
    path = met.path.with_name(name)
    path.unlink()
    path.mkdir()
    refused(met, "Is a directory", seen=other_key())
    path.rmdir()
    os.mkfifo(path, 0o600)
    refused(met, f"{path}", seen=other_key())  # and does not wait for a writer


def test_a_directory_that_is_a_file_is_refused(pins):
    pins.path.parent.write_text("")
    refused(pins, "Not a directory")


@posix
def test_a_file_in_the_place_of_a_directory_further_up_is_refused(tmp_path):
    (tmp_path / "a").write_text("")
    refused(PinFile(tmp_path / "a" / "b" / "pins.json"), "Not a directory")


# --- what is gone or broken ---------------------------------------------------------


def test_no_part_of_a_file_is_accepted(met):
    whole = met.path.read_bytes()
    for end in range(len(whole)):
        met.path.write_bytes(whole[:end])
        refused(met, f"Cannot use {met.path}: ")
    met.path.write_bytes(whole)
    assert met.remember(42, SEEN).chips.value == {CHIP}


def test_a_file_that_is_far_too_large_is_not_read_whole(met):
    os.truncate(met.path, 1 << 40)
    refused(met, "it is longer than 4194304 bytes")


def test_pins_that_are_gone_are_no_first_use(met):
    met.path.unlink()
    refused(met, "pins.json is gone, and its log is not")
    with pytest.raises(PinFileError):
        met.read()
    met.log_path.unlink()
    assert met.remember(42, CHANGED) is None


def test_a_log_that_is_gone_is_missed(met):
    met.log_path.unlink()
    refused(met, "pins.json.keys is gone, and its pins are not")


def test_a_line_that_was_not_finished_is_dropped_by_the_next(met):
    with met.log_path.open("ab") as log:
        log.write(b'{"at": 1795132800, "no')
    assert [key.fingerprint for key in met.accepted_keys()] == [KEY]
    met.remember(42, other_key())
    assert [key.fingerprint for key in met.accepted_keys()] == [KEY, "f" * 16]


def test_a_long_log_is_added_to(met):
    for number in range(40):
        met.remember(number, SeenKey(f"{number:016x}"))
    assert len(met.accepted_keys()) == 41
    assert met.log_path.stat().st_size > 2048


def test_a_log_that_is_none_is_not_added_to(met):
    noise = b"x" * 5000
    met.log_path.write_bytes(noise)
    refused(met, "it does not end with a line", seen=other_key())
    assert met.log_path.read_bytes() == noise
    met.log_path.write_bytes(b"x\n")
    with pytest.raises(PinFileError, match=r"line 1 of .*pins\.json\.keys"):
        met.accepted_keys()


def test_a_first_use_that_was_cut_off_is_still_one(pins, monkeypatch):
    """Between the log and the pins: what was logged was not accepted."""
    real = _private_files.replace
    left = [real]

    def replace(path, data):
        if not left:
            raise KeyboardInterrupt
        left.pop()(path, data)

    monkeypatch.setattr(_private_files, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        pins.remember(42, SEEN)
    monkeypatch.setattr(_private_files, "replace", real)
    assert [key.node for key in pins.accepted_keys()] == [42]
    assert pins.remember(42, SEEN) is None
    assert [key.node for key in pins.accepted_keys()] == [42, 42]


# --- a disk that is full ------------------------------------------------------------


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device", "/a/path")


@posix
@pytest.mark.parametrize("seen", [SeenSigner(ADDRESS), other_key()])
def test_a_full_disk_accepts_nothing_and_leaves_the_file(met, monkeypatch, seen):
    before = met.path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        refused(met, "cannot be written: No space left on device", seen=seen)
    assert met.path.read_bytes() == before
    assert not met.path.with_name("pins.json.new").exists()
    assert met.remember(42, seen).key.value == KEY


def test_a_new_file_that_cannot_be_removed_is_so_later(met, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        real = Path.unlink
        calls = []

        def unlink(path, **options):
            calls.append(path)
            if len(calls) > 1:
                full()
            real(path, **options)

        patched.setattr(Path, "unlink", unlink)
        refused(met, "No space left", seen=SeenSigner(ADDRESS))
    assert met.path.with_name("pins.json.new").exists()
    met.remember(42, SeenSigner(ADDRESS))
    assert not met.path.with_name("pins.json.new").exists()


def test_a_first_use_on_a_full_disk_is_a_first_use_later(pins, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        refused(pins, "No space left")
    assert pins.read() == Pins()
    assert pins.remember(42, SEEN) is None


# --- two at once --------------------------------------------------------------------


def test_of_two_that_meet_a_node_at_once_one_fails(pins):
    """The second has read an empty file, and finds the first one's pins in it."""
    real = pins.read
    raced = []

    class Racing(PinFile):
        def read(self):
            found = real()
            if not raced:
                raced.append(PinFile(self.path).remember(42, CHANGED))
            return found

    with pytest.raises(PinMismatchError):
        Racing(pins.path).remember(42, SEEN)
    assert raced == [None]
    assert pins.read().nodes[42].chips.value == {OTHER_CHIP}


def test_of_two_that_see_the_same_the_second_finds_it_done(pins):
    real = pins.read
    raced = []

    class Racing(PinFile):
        def read(self):
            found = real()
            if not raced:
                raced.append(PinFile(self.path).remember(42, SEEN))
            return found

    assert Racing(pins.path).remember(42, SEEN).chips.value == {CHIP}
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


# --- over HTTP ----------------------------------------------------------------------


def test_keys_that_follow_each_other_are_accepted_and_logged(connect, atoma, pins):
    shell = connect(
        atoma, trust=TrustPolicy.on_first_use(pins, TrustPolicy.proxy_asserted())
    )
    keys = []
    for _ in range(2):
        assert shell.chat(MESSAGES).verdict.sealed
        assert shell.chat(MESSAGES).verdict.sealed
        keys.append(Recipient(atoma.node_public_key).fingerprint)
        atoma.rotate_key()
    assert [key.fingerprint for key in pins.accepted_keys()] == keys
    (node,) = pins.read().nodes.values()
    assert (node.key.value, node.chips) == (keys[-1], None)


def test_a_node_with_another_gpu_is_sent_nothing(connect, atoma, pins, recorded):
    def first_use(*chips):
        return TrustPolicy.on_first_use(pins, Witnessed(chips))

    verdict = connect(atoma, trust=first_use(CHIP)).chat(MESSAGES).verdict
    assert verdict.assurance == "gpu_witnessed"
    sealed = recorded.sealed
    with pytest.raises(
        PinMismatchError, match=f"Node {verdict.node} .*{OTHER_CHIP}"
    ) as no:
        connect(atoma, trust=first_use(OTHER_CHIP)).chat(MESSAGES)
    assert "not the content" in str(no.value)
    assert recorded.sealed == sealed
    pins.accept(verdict.node, pins.read().nodes[verdict.node].refused)
    assert connect(atoma, trust=first_use(OTHER_CHIP)).chat(MESSAGES).verdict.sealed


def test_pins_that_cannot_be_used_let_nothing_out(connect, atoma, met, recorded):
    met.path.write_bytes(b"{")
    policy = TrustPolicy.on_first_use(met, TrustPolicy.proxy_asserted())
    with pytest.raises(PinFileError) as no:
        connect(atoma, trust=policy).chat(MESSAGES)
    assert isinstance(no.value, ConfidentialError)
    assert recorded.sealed == 0


def test_the_store_is_all_that_a_policy_needs():
    """A store of one's own: in memory, from the parts that are public."""

    class Memory:
        identity = "memory"

        def __init__(self):
            self.nodes = {}

        def remember(self, node, seen):
            before = self.nodes.get(node)
            known = before or NodePins(node)
            if known.changes(seen):
                raise PinMismatchError("It has changed.")
            self.nodes[node] = known.remembering(seen, at=1)
            return before

    memory = Memory()
    assert memory.remember(1, SeenSigner(ADDRESS)) is None
    with pytest.raises(PinMismatchError):
        memory.remember(1, SeenSigner(OTHER_ADDRESS))
    assert TrustPolicy.on_first_use(memory, Witnessed()).identity
