"""What is remembered of nodes so that a change is noticed: trust on first use.

Values and their comparison; `PinStore` is who keeps them. What was met first is
believed, which proves nothing about it: only a later change shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeAlias, TypeVar

from ..errors import Exposure, PinMismatchError

__all__ = [
    "Change",
    "LoggedKey",
    "NodePins",
    "Pin",
    "PinStore",
    "Pins",
    "Seen",
    "SeenKey",
    "SeenSigner",
    "mismatch",
]

T = TypeVar("T")
_NAMED = 4


@dataclass(frozen=True, slots=True)
class Pin(Generic[T]):
    """Something that was met, and when: Unix time in whole seconds."""

    value: T
    since: int


@dataclass(frozen=True, slots=True)
class SeenKey:
    """A node key that a policy accepted, and the chips of the GPUs that vouched for it.

    Attributes:
        fingerprint: See `Recipient.fingerprint`.
        chips: Empty where the policy names none.
    """

    fingerprint: str
    chips: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SeenSigner:
    """The Sui address that signed a node's answer; see `Signer.address`."""

    address: str


Seen: TypeAlias = SeenKey | SeenSigner


@dataclass(frozen=True, slots=True)
class Change:
    """One thing about a node that is not as it was pinned.

    Attributes:
        what: `GPU` or `signer`.
        pinned: What it was; empty where there was none.
        seen: What it is; empty where there is none.
    """

    what: str
    pinned: str
    seen: str

    def __str__(self) -> str:
        if not self.pinned:
            return f"{self.what} {_short(self.seen)} is new"
        if not self.seen:
            return f"{self.what} {_short(self.pinned)} is missing"
        return f"{self.what} {_short(self.pinned)} is now {_short(self.seen)}"


@dataclass(frozen=True, slots=True)
class NodePins:
    """What is pinned for one node; None where it has not been met.

    Attributes:
        key: Fingerprint of the key accepted last. It is not compared, for keys rotate
            (protocol 4.7).
        chips: The chips of all its GPUs, never empty.
        signer: The address that signs its answers.
        refused: What was met last that is not as pinned.
    """

    node: int
    key: Pin[str] | None = None
    chips: Pin[frozenset[str]] | None = None
    signer: Pin[str] | None = None
    refused: Pin[Seen] | None = None

    def changes(self, seen: Seen) -> tuple[Change, ...]:
        """Return in what something seen differs from what is pinned.

        The chips must be the same ones: a GPU too few is a change like one too many,
        and so is a policy that names none where some are pinned.
        """
        if isinstance(seen, SeenSigner):
            if self.signer is None or self.signer.value == seen.address:
                return ()
            return (Change("signer", self.signer.value, seen.address),)
        if self.chips is None:
            return ()
        pinned = self.chips.value
        return (
            *(Change("GPU", "", chip) for chip in sorted(seen.chips - pinned)),
            *(Change("GPU", chip, "") for chip in sorted(pinned - seen.chips)),
        )

    def has_key(self, seen: SeenKey) -> bool:
        """Tell whether this is the key that was accepted last."""
        return self.key is not None and self.key.value == seen.fingerprint

    def holds(self, seen: Seen) -> bool:
        """Tell whether something seen is as pinned, and all of it is pinned."""
        return not self.changes(seen) and self.remembering(seen, at=0) == self

    def remembering(self, seen: Seen, *, at: int) -> NodePins:
        """Return the pins with what was not yet among them."""
        if isinstance(seen, SeenSigner):
            return replace(self, signer=self.signer or Pin(seen.address, at))
        key = self.key if self.has_key(seen) else Pin(seen.fingerprint, at)
        return replace(self, key=key, chips=self.chips or _chips(seen, at))

    def refusing(self, seen: Seen, *, at: int) -> NodePins:
        """Return the pins with what a person may accept, and since when it is met."""
        if self.refused is not None and self.refused.value == seen:
            return self
        return replace(self, refused=Pin(seen, at))

    def accepting(self, *, at: int) -> NodePins:
        """Return the pins with what was refused in the place of what it differs from.

        A refused key is not accepted by this: the policy is asked about it again.
        """
        if self.refused is None:
            return self
        seen = self.refused.value
        if isinstance(seen, SeenSigner):
            return replace(self, signer=Pin(seen.address, at), refused=None)
        return replace(self, chips=_chips(seen, at), refused=None)


@dataclass(frozen=True, slots=True)
class Pins:
    """What is pinned, by node."""

    nodes: Mapping[int, NodePins] = field(default_factory=dict)

    def having(self, pins: NodePins) -> Pins:
        """Return these pins with those of one node replaced."""
        return Pins({**self.nodes, pins.node: pins})

    def without(self, node: int) -> Pins:
        """Return these pins without those of one node."""
        return Pins({n: pins for n, pins in self.nodes.items() if n != node})


@dataclass(frozen=True, slots=True)
class LoggedKey:
    """A line of the log of accepted keys; `at` is Unix time in whole seconds."""

    at: int
    node: int
    fingerprint: str


class PinStore(Protocol):
    """Keeps pins, for one process or for many.

    It must compare and remember in one step: of two that meet a node at the same time
    and see different things, one is to fail.
    """

    @property
    def identity(self) -> str:
        """A text that two stores share only if they keep the same pins."""
        ...

    def remember(self, node: int, seen: Seen) -> NodePins | None:
        """Pin what is new of a node, and return what was pinned before; None: nothing.

        Raises:
            PinMismatchError: It is not as pinned; see `mismatch`. Nothing was pinned.
            PinFileError: What is pinned cannot be read, or not be added to.
        """
        ...


def mismatch(
    node: int, changes: tuple[Change, ...], exposure: Exposure
) -> PinMismatchError:
    """Return the error for a node that is not as pinned."""
    named = [str(change) for change in changes[:_NAMED]]
    if len(changes) > _NAMED:
        named.append(f"and {len(changes) - _NAMED} more")
    return PinMismatchError(
        f"Node {node} is not as it was pinned: {', '.join(named)}.", exposure
    )


def _chips(seen: SeenKey, at: int) -> Pin[frozenset[str]] | None:
    return Pin(seen.chips, at) if seen.chips else None


def _short(name: str) -> str:
    """Shorten an address; the name of a chip is short, and they share beginnings."""
    return f"{name[:10]}…{name[-4:]}" if name.startswith("0x") else name
