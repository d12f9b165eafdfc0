"""The secret of a cache: never shown, read from a file that only this user can read."""

import copy
import os
import pickle
import stat
import threading

import pytest

from atoma_confidential import CacheSecret, CacheSecretError, InvalidInputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "secrets" / "cache"


def name(secret):
    """Something that two secrets share only if they are one."""
    return secret.entries("n").name("k")


def test_a_file_is_made_once_and_read_again(path):
    made = CacheSecret.from_file(path)
    assert name(made) == name(CacheSecret.from_file(str(path)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(path.read_bytes()) == 65


def test_no_two_secrets_are_alike(path):
    made = {name(CacheSecret.generate()), name(CacheSecret.generate())}
    assert len(made | {name(CacheSecret.from_file(path))}) == 3


def test_callers_that_come_together_make_one(path):
    found, together = [], threading.Barrier(4)

    def make():
        together.wait()
        found.append(name(CacheSecret.from_file(path)))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"ab" * 31, b"AB" * 32, b"ab" * 32 + b"\n\n", b"ab" * 33, b"g" * 64],
)
def test_a_file_that_holds_something_else_is_refused_and_not_shown(path, content):
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(CacheSecretError) as caught:
        CacheSecret.from_file(path)
    assert str(path) in str(caught.value)
    assert "abab" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_file_that_others_can_read_is_refused(path):
    CacheSecret.from_file(path)
    path.chmod(0o640)
    with pytest.raises(CacheSecretError, match="open to other users"):
        CacheSecret.from_file(path)


def test_a_link_is_refused(path, tmp_path):
    CacheSecret.from_file(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(CacheSecretError, match="symbolic link"):
        CacheSecret.from_file(link)


def test_a_secret_made_meanwhile_by_another_process_is_taken(path, monkeypatch):
    from atoma_confidential import cache_secret

    made = CacheSecret.from_file(path)
    real, answers = cache_secret.files.read, [None]

    def read(*args):
        return answers.pop() if answers else real(*args)

    monkeypatch.setattr(cache_secret.files, "read", read)
    assert name(CacheSecret.from_file(path)) == name(made)


@pytest.mark.parametrize("given", [b"", bytes(31), bytes(33), "x" * 32, None])
def test_anything_but_32_bytes_is_refused(given):
    with pytest.raises(InvalidInputError, match="32 random bytes"):
        CacheSecret(given)


def test_a_secret_does_not_show_itself():
    secret = CacheSecret(b"correct horse battery staple 123")
    shown = f"{secret!r} {secret} {vars(type(secret))}"
    assert "horse" not in shown


def test_a_copy_is_the_secret_itself():
    secret = CacheSecret.generate()
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"a": secret})["a"] is secret


def test_one_that_is_only_in_memory_is_not_pickled():
    with pytest.raises(InvalidInputError, match="from_file"):
        pickle.dumps(CacheSecret.generate())


def test_one_from_a_file_is_pickled_as_its_path(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    secret = CacheSecret.from_file("secrets/cache")
    data = pickle.dumps(secret)
    assert path.read_bytes().strip() not in data
    assert bytes.fromhex(path.read_text()) not in data
    monkeypatch.chdir(os.sep)
    assert name(pickle.loads(data)) == name(secret)
