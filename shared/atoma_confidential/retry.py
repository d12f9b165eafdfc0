"""Which failures may be repeated, how often and after how long (protocol 8.4).

Pure: nothing here sleeps or knows the time. Each repetition takes a new lock, new keys,
salt and nonce; that is the flow's doing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from . import errors
from .errors import ConfidentialError, Exposure, InvalidInputError, StatusError

__all__ = ["Budget", "RetryPolicy"]

MAX_WAIT = 60.0
"""Seconds; a server that asks for more is believed, and the error raised at once."""

MAX_WAITS = 180.0
"""Seconds that all waits of one exchange may add up to."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """One row of the matrix.

    Attributes:
        cause: Failures of one cause share one budget.
        limit: Repetitions, whatever the policy allows; None: as the policy says.
        wait: Seconds before the first repetition, doubled for each further one.
        wait_max: Where doubling stops.
    """

    cause: str
    limit: int | None
    wait: float
    wait_max: float


_KEY_CHANGED = _Rule("key changed", limit=1, wait=0, wait_max=0)
_CONNECTION = _Rule("connection", limit=1, wait=0.5, wait_max=0.5)
_NO_NODE = "no node"
# The matrix grants more to the lock alone; this request may have been taken by a node.
_NODE_AWAY = _Rule(_NO_NODE, limit=1, wait=2, wait_max=10)

_RULES: dict[type[ConfidentialError], _Rule] = {
    errors.StackUnavailableError: _Rule("stack gone", limit=3, wait=0, wait_max=0),
    errors.StackLockedError: _Rule("stack locked", limit=3, wait=0, wait_max=0),
    errors.RateLimitError: _Rule("rate", limit=None, wait=1, wait_max=30),
    errors.NodeUnavailableError: _Rule(_NO_NODE, limit=None, wait=2, wait_max=10),
    errors.ConcurrentPurchaseError: _Rule("purchase", limit=5, wait=0.5, wait_max=0.5),
    errors.StackNotIndexedError: _Rule("not indexed", limit=1, wait=1, wait_max=1),
    # A key that changed shows in these two ways (protocol 4.7).
    errors.NodeFailureError: _KEY_CHANGED,
    errors.OpenError: _KEY_CHANGED,
    # Or before anything was sealed: a rotation between the lock and the evidence.
    errors.KeyNotBoundError: _Rule("key not bound", limit=1, wait=0, wait_max=0),
    # Both are a server that is away for a moment: one budget.
    errors.ConnectionFailedError: _CONNECTION,
    errors.ConnectionLostError: _CONNECTION,
}
"""By exact class: a subclass is another failure, and is not repeated unless listed."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How far repetition may go.

    Attributes:
        max_retries: Repetitions where the network is busy; 0 turns every repetition
            off, also those that the protocol grants by itself.
    """

    max_retries: int = 2

    def __post_init__(self) -> None:
        if type(self.max_retries) is not int or self.max_retries < 0:
            raise InvalidInputError("max_retries is an integer, 0 or more.")


def _rule_of(failure: ConfidentialError) -> _Rule | None:
    posted = failure.exposure in {Exposure.SEALED, Exposure.PLAIN}
    if posted and type(failure) is errors.NodeUnavailableError:
        return _NODE_AWAY
    return _RULES.get(type(failure))


@dataclass(slots=True)
class Budget:
    """What is left of a policy during one exchange."""

    policy: RetryPolicy
    jitter: Callable[[], float] = random.random
    _spent: dict[str, int] = field(default_factory=dict)
    _waited: float = 0

    def delay(self, failure: ConfidentialError) -> float | None:
        """Return the seconds to wait before a repetition; None where none is due."""
        rule = _rule_of(failure)
        if rule is None or self.policy.max_retries == 0:
            return None
        spent = self._spent.get(rule.cause, 0)
        if spent >= (self.policy.max_retries if rule.limit is None else rule.limit):
            return None
        wait = failure.retry_after if isinstance(failure, StatusError) else None
        if wait is None:
            # Up to half more than is due, so that callers that failed together part.
            wait = min(rule.wait * 2.0**spent, rule.wait_max) * (1 + self.jitter() / 2)
        if wait > MAX_WAIT or self._waited + wait > MAX_WAITS:
            return None
        self._spent[rule.cause] = spent + 1
        self._waited += wait
        return wait
