"""The file that pins are kept in, and the log beside it of every key ever accepted.

The file is only ever replaced as a whole, so it is read without a lock; it is changed
under one. Nothing is kept in memory: what another process has pinned, or a person has
accepted, holds from the next call on.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from . import _private_files as files
from .attestation._pin_json import (
    MAX_BYTES,
    dump_key,
    dump_pins,
    parse_key_log,
    parse_pins,
)
from .attestation.pins import (
    LoggedKey,
    NodePins,
    Pin,
    Pins,
    Seen,
    SeenKey,
    mismatch,
)
from .envelope import digest_of
from .errors import Exposure, InvalidInputError, PinFileError, PinMismatchError

__all__ = ["PinFile", "default_path"]

_MAX_LOG = 64 << 20


class PinFile:
    """Keeps the pins of nodes in a file, for all processes of one user.

    Threads, forks and other processes may use the same file at the same time.

    Args:
        path: By default `default_path()`. The log of accepted keys, and a lock, are
            kept beside it.
    """

    __slots__ = ("path",)

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        # Absolute: another working directory must not be another first use.
        self.path = Path(os.path.abspath(default_path() if path is None else path))  # noqa: PTH100 - resolve() would follow a link that is to be refused

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def identity(self) -> str:
        """A digest of the path."""
        return digest_of(os.fsencode(self.path)).hex()

    @property
    def log_path(self) -> Path:
        """Where the keys that were ever accepted are listed."""
        return self.path.with_name(f"{self.path.name}.keys")

    def read(self) -> Pins:
        """Return all that is pinned.

        Raises:
            PinFileError: The file cannot be read or trusted, or is not whole; or one of
                the file and its log is gone: that must not look like a first use.
        """
        pins = self._found()
        if pins is None:
            if not os.path.lexists(self.log_path):
                return Pins()
            pins = self._found()  # another process may have made both in between
        if pins is None:
            raise PinFileError(f"{self.path} is gone, and its log is not.")
        # The log is made before the first key is pinned.
        if any(node.key for node in pins.nodes.values()) and not os.path.lexists(
            self.log_path
        ):
            raise PinFileError(f"{self.log_path} is gone, and its pins are not.")
        return pins

    def remember(self, node: int, seen: Seen) -> NodePins | None:
        """See `PinStore.remember`; an accepted key is logged before it is pinned."""
        before = self.read().nodes.get(node)
        if before is not None and before.holds(seen):
            return before
        files.make_directory(self.path.parent)
        with self._changing() as pins:
            return self._remember(pins, node, seen)

    def accept(self, node: int, refused: Pin[Seen]) -> None:
        """Pin what was refused, as a person was shown it.

        Raises:
            PinMismatchError: It is no longer what was refused last.
            PinFileError: See `read`; or the file cannot be changed.
        """
        with self._changing() as pins:
            before = pins.nodes.get(node)
            if before is None or before.refused != refused:
                raise PinMismatchError(
                    f"What was refused of node {node} has changed meanwhile."
                )
            self._write(pins.having(before.accepting(at=int(time.time()))))

    def forget(self, node: int) -> None:
        """Drop all that is pinned for a node: its next contact is a first one.

        Raises:
            InvalidInputError: Nothing is pinned for it.
            PinFileError: See `read`; or the file cannot be changed.
        """
        if node not in self.read().nodes:
            raise InvalidInputError(f"Nothing is pinned for node {node}.")
        with self._changing() as pins:
            self._write(pins.without(node))

    def accepted_keys(self) -> tuple[LoggedKey, ...]:
        """Return every key ever accepted, the oldest first; a change back counts anew.

        Raises:
            PinFileError: The log cannot be read or trusted.
        """
        data = files.read(self.log_path, _MAX_LOG) or b""
        return parse_key_log(data, str(self.log_path))

    def _remember(self, pins: Pins, node: int, seen: Seen) -> NodePins | None:
        before = pins.nodes.get(node)
        known, at = before or NodePins(node), int(time.time())
        if changes := known.changes(seen):
            # That it cannot be noted for a person is no reason to say less.
            with contextlib.suppress(PinFileError):
                self._update(pins, known.refusing(seen, at=at))
            is_key = isinstance(seen, SeenKey)
            raise mismatch(
                node, changes, Exposure.NOTHING if is_key else Exposure.SEALED
            )
        if isinstance(seen, SeenKey) and not known.has_key(seen):
            self._log(pins, LoggedKey(at, node, seen.fingerprint))
        self._update(pins, known.remembering(seen, at=at))
        return before

    def _log(self, pins: Pins, key: LoggedKey) -> None:
        if not os.path.lexists(self.log_path):
            # The file comes first: its log alone means that it is gone.
            self._write(pins)
        files.append(self.log_path, dump_key(key))

    def _update(self, pins: Pins, after: NodePins) -> None:
        if pins.nodes.get(after.node) != after:
            self._write(pins.having(after))

    def _write(self, pins: Pins) -> None:
        files.replace(self.path, dump_pins(pins))

    def _found(self) -> Pins | None:
        data = files.read(self.path, MAX_BYTES)
        return None if data is None else parse_pins(data, str(self.path))

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Pins]:
        with files.exclusive(self.path.with_name(f"{self.path.name}.lock")):
            yield self.read()


def default_path() -> Path:
    """Return where pins are kept unless another path is given.

    That is `atoma/pins.json` in the user's own settings: below `XDG_CONFIG_HOME` or
    `~/.config`, `~/Library/Application Support` on macOS, `%APPDATA%` on Windows.

    Raises:
        PinFileError: The user has no home directory.
    """
    if sys.platform == "win32":
        given, usual = os.environ.get("APPDATA", ""), "~"
    elif sys.platform == "darwin":
        given, usual = "", "~/Library/Application Support"
    else:
        given, usual = os.environ.get("XDG_CONFIG_HOME", ""), "~/.config"
    if not os.path.isabs(given):  # noqa: PTH117 - an empty one is not absolute
        given = os.path.expanduser(usual)  # noqa: PTH111 - Path raises where it cannot
    if not os.path.isabs(given):  # noqa: PTH117
        raise PinFileError("There is no home directory to keep pins in; name a path.")
    return Path(given, "atoma", "pins.json")
