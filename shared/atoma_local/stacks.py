"""Stacks of compute units and the single-use locks on them (protocol section 4).

Pure: the time comes in as an argument, and nothing here knows HTTP.
"""

from __future__ import annotations

import heapq
import math
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Grant", "NoLockError", "Stack", "StackBook", "UnknownStackError"]

DEFAULT_UNITS = 8192
DEFAULT_TIMEOUT = 5
STACK_SIZE = 1_000_000

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class UnknownStackError(LookupError):
    """No stack has this id; the proxy turns it into a 500."""


class NoLockError(LookupError):
    """No live lock on the stack is large enough; the proxy turns it into a 425."""


@dataclass(frozen=True, slots=True, order=True)
class _Lock:
    expires_at: float
    units: int


@dataclass(slots=True)
class Stack:
    """What one purchase bought, and how much of it is gone or reserved."""

    small_id: int
    owner: str
    model: str
    size: int
    digest: str | None
    used: int = 0
    reserved: int = 0
    shut: bool = False
    locks: list[_Lock] = field(default_factory=list, repr=False)

    @property
    def free(self) -> int:
        """Units that a new lock may still reserve."""
        return self.size - self.used - self.reserved

    def expire_locks(self) -> None:
        """Let every lock run out, as if its time were over."""
        self.locks = [replace(lock, expires_at=-math.inf) for lock in self.locks]


@dataclass(frozen=True, slots=True)
class Grant:
    """A lock as its owner sees it; the digest is set if it bought the stack."""

    stack_small_id: int
    stack_entry_digest: str | None


class StackBook:
    """Every stack of every user, and the heap of locks on each.

    Args:
        size: units in a stack that is bought.
        owned: whether an account starts with one stack per model; otherwise its
            first lock buys one and reports the purchase.
        entropy: source of the purchase digests.
    """

    def __init__(
        self,
        *,
        size: int = STACK_SIZE,
        owned: bool = True,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.stacks: dict[int, Stack] = {}
        self.purchases = 0
        self._size = size
        self._owned = owned
        self._entropy = entropy
        self._next_id = 4711

    def lock(
        self, owner: str, model: str, *, units: int, timeout: float, now: float
    ) -> Grant:
        """Reserve units on the owner's first stack with room, or on a new one."""
        self._prune(now)
        mine = [
            stack
            for stack in self.stacks.values()
            if stack.owner == owner and stack.model == model
        ]
        bought = None
        stack = next((s for s in mine if not s.shut and s.free >= units), None)
        if stack is None and self._owned and not mine:
            stack = self._open(owner, model, digest=None)
            stack = stack if stack.free >= units else None
        if stack is None:
            bought = _base58(self._entropy(32))
            self.purchases += 1
            stack = self._open(owner, model, digest=bought)
        heapq.heappush(stack.locks, _Lock(now + timeout, units))
        stack.reserved += units
        return Grant(stack.small_id, bought)

    def consume(self, small_id: int, *, units: int, now: float) -> Stack:
        """Use up one live lock of at least `units`, whoever took it.

        Raises:
            UnknownStackError: there is no such stack.
            NoLockError: every lock is used, expired or smaller.
        """
        stack = self.stacks.get(small_id)
        if stack is None:
            raise UnknownStackError
        for lock in sorted(stack.locks):
            if lock.expires_at > now and lock.units >= units:
                stack.locks.remove(lock)
                heapq.heapify(stack.locks)
                return stack
        raise NoLockError

    def settle(self, stack: Stack, *, release: int, used: int) -> None:
        """Book a finished request: by *its* figure, not the lock's (section 4.4)."""
        stack.reserved = max(0, stack.reserved - release)
        stack.used += used

    def _open(self, owner: str, model: str, *, digest: str | None) -> Stack:
        stack = Stack(self._next_id, owner, model, self._size, digest)
        self.stacks[stack.small_id] = stack
        self._next_id += 1
        return stack

    def _prune(self, now: float) -> None:
        for stack in self.stacks.values():
            while stack.locks and stack.locks[0].expires_at <= now:
                stack.reserved -= heapq.heappop(stack.locks).units


def _base58(data: bytes) -> str:
    number, text = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, len(_BASE58))
        text = _BASE58[digit] + text
    return text
