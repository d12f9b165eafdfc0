"""What was checked for one answer, in values small enough to keep and to trace."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from .attestation import AttestationResult, OpenPoint

__all__ = ["Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was checked for one answer; nothing skipped is reported as passed.

    Attributes:
        sealed: Whether request and answer crossed the network only sealed.
        assurance: The strongest reason for which the node's key was accepted; see
            `Assurance`. `none` for a plain endpoint.
        policy: Name of the trust policy that accepted it; `none` likewise.
        not_proven: What remains open, in a few words: see docs/threat-model.md.
        node: The node's number as the proxy gave it; -1 for a plain endpoint.
        key: Fingerprint of the node's key: the first 16 hex digits of its digest.
        stream: `none` (not asked for), `buffered`, `live` or `live-nonce-reused`.
        hash: `verified`, or `unchecked` for a plain endpoint.
        signature: `skipped`; or it verifies, by an address that is known for the node,
            `pinned`, or that nobody vouches for, `unpinned`: that one proves no more
            than the hash does (protocol 3.4).
        blinded: Whether length and digest of the request were hidden.
    """

    sealed: bool
    assurance: str
    policy: str
    not_proven: str
    node: int
    key: str
    stream: str
    hash: str
    signature: str
    blinded: bool

    @classmethod
    def of_sealed(
        cls, why: AttestationResult, *, node: int, stream: str, signature: str
    ) -> Verdict:
        """Return what holds for each answer that the sealed path hands out."""
        return cls(
            sealed=True,
            assurance=why.assurance.value,
            policy=why.policy,
            not_proven=", ".join(map(_in_short, why.not_proven)),
            node=node,
            key=why.key,
            stream=stream,
            hash="verified",
            signature=signature,
            blinded=True,
        )

    @classmethod
    def plain(cls, stream: str) -> Verdict:
        """Return what holds for an answer of a plain endpoint: nothing."""
        return cls(
            sealed=False,
            assurance="none",
            policy="none",
            not_proven="everything",
            node=-1,
            key="",
            stream=stream,
            hash="unchecked",
            signature="skipped",
            blinded=False,
        )

    def as_dict(self) -> dict[str, bool | int | str]:
        """Return the fields as plain values, for the frameworks' metadata."""
        return asdict(self)


def _in_short(point: OpenPoint) -> str:
    return point.name.lower().replace("_", " ")
