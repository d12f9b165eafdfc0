"""What is seen of a node, and what a pin file says where it cannot be used."""

import errno
import sys

import pytest
from witnessed import CHIP, OTHER_CHIP

from atoma_confidential import PinFileError
from atoma_confidential.attestation import SeenKey

KEY = "00112233aabbccdd"
SEEN = SeenKey(KEY, frozenset({CHIP}))
CHANGED = SeenKey(KEY, frozenset({OTHER_CHIP}))

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes and owners of POSIX")


def refused(pins, why, *, seen=SEEN):
    """Nothing may be accepted, and the error says which check failed."""
    with pytest.raises(PinFileError) as no:
        pins.remember(42, seen)
    assert why in no.value.message
    assert str(pins.path.parent) in no.value.message
    assert no.value.__context__ is None or no.value.__suppress_context__


def other_key():
    """Return what makes it write to all three files."""
    return SeenKey("f" * 16, frozenset({CHIP}))


def full(*_):
    """Say what the system says where a disk is full."""
    raise OSError(errno.ENOSPC, "No space left on device", "/a/path")
