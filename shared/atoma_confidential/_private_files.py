"""Files that only this user can read or change: opened, replaced, added to, locked.

Whoever can change such a file decides whom this process trusts, so one that others
can get at is refused. On Windows, access lists protect a user's own folders, and
owner and mode are not looked at, for Python makes them up there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from .errors import PinFileError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["append", "exclusive", "kept", "make_directory", "read", "replace"]

_OPEN_TO_OTHERS = 0o077
_WRITABLE_BY_OTHERS = 0o022
_LOCKED = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_LINK = {errno.ELOOP, errno.EMLINK}  # the second on FreeBSD
_LOCK_SECONDS = 10
_POLL_SECONDS = 0.01
_LONGEST_LINE = 1024

# Neither a link that leads elsewhere is followed, nor a pipe waited for.
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def read(path: Path, limit: int) -> bytes | None:
    """Return what is in a private file; None where there is none.

    Raises:
        PinFileError: It cannot be read, is open to others, or longer than `limit`.
    """
    with _failing(path, "read"):
        try:
            with _open(path, "rb") as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            return None
    if len(data) > limit:
        raise PinFileError(f"Cannot use {path}: it is longer than {limit} bytes.")
    return data


def replace(path: Path, data: bytes) -> None:
    """Put a new file in the place of a private one, whole or not at all.

    To be called by one process at a time; see `exclusive`.

    Raises:
        PinFileError: It cannot be written; what was there is there still.
    """
    new = path.with_name(f"{path.name}.new")
    with _failing(path, "written"):
        new.unlink(missing_ok=True)  # of a process that was killed
        try:
            with _open(new, "xb") as file:
                file.write(data)
                _to_disk(file)
            new.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            raise
        _directory_to_disk(path.parent)


def append(path: Path, line: bytes) -> None:
    """Add a line to a private file, which is made where there is none.

    A line that an earlier call did not finish is dropped: that call has failed.
    To be called by one process at a time; see `exclusive`.

    Raises:
        PinFileError: It cannot be written, or is open to others.
    """
    with _failing(path, "written"), _open(path, "a+b") as file:
        _drop_unfinished(file)
        file.write(line)
        _to_disk(file)


def make_directory(path: Path) -> None:
    """Make a directory of one's own, where there is none.

    Raises:
        PinFileError: It cannot be made.
    """
    with _failing(path, "used"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def kept(path: Path, limit: int, make: Callable[[], bytes]) -> bytes:
    """Return what is in a private file, which is made where there is none.

    Args:
        path: The file; its folder is made as well.
        limit: Bytes that it may have.
        make: Gives what to put there, unless another process has done so meanwhile.

    Raises:
        PinFileError: See `read` and `replace`.
    """
    data = read(path, limit)
    if data is None:
        make_directory(path.parent)
        with exclusive(path.with_name(f"{path.name}.lock")):
            data = read(path, limit)
            if data is None:
                data = make()
                replace(path, data)
    return data


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keep all other threads and processes out that hold the same lock file.

    Raises:
        PinFileError: The file cannot be opened, or was locked for ten seconds.
    """
    with _failing(path, "locked"):
        file = _open(path, "ab")
    with file:
        with _failing(path, "locked"):
            _lock(file.fileno())
        try:
            yield
        finally:
            # By name: closing would not do, where a fork has a copy of the file.
            _unlock(file.fileno())


def _open(path: Path, mode: str) -> IO[bytes]:
    _check_directory(path.parent)
    file: IO[bytes] = open(path, mode, opener=_opener)  # noqa: SIM115 - returned, with an opener
    try:
        _check_file(path, os.fstat(file.fileno()))
    except PinFileError:
        file.close()
        raise
    return file


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | _FLAGS, 0o600)


def _check_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise PinFileError(f"Cannot use {path}: it is not a regular file.")
    if sys.platform == "win32":
        return
    if found.st_uid != os.geteuid():
        raise PinFileError(f"Cannot use {path}: it belongs to another user.")
    if found.st_mode & _OPEN_TO_OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise PinFileError(
            f"Cannot use {path}: it is open to other users (mode {mode:04o}, not 0600)."
        )


def _check_directory(path: Path) -> None:
    if sys.platform == "win32":
        return
    found = path.stat()
    if found.st_uid not in (os.geteuid(), 0):
        raise PinFileError(f"Cannot use {path}: it belongs to another user.")
    # In a sticky one, such as /tmp, nobody can remove or rename another's files.
    if found.st_mode & _WRITABLE_BY_OTHERS and not found.st_mode & stat.S_ISVTX:
        raise PinFileError(f"Cannot use {path}: other users can change what is in it.")


def _drop_unfinished(file: IO[bytes]) -> None:
    size = file.seek(0, os.SEEK_END)
    start = max(size - _LONGEST_LINE, 0)
    file.seek(start)
    end = file.read().rfind(b"\n") + 1
    if end == 0 and start > 0:
        raise OSError(errno.EINVAL, "it does not end with a line")
    file.truncate(start + end)


def _to_disk(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _directory_to_disk(path: Path) -> None:
    """Make a new name last; Windows opens no directories, and needs none opened."""
    if sys.platform == "win32":
        return
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _lock(file: int) -> None:
    end = time.monotonic() + _LOCK_SECONDS
    while not _try_lock(file):
        if time.monotonic() > end:
            raise TimeoutError(errno.ETIMEDOUT, "another process has it locked")
        time.sleep(_POLL_SECONDS)


def _try_lock(file: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            # Not lockf, whose locks do not keep threads of one process apart.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _LOCKED:
            return False
        raise
    return True


def _unlock(file: int) -> None:
    if sys.platform == "win32":
        os.lseek(file, 0, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_UN)


@contextlib.contextmanager
def _failing(path: Path, done: str) -> Iterator[None]:
    """Turn the system's errors into ours."""
    try:
        yield
    except OSError as error:
        why = error.strerror or "it is not a regular file"
        if error.errno in _LINK:
            why = "it is a symbolic link"
        raise PinFileError(f"{path} cannot be {done}: {why}.") from None
