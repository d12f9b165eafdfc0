"""Checking a node's signature over the digest of a reply.

Cryptography only: bytes in, a `Signer` out. Whether that signer is one to trust is
not decided here. The public key travels inside the signature and what is signed
is the digest alone, so a signature by an unknown address proves neither who answered
nor when (protocol 3.4): compare `Signer.address` with one known for the node.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from .errors import Exposure, ReceiptError

__all__ = ["Signer", "verify_signature"]

_DIGEST_BYTES = 32
_SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Signer:
    """Who made a signature that verified."""

    scheme: Literal["ed25519", "secp256k1", "secp256r1"]
    public_key: bytes
    address: str
    """The Sui address: BLAKE2b-256 over flag and public key, in hex with "0x"."""


@dataclass(frozen=True, slots=True)
class _Ecdsa:
    """A curve of Sui's ECDSA schemes; public keys are compressed points."""

    scheme: Literal["secp256k1", "secp256r1"]
    curve: ec.EllipticCurve
    order: int  # SEC 2, sections 2.4.1 and 2.4.2


_ECDSA = {
    1: _Ecdsa(
        "secp256k1",
        ec.SECP256K1(),
        0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141,
    ),
    2: _Ecdsa(
        "secp256r1",
        ec.SECP256R1(),
        0xFFFFFFFF_00000000_FFFFFFFF_FFFFFFFF_BCE6FAAD_A7179E84_F3B9CAC2_FC632551,
    ),
}
_ED25519_FLAG = 0
_KEY_BYTES = {_ED25519_FLAG: 32, 1: 33, 2: 33}


def verify_signature(signature: bytes, digest: bytes) -> Signer:
    """Return who signed a response digest.

    Args:
        signature: A Sui serialised signature, `flag || signature || public key`.
        digest: The 32 bytes of BLAKE2b-256 that the reply was checked against.

    Raises:
        ReceiptError: The digest or signature is malformed, of a scheme that nodes do
            not use (multisig, zkLogin), malleable, or does not verify.
    """
    if len(digest) != _DIGEST_BYTES:
        raise _refused(f"A digest has {_DIGEST_BYTES} bytes, this one {len(digest)}.")
    flag, raw, public_key = _split(signature)
    ecdsa = _ECDSA.get(flag)
    try:
        if ecdsa is None:
            Ed25519PublicKey.from_public_bytes(public_key).verify(raw, digest)
        else:
            _verify_ecdsa(ecdsa, public_key, raw, digest)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise _refused("The node's signature does not verify.") from error
    address = hashlib.blake2b(bytes([flag]) + public_key, digest_size=32).hexdigest()
    return Signer(ecdsa.scheme if ecdsa else "ed25519", public_key, f"0x{address}")


def _split(signature: bytes) -> tuple[int, bytes, bytes]:
    """Return the flag, the signature proper and the public key."""
    if not signature or signature[0] not in _KEY_BYTES:
        raise _refused("The node's signature is of an unknown scheme.")
    flag = signature[0]
    expected = 1 + _SIGNATURE_BYTES + _KEY_BYTES[flag]
    if len(signature) != expected:
        raise _refused(
            f"A signature of this scheme has {expected} bytes, this one "
            f"{len(signature)}."
        )
    end = 1 + _SIGNATURE_BYTES
    return flag, signature[1:end], signature[end:]


def _verify_ecdsa(
    ecdsa: _Ecdsa, public_key: bytes, signature: bytes, digest: bytes
) -> None:
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    # Sui signs with the lower of the two valid s; the other is somebody's edit.
    if s > ecdsa.order // 2:
        raise InvalidSignature
    key = ec.EllipticCurvePublicKey.from_encoded_point(ecdsa.curve, public_key)
    # SHA-256 over a digest is meant: the signers hash once more (protocol 3.4).
    key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(SHA256()))


def _refused(message: str) -> ReceiptError:
    return ReceiptError(message, Exposure.SEALED)
