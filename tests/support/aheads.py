"""A lock that was taken ahead."""

import os

import atoma_confidential as ac
from atoma_confidential._session import Ahead
from atoma_confidential._wire import Lease

LEASE = Lease(ac.Recipient(bytes(range(32))), 1, 2, None, 2**14)
NOW = 1e9


def waiting(**changes):
    """Return a lock that was taken ahead, and waits for its request."""
    fields = {"units": 2**14, "until": NOW + 60, "process": os.getpid()}
    return Ahead(**{**fields, "outcome": LEASE, **changes})
