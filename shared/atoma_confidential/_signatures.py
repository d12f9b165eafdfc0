"""What the node's signatures under one answer show, and the receipt made of them."""

from __future__ import annotations

from ._reply import Opened
from ._wire import Lease
from .attestation import TrustPolicy
from .errors import AttestationError, Exposure, ReceiptError
from .receipt import Receipt, Signer, verify_signature

__all__ = ["Signatures"]


class Signatures:
    """Who has signed one answer: the whole of it, or each of its events.

    Args:
        trust: Knows which node signs as whom.
        lease: The node that the request was sealed for.
    """

    def __init__(self, trust: TrustPolicy, lease: Lease) -> None:
        self._trust = trust
        self._lease = lease
        self._signer: Signer | None = None
        self._pinned = False

    @property
    def outcome(self) -> str:
        """What a verdict says of them."""
        if self._signer is None:
            return "skipped"
        return "pinned" if self._pinned else "unpinned"

    def check(self, signature: bytes, digest: bytes) -> None:
        """Check one; all must be by the same signer.

        Raises:
            ReceiptError: It does not verify, or is by another than the one before.
            PinMismatchError: The node is known to sign as somebody else.
        """
        signer = verify_signature(signature, digest)
        if self._signer is None:
            self._pinned = self._is_pinned(signer)
            self._signer = signer
        elif signer != self._signer:
            raise ReceiptError("The signer changed within a stream.", Exposure.SEALED)

    def receipt(self, opened: Opened, *, issued_at: int) -> Receipt | None:
        """Return what can be kept of a whole answer that was checked."""
        if self._signer is None:
            return None
        return Receipt(
            node=self._lease.node,
            key=self._lease.recipient.fingerprint,
            model=opened.body["model"],
            digest=opened.digest,
            signature=opened.signature,
            address=self._signer.address,
            scheme=self._signer.scheme,
            issued_at=issued_at,
        )

    def _is_pinned(self, signer: Signer) -> bool:
        try:
            return self._trust.appraise_signer(self._lease.node, signer)
        except AttestationError as error:
            error.exposure = Exposure.SEALED  # a policy cannot know
            raise
