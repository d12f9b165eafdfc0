"""What was checked for one answer, in values small enough to keep and to trace."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was checked for one answer; nothing skipped is reported as passed.

    Attributes:
        sealed: Whether request and answer crossed the network only sealed.
        assurance: Name of the trust policy that accepted the node's key; `none` for a
            plain endpoint.
        node: The node's number as the proxy gave it; -1 for a plain endpoint.
        key: Fingerprint of the node's key: the first 16 hex digits of its digest.
        stream: `none` (not asked for), `buffered`, `live` or `live-nonce-reused`.
        hash: `verified`, or `unchecked` for a plain endpoint.
        signature: `skipped`: without an address to compare with, the node's signature
            proves no more than the hash does (protocol 3.4).
        blinded: Whether length and digest of the request were hidden.
    """

    sealed: bool
    assurance: str
    node: int
    key: str
    stream: str
    hash: str
    signature: str
    blinded: bool

    @classmethod
    def of_sealed(cls, *, assurance: str, node: int, key: str, stream: str) -> Verdict:
        """Return what holds for each answer that the sealed path hands out."""
        return cls(
            sealed=True,
            assurance=assurance,
            node=node,
            key=key,
            stream=stream,
            hash="verified",
            signature="skipped",
            blinded=True,
        )

    @classmethod
    def plain(cls, stream: str) -> Verdict:
        """Return what holds for an answer of a plain endpoint: nothing."""
        return cls(
            sealed=False,
            assurance="none",
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
