"""Errors of the reasons to trust a node: its key, its evidence, its signature."""

from __future__ import annotations

from ._base import ConfidentialError

__all__ = [
    "AttestationError",
    "ChainRejectedError",
    "DeviceNotAllowedError",
    "EvidenceFormatError",
    "EvidenceRejectedError",
    "EvidenceSignatureError",
    "EvidenceUnavailableError",
    "FirmwareIdMismatchError",
    "KeyNotBoundError",
    "MeasurementMismatchError",
    "MissingEvidenceSourceError",
    "PinFileError",
    "PinMismatchError",
    "ReceiptError",
    "UnusableKeyError",
    "VerifierUnavailableError",
]


class AttestationError(ConfidentialError):
    """The trust policy refused the node's key; nothing was sealed to it."""

    advice = "Do not retry blindly: compare the key with one you trust."


class UnusableKeyError(AttestationError):
    """The key is not a usable X25519 public key (RFC 7748 section 6.1)."""

    advice = "The proxy handed out a broken or hostile key; report it."


class EvidenceUnavailableError(AttestationError):
    """There is no evidence to appraise, or no fresh nonce to appraise it with."""

    advice = "Try again later; until then the key could not be checked."


class MissingEvidenceSourceError(EvidenceUnavailableError):
    """The policy needs the nodes' records, and nobody said where they are."""

    advice = "Pass attestation_url=, or set ATOMA_ATTESTATION_URL."


class EvidenceFormatError(AttestationError):
    """Evidence that cannot be read, or exceeds the limits of its format."""

    advice = "Fetch it again; if it stays unreadable, do not trust the key."


class EvidenceRejectedError(AttestationError):
    """Evidence was read, and does not support the key."""

    advice = "Do not use this node; report the failed check."


class ChainRejectedError(EvidenceRejectedError):
    """A device's certificates do not lead to the vendor's root as they must."""


class EvidenceSignatureError(EvidenceRejectedError):
    """A report was not signed by the device whose certificates came with it."""


class FirmwareIdMismatchError(EvidenceRejectedError):
    """A report names another firmware than its device's certificate."""


class KeyNotBoundError(EvidenceRejectedError):
    """A genuine report that is about another key, or answers another nonce."""


class DeviceNotAllowedError(EvidenceRejectedError):
    """A device of another kind, one listed twice, or one that is not allowed."""


class MeasurementMismatchError(EvidenceRejectedError):
    """A device measures otherwise than the reference values of its vendor."""


class PinMismatchError(AttestationError):
    """A key, device or signer differs from the one that was pinned."""

    advice = "If the change is expected, pin it: in a file, with `atoma trust accept`."


class PinFileError(AttestationError):
    """The file of pins cannot be used."""

    advice = "Put it right, or remove it with its log to start over."


class VerifierUnavailableError(AttestationError):
    """A service that the policy asks could not be reached, or refused."""

    advice = "Try again later; until then the key could not be checked."


class ReceiptError(ConfidentialError):
    """A node's signature is malformed or does not verify."""

    advice = "Do not rely on this receipt; the answer itself may still be genuine."
