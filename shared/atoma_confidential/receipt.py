"""A node's signature over the digest of a reply: checking it, and keeping it.

Cryptography only: bytes in, a `Signer` out. Whether that signer is one to trust is
not decided here. The public key travels inside the signature and what is signed
is the digest alone, so a signature by an unknown address proves neither who answered
nor when (protocol 3.4): compare `Signer.address` with one known for the node.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from ._base64 import decoded
from ._json import once_each
from .errors import Exposure, ReceiptError

__all__ = ["Receipt", "Scheme", "Signer", "verify_signature"]

Scheme = Literal["ed25519", "secp256k1", "secp256r1"]

_DIGEST_BYTES = 32
_SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Signer:
    """Who made a signature that verified."""

    scheme: Scheme
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
_P = 2**255 - 19
_SMALL_ORDER = frozenset(
    {
        *(0, 1, _P - 1, _P, _P + 1),
        0x05FC536D_880238B1_3933C6D3_05ACDFD5_F098EFF2_89F4C345_B027B2C2_8F95E826,
        0x7A03AC92_77FDC74E_C6CC392C_FA53202A_0F67100D_760B3CBA_4FD84D3D_706A17C7,
    }
)
"""Encodings of Ed25519's points of order 1, 2, 4 and 8, but for the bit of the sign."""
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
            _verify_ed25519(public_key, raw, digest)
        else:
            _verify_ecdsa(ecdsa, public_key, raw, digest)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise _refused("The node's signature does not verify.") from error
    address = f"0x{_digest(bytes([flag]) + public_key).hex()}"
    return Signer(ecdsa.scheme if ecdsa else "ed25519", public_key, address)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A node's signature over one answer, to be kept and checked again later.

    What is signed is the digest alone. The other fields are what its holder noted
    beside it, and can be changed by whoever holds it: a receipt shows that an address
    has signed these bytes, and neither for whom, nor when, nor in answer to what.

    Attributes:
        node: The node's number, as the proxy gave it.
        key: Fingerprint of the key that the request was sealed to.
        model: The model that the engine says it served.
        digest: BLAKE2b-256 of the exact bytes that were opened.
        signature: A Sui serialised signature over that digest.
        address: The signer's Sui address.
        scheme: The signature's scheme.
        issued_at: Unix time, in seconds, by the clock of who got the answer.
    """

    node: int
    key: str
    model: str
    digest: bytes
    signature: bytes
    address: str
    scheme: Scheme
    issued_at: int

    def verify(
        self, *, answer: bytes | None = None, address: str | None = None
    ) -> Signer:
        """Return who signed; a check that is not asked for is not made.

        Args:
            answer: The exact bytes that the digest must be of; see `ChatReply.opened`.
            address: The Sui address that must have signed.

        Raises:
            ReceiptError: The signature does not verify, is by another address, or is
                over another answer.
        """
        signer = verify_signature(self.signature, self.digest)
        if (signer.address, signer.scheme) != (self.address, self.scheme):
            raise _refused("The receipt names another signer than its signature.")
        if address is not None and signer.address != address.lower():
            raise _refused(f"The receipt is signed by {signer.address}.")
        if answer is not None and _digest(answer) != self.digest:
            raise _refused("The receipt is for another answer.")
        return signer

    def to_json(self) -> str:
        """Return the receipt as one line of JSON; the answer is not in it."""
        written: dict[str, Any] = {"version": _VERSION, **asdict(self)}
        for name in ("digest", "signature"):
            written[name] = base64.b64encode(written[name]).decode("ascii")
        return json.dumps(written, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the receipt that was written; whether it is genuine, `verify` says.

        Raises:
            ReceiptError: It is not what `to_json` writes, or of another version.
        """
        fields = _parse(text)
        version = fields.pop("version", None)
        if version != _VERSION or type(version) is not int:
            raise _refused(f"This is no receipt of version {_VERSION}.")
        if fields.keys() != _READERS.keys():
            raise _refused("A receipt has other fields than this.")
        values = {name: read(fields[name]) for name, read in _READERS.items()}
        if misfits := [name for name, value in values.items() if value is None]:
            raise _refused(f"No receipt has such a value: {', '.join(misfits)}.")
        return cls(**values)


def _parse(text: str | bytes) -> dict[str, Any]:
    try:
        fields = json.loads(text, object_pairs_hook=once_each)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise _refused("This is no receipt.")
    return fields


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 64 else None


def _text(pattern: str) -> Callable[[Any], str | None]:
    def read(value: Any) -> str | None:
        fits = isinstance(value, str) and re.fullmatch(pattern, value)
        return value if fits else None

    return read


_VERSION = 1

_READERS: dict[str, Callable[[Any], Any]] = {
    "node": _count,
    "key": _text(r"[0-9a-f]{16}"),
    "model": _text(r"(?s).+"),
    "digest": decoded,
    "signature": decoded,
    "address": _text(r"0x[0-9a-f]{64}"),
    "scheme": _text(r"ed25519|secp256k1|secp256r1"),
    "issued_at": _count,
}
"""Each returns None for what no receipt holds there."""


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


def _verify_ed25519(public_key: bytes, signature: bytes, digest: bytes) -> None:
    if _is_small_order(public_key) or _is_small_order(signature[:32]):
        raise InvalidSignature  # one signature would be valid for any digest
    Ed25519PublicKey.from_public_bytes(public_key).verify(signature, digest)


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


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _is_small_order(point: bytes) -> bool:
    return int.from_bytes(point, "little") % 2**255 in _SMALL_ORDER


def _refused(message: str) -> ReceiptError:
    return ReceiptError(message, Exposure.SEALED)
