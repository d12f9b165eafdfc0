"""Which node keys a request may be sealed to.

A policy is asked between the lock and the sealing, for each key: what it refuses,
nothing is sealed to. It does no I/O: it yields what it needs fetched.
"""

from __future__ import annotations

import abc
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeAlias

from .._base64 import decoded
from ..envelope import KEY_BYTES, Recipient
from ..errors import InvalidInputError
from ..receipt import Signer
from .pins import PinStore
from .result import AttestationResult

if TYPE_CHECKING:
    from .rim import RimSource
    from .sui import SuiContract

__all__ = ["Appraisal", "Candidate", "Fetch", "Fetched", "TrustPolicy"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key that the proxy hands out as that of a node."""

    recipient: Recipient
    node: int

    @classmethod
    def of(cls, *, node: int, key: bytes | str) -> Self:
        """Return what a person wants appraised.

        Args:
            node: Its number.
            key: 32 bytes, or their base64 text.

        Raises:
            InvalidInputError: These are not a node's number and a key.
        """
        if type(node) is not int or node < 0:
            raise InvalidInputError("A node has an unsigned integer as its number.")
        data = key if isinstance(key, bytes) else decoded(key)
        if data is not None and len(data) == KEY_BYTES:
            return cls(Recipient(data), node)
        raise InvalidInputError("A node's key has 32 bytes, or is their base64 text.")


@dataclass(frozen=True, slots=True, repr=False)
class Fetch:
    """A request that an appraisal wants made; the API key is never sent with it.

    Attributes:
        url: Absolute, or a path on the host that keeps the nodes' attestation records.
        body: JSON for a POST; None for a GET.
        headers: Sent besides `Accept` and `Content-Type`.
    """

    url: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class Fetched:
    """What a server answered to a `Fetch`, whatever its status."""

    status: int
    body: bytes


Appraisal: TypeAlias = Generator[Fetch, Fetched, AttestationResult]
"""Yields what is to be fetched, is resumed with what came of it, returns the result.

Where a fetch fails for want of a connection or of time, `VerifierUnavailableError` is
thrown into it.
"""


class TrustPolicy(abc.ABC):
    """Decides whether a node's key may be sealed to; its name is in every result."""

    __slots__ = ()
    name: str

    @property
    @abc.abstractmethod
    def identity(self) -> str:
        """A text that two policies share only if they accept the same keys.

        What one policy let be asked, a cache must not answer for another.
        """

    @property
    def asks(self) -> tuple[str, ...]:
        """Whom an appraisal asks, and what they learn from that; for people."""
        return ()

    @abc.abstractmethod
    def appraise(self, candidate: Candidate, *, now: float) -> Appraisal:
        """Return why the key is acceptable.

        Args:
            candidate: The key, and the node that it is said to be of.
            now: Unix time, in seconds.

        Raises:
            AttestationError: It is not acceptable, or could not be checked.
        """

    @property
    def knows_signers(self) -> bool:
        """Whether an answer whose signature nobody checks is one that it refuses.

        A client with such a policy checks all signatures, and has no setting to check
        fewer. It is every policy with an `appraise_signer` of its own that does not
        say otherwise here.
        """
        return type(self).appraise_signer is not TrustPolicy.appraise_signer

    def appraise_signer(self, node: int, signer: Signer) -> bool:  # noqa: ARG002
        """Return whether the signer of an answer is known to be this node.

        Args:
            node: The node that the request was sealed for.
            signer: Who has signed the answer's digest.

        Raises:
            PinMismatchError: The node is known to sign as somebody else.
        """
        return False

    def __and__(self, other: TrustPolicy) -> TrustPolicy:
        """Return the policy that accepts what both accept.

        Raises:
            InvalidInputError: Both remember nodes, and not in one place.
        """
        from ._combined import both  # noqa: PLC0415 - that module needs this class

        return both(self, other)

    @staticmethod
    def proxy_asserted() -> TrustPolicy:
        """Accept the key that the proxy hands out.

        Whoever controls the proxy can then substitute a key and read everything
        (protocol 11.2).
        """
        from ._asserted import ProxyAsserted  # noqa: PLC0415

        return ProxyAsserted()

    @staticmethod
    def pinned(
        *,
        keys: Iterable[bytes | str] | None = None,
        gpus: Iterable[str] | None = None,
        nonce: int | SuiContract | None = None,
    ) -> TrustPolicy:
        """Accept only what is on a list: node keys, the chips behind them, or both.

        A node changes its key whenever it restarts and whenever the network rotates
        keys; its chips it keeps. Chips mean evidence, which is verified as under
        `nvidia_offline`.

        Args:
            keys: Node keys, as 32 bytes or their base64 text.
            gpus: Ids of chips, of 16 hex digits; see `Gpu.chip_id`. All of a node's
                GPUs have to be among them.
            nonce: As for `nvidia_offline`; needed with `gpus`, and only there.

        Raises:
            InvalidInputError: Nothing was given, a key or an id is none, or `gpus`
                and `nonce` do not come together.
        """
        from ._pinned import pinned  # noqa: PLC0415

        return pinned(keys, gpus, nonce)

    @staticmethod
    def nvidia_offline(
        *,
        nonce: int | SuiContract,
        gpus: Iterable[str] | None = None,
        min_driver: str | None = None,
        rims: RimSource | None = None,
        allow_expired_rims: bool = False,
    ) -> TrustPolicy:
        """Accept keys for which genuine NVIDIA GPUs vouch, by their evidence alone.

        That binds the key to a GPU, not to a confidential machine: `not_proven` of
        each result says what remains open, and docs/attestation.md why.

        Args:
            nonce: The contract's current nonce, or where to read it. It is never
                taken from the proxy, whose evidence it has to show to be fresh.
            gpus: Ids of the chips that may vouch; None for any. All of a node's GPUs
                have to be among them.
            min_driver: The oldest driver that is acceptable, such as `570.124.06`.
            rims: NVIDIA's reference measurements for the drivers and VBIOSes that are
                acceptable: a folder, which is read now, or the documents. All GPUs
                then have to match them.
            allow_expired_rims: Accept reference values whose signer was valid once and
                no longer is, which happens two years after they were published.

        Raises:
            InvalidInputError: An argument cannot mean anything.
            AttestationError: A reference document is broken, or not NVIDIA's.
        """
        from ._offline import nvidia_offline  # noqa: PLC0415

        return nvidia_offline(
            nonce=nonce,
            gpus=gpus,
            min_driver=min_driver,
            rims=rims,
            allow_expired_rims=allow_expired_rims,
        )

    @staticmethod
    def on_first_use(pins: PinStore, policy: TrustPolicy) -> TrustPolicy:
        """Accept what `policy` accepts, of nodes that stay as they were first met.

        A node is the chips of its GPUs, where the policy names any, and the address
        that signs its answers. The first contact is believed, and reported as skipped.

        Args:
            pins: Where they are kept; see `PinFile`.
            policy: Appraises the key, and is asked first.

        Raises:
            InvalidInputError: `policy` is one that remembers by itself.
        """
        from ._first_use import OnFirstUse  # noqa: PLC0415

        return OnFirstUse(pins, policy)

    @staticmethod
    def signed_by(signers: Mapping[int, str]) -> TrustPolicy:
        """Accept only nodes given here, and answers signed with their Sui address.

        It says nothing about a key: an answer is compared after the request was sealed.
        Join it with a policy that does, by `&`. All signatures are then checked, those
        of each event of a stream among them; see `knows_signers`.

        Raises:
            InvalidInputError: No node was given, or an address is none.
        """
        from ._signed_by import signed_by  # noqa: PLC0415

        return signed_by(signers)

    @staticmethod
    def nras(
        *,
        nonce: int | SuiContract,
        url: str | None = None,
        api_key: str | None = None,
        gpus: Iterable[str] | None = None,
        min_driver: str | None = None,
    ) -> TrustPolicy:
        """Accept what `nvidia_offline` does and NVIDIA's service finds in order.

        The service adds firmware measurements and revocation. It is sent the evidence,
        from which it learns which GPUs you are about to use, and its terms are
        NVIDIA's: see docs/attestation.md.

        Args:
            nonce: As for `nvidia_offline`, as are `gpus` and `min_driver`.
            url: Address of the service, which also has to be the issuer of its
                tokens; None for NVIDIA's own.
            api_key: NVIDIA's key for it, if it asks for one; not kept in a pickle.
            gpus: Ids of the chips that may vouch.
            min_driver: The oldest driver that is acceptable.

        Raises:
            InvalidInputError: An argument cannot mean anything.
        """
        from ._remote import nras  # noqa: PLC0415
        from .nras import NRAS_URL  # noqa: PLC0415

        return nras(
            nonce=nonce,
            url=NRAS_URL if url is None else url,
            api_key=api_key,
            gpus=gpus,
            min_driver=min_driver,
        )
