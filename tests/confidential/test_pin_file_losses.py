"""The pin file: what is gone or broken, and what a full disk leaves."""

import os
from pathlib import Path

import pytest
from pinned import CHANGED, KEY, SEEN, full, other_key, posix, refused
from witnessed import ADDRESS, CHIP

from atoma_confidential import PinFileError, _private_files
from atoma_confidential.attestation import Pins, SeenKey, SeenSigner

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
