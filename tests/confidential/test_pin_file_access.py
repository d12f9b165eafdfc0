"""The pin file: who may touch it, and what in its place is refused."""

import os

import pytest
from pinned import SEEN, other_key, posix, refused
from witnessed import CHIP

from atoma_confidential import PinFile


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
