"""Following certificates to a pinned root.

Of the root only its fingerprint is trusted, and the whole chain is given: there is
nothing to search for, so the general path building of web PKI is not wanted. All of
NVIDIA's certificates are P-384 with SHA-384. Whether they are valid *now* is left to
the caller, who may have a reason to tell that apart (`validity`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.utils import CryptographyDeprecationWarning

from atoma_confidential.errors import ChainRejectedError, EvidenceFormatError

__all__ = ["Chain", "load_chain", "load_pem_chain", "verify_raw"]

_PEM = re.compile(
    rb"-----BEGIN CERTIFICATE-----\n"
    rb"((?:[0-9A-Za-z+/]{64}\n)*[0-9A-Za-z+/=]{1,64})\n"
    rb"-----END CERTIFICATE-----\n"
)
_KNOWN_CRITICAL = (x509.BasicConstraints.oid, x509.KeyUsage.oid)
_UNREADABLE = (
    *(ValueError, TypeError, UnsupportedAlgorithm),
    *(x509.InvalidVersion, x509.UnsupportedGeneralNameType),  # which are neither
    CryptographyDeprecationWarning,  # of a serial number, where warnings are errors
)
_COORDINATE_BYTES = 48


@dataclass(frozen=True, slots=True)
class Chain:
    """Certificates, leaf first, that were followed to the pinned root.

    Attributes:
        leaf: The certificate whose key signs.
        begins: Unix time from which on all of them are valid.
        ends: Unix time after which one of them no longer is.
    """

    leaf: x509.Certificate
    begins: float
    ends: float

    def key(self) -> ec.EllipticCurvePublicKey:
        """Return the public key of the leaf."""
        return _key(self.leaf)


def load_pem_chain(pem: bytes, *, levels: int, root: bytes) -> Chain:
    """Return the chain in PEM with nothing else in it; see `load_chain`.

    Only the last line end may be missing. Text that is not the one encoding of its
    certificates is refused, so that equal chains are equal bytes.
    """
    text = pem if pem.endswith(b"\n") else pem + b"\n"
    blocks = [found[1].replace(b"\n", b"") for found in _PEM.finditer(text)]
    ders = [_decode(block) for block in blocks]
    if b"".join(map(_encode, ders)) != text:
        raise EvidenceFormatError("The certificates are not plain PEM.")
    return load_chain(ders, levels=levels, root=root)


def load_chain(ders: Sequence[bytes], *, levels: int, root: bytes) -> Chain:
    """Return a chain that leads to the pinned root, whatever the date.

    Args:
        ders: The certificates, each signed by the next one.
        levels: How many there have to be.
        root: SHA-256 of the last one.

    Raises:
        EvidenceFormatError: A certificate cannot be read.
        ChainRejectedError: They are too few or too many, end at another root, or one
            was not issued by the next, or is not what its place asks for.
    """
    if len(ders) != levels:
        raise ChainRejectedError(
            f"There are {len(ders)} certificates where {levels} are expected."
        )
    if hashlib.sha256(ders[-1]).digest() != root:
        raise ChainRejectedError("The certificates lead to another root.")
    try:
        chain = [x509.load_der_x509_certificate(der) for der in ders]
        # From the root, whose own signature says nothing: its fingerprint is pinned.
        # So names and extensions are read only of what was signed under it.
        for issuer, child in pairwise(reversed(chain)):
            _check_issued(child, issuer)
        _check_leaf(chain[0])
        for depth, issuer in enumerate(chain[1:]):
            _check_issuer(issuer, below=depth)
        begins = max(c.not_valid_before_utc.timestamp() for c in chain)
        ends = min(c.not_valid_after_utc.timestamp() for c in chain)
    except (x509.ExtensionNotFound, x509.DuplicateExtension):
        failed = "an extension is missing or comes twice"
    except _UNREADABLE:
        failed = ""
    else:
        return Chain(chain[0], begins, ends)
    # Outside the handlers: what they caught may quote the certificate.
    if failed:
        raise _rejected(failed)
    raise EvidenceFormatError("A certificate cannot be read.")


def verify_raw(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    """Tell whether a raw P-384 signature, big-endian r and s, is over these bytes."""
    r, s = signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]
    encoded = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    try:
        key.verify(encoded, signed, ec.ECDSA(SHA384()))
    except InvalidSignature:
        return False
    return True


def _decode(block: bytes) -> bytes:
    try:
        return base64.b64decode(block, validate=True)
    except ValueError:
        return b""  # which encodes to something else


def _encode(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = b"\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    return b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % lines


def _key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
        key.curve, ec.SECP384R1
    ):
        raise _rejected("a key is not on P-384")
    return key


def _check_issued(child: x509.Certificate, issuer: x509.Certificate) -> None:
    _key(issuer)
    if not isinstance(child.signature_hash_algorithm, SHA384):
        raise _rejected("one is not signed over SHA-384")
    try:
        child.verify_directly_issued_by(issuer)
    except InvalidSignature:
        failed = "one was not signed by the next"
    except ValueError:
        failed = "one does not name the next as its issuer"
    else:
        return
    raise _rejected(failed)


def _check_issuer(issuer: x509.Certificate, *, below: int) -> None:
    """Check that a certificate may sign others, `below` of which are issuers too."""
    _check_critical(issuer.extensions)
    constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    if not constraints.ca or not usage.key_cert_sign:
        raise _rejected("one may not issue certificates")
    if constraints.path_length is not None and below > constraints.path_length:
        raise _rejected("one may not issue certificates of issuers")


def _check_leaf(leaf: x509.Certificate) -> None:
    _check_critical(leaf.extensions)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    authority = any(
        extension.value.ca
        for extension in leaf.extensions
        if isinstance(extension.value, x509.BasicConstraints)
    )
    if authority or not usage.digital_signature:
        raise _rejected("the first one is not for signing reports")
    _key(leaf)


def _check_critical(extensions: Iterable[x509.Extension[x509.ExtensionType]]) -> None:
    if any(e.critical and e.oid not in _KNOWN_CRITICAL for e in extensions):
        raise _rejected("one has a critical extension that is not known here")


def _rejected(why: str) -> ChainRejectedError:
    return ChainRejectedError(f"The certificates do not hold: {why}.")
