"""NVIDIA's Remote Attestation Service: what to send it, and what its token has to say.

Nothing here is sent. The token is a detached EAT (RFC 9711): one token about all GPUs
with the digests of the tokens about each, all of them JWTs (RFC 7519). The keys come
from the service itself, so it is believed as far as the TLS connection to it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from atoma_confidential._json import dump
from atoma_confidential.errors import (
    DeviceNotAllowedError,
    EvidenceFormatError,
    EvidenceRejectedError,
    KeyNotBoundError,
    MeasurementMismatchError,
    VerifierUnavailableError,
)

from ._document import MAX_RESPONSE, json_object
from .chain import verify_raw
from .evidence import EvidenceItem
from .policy import Fetch, Fetched
from .report import SIGNATURE_BYTES
from .result import Gpu

__all__ = ["NRAS_URL", "Appraised", "attest_request", "check_token", "keys_request"]

NRAS_URL = "https://nras.attestation.nvidia.com"

_OK = 200
_ARCHITECTURES = {"GH100": "HOPPER", "GB100": "BLACKWELL"}
_LEEWAY = 60  # seconds that our clock may be behind
_COORDINATE_BYTES = 48
_CERTIFICATES = "x-nvidia-gpu-attestation-report-cert-chain"
_REVOCATION = "x-nvidia-cert-ocsp-status"


@dataclass(frozen=True, slots=True)
class Appraised:
    """What the service says of all GPUs.

    Attributes:
        expires_at: Unix time at which the first of its tokens ends.
        not_revoked: Whether it says so of each; it need not say anything.
    """

    expires_at: float
    not_revoked: bool


def attest_request(
    url: str,
    items: Iterable[EvidenceItem],
    *,
    model: str,
    nonce: bytes,
    api_key: str | None,
) -> Fetch:
    """Return the request that has GPUs of one model appraised."""
    body = {
        "nonce": nonce.hex(),
        "arch": _ARCHITECTURES[model],
        "claims_version": "3.0",
        "evidence_list": [
            {
                "evidence": base64.b64encode(item.report).decode(),
                "certificate": base64.b64encode(item.certificate_chain).decode(),
            }
            for item in items
        ],
    }
    headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
    return Fetch(f"{url}/v4/attest/gpu", dump(body), headers)


def keys_request(url: str) -> Fetch:
    """Return the request for the keys that sign the tokens."""
    return Fetch(f"{url}/.well-known/jwks.json")


def check_token(
    answer: Fetched,
    keys: Fetched,
    *,
    issuer: str,
    nonce: bytes,
    gpus: Sequence[Gpu],
    now: float,
) -> Appraised:
    """Return what the service found, if it is about these GPUs and this nonce.

    Args:
        answer: What came of `attest_request`.
        keys: What came of `keys_request`.
        issuer: Who has to have issued the tokens: the address of the service.
        nonce: The nonce that the GPUs signed.
        gpus: The GPUs whose evidence was verified here.
        now: Unix time, in seconds.

    Raises:
        VerifierUnavailableError: The service refused, or its tokens cannot be used:
            not signed by its keys, not valid now, or off their format.
        KeyNotBoundError: The tokens are about another nonce.
        EvidenceRejectedError: The service rejects the evidence.
        MeasurementMismatchError: It finds other measurements, or debugging on.
        DeviceNotAllowedError: The tokens are about other GPUs.
    """
    overall, tokens = _answer(answer)
    reader = _Tokens(_keys(keys), issuer=issuer, nonce=nonce, now=now)
    claims = reader.read(overall)
    if claims.get("x-nvidia-overall-att-result") is not True:
        raise EvidenceRejectedError("NVIDIA's service rejects the evidence.")
    _check_digests(claims.get("submods"), tokens)
    parts = [reader.read(token) for token in tokens.values()]
    for part in parts:
        _check_gpu(part)
    identities = sorted(str(part.get("ueid")) for part in parts)
    if identities != sorted(gpu.leaf_serial for gpu in gpus):
        raise DeviceNotAllowedError("NVIDIA's service answered about other GPUs.")
    return Appraised(reader.expires_at, all(map(_is_not_revoked, parts)))


class _Tokens:
    """Checks one token after the other against the same keys, issuer and nonce."""

    def __init__(
        self,
        keys: Mapping[str, ec.EllipticCurvePublicKey],
        *,
        issuer: str,
        nonce: bytes,
        now: float,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._nonce = nonce
        self._now = now
        self.expires_at = float("inf")

    def read(self, token: str) -> dict[str, Any]:
        """Return the claims of a token (RFC 7515 section 5.2, RFC 7519 section 7.2)."""
        signed, _, signature_text = token.rpartition(".")
        header_text, _, payload_text = signed.partition(".")
        header, claims = _object(header_text), _object(payload_text)
        match header:
            case {"alg": "ES384", "kid": str(name)} if "crit" not in header:
                key = self._keys.get(name)
            case _:
                raise _unusable("its token is of another kind")
        signature = _decoded(signature_text)
        if key is None or len(signature) != SIGNATURE_BYTES:
            raise _unusable("none of its keys is that of its token")
        if not verify_raw(key, signature, signed.encode()):
            raise _unusable("its token was not signed by its key")
        self._check_claims(claims)
        return claims

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != self._issuer:
            raise _unusable("its token was issued by somebody else")
        begins, ends = claims.get("nbf"), claims.get("exp")
        if type(begins) is not int or type(ends) is not int:
            raise _unusable("its token does not say when it is valid")
        if not begins - _LEEWAY <= self._now < ends:
            raise _unusable("its token is not valid at this time")
        nonce = claims.get("eat_nonce")
        if claims.get("x-nvidia-error-details") is not None:
            raise EvidenceRejectedError("NVIDIA's service reports an error with a GPU.")
        if not isinstance(nonce, str) or not hmac.compare_digest(
            nonce.encode(errors="replace"), self._nonce.hex().encode()
        ):
            raise KeyNotBoundError("NVIDIA's service answered about another nonce.")
        self.expires_at = min(self.expires_at, ends)


def _answer(answer: Fetched) -> tuple[str, dict[str, str]]:
    """Return the overall token, and those about each GPU by name."""
    if answer.status != _OK:
        raise VerifierUnavailableError(
            f"NVIDIA's service refused the evidence ({answer.status})."
        )
    try:
        small = len(answer.body) <= MAX_RESPONSE
        value = json.loads(answer.body.decode()) if small else None
    except (ValueError, RecursionError):
        value = None
    match value:
        case [["JWT", str(overall)], dict(tokens)] if tokens and all(
            isinstance(token, str) and token.isascii() for token in tokens.values()
        ):
            return overall, tokens
    raise _unusable("it is not a token")


def _keys(answer: Fetched) -> dict[str, ec.EllipticCurvePublicKey]:
    if answer.status != _OK:
        raise VerifierUnavailableError(
            f"NVIDIA's service did not give its keys ({answer.status})."
        )
    found: dict[str, ec.EllipticCurvePublicKey] = {}
    try:
        listed = json_object(answer.body, "The list of keys").get("keys")
    except EvidenceFormatError:
        listed = None
    for item in listed if isinstance(listed, list) else []:
        match item:
            case {
                "kty": "EC",
                "crv": "P-384",
                "kid": str(name),
                "x": str(x),
                "y": str(y),
            }:
                if name in found:
                    raise _unusable("two of its keys have one name")
                found[name] = _point(x, y)
    return found


def _point(x: str, y: str) -> ec.EllipticCurvePublicKey:
    coordinates = _decoded(x), _decoded(y)
    if any(len(coordinate) != _COORDINATE_BYTES for coordinate in coordinates):
        raise _unusable("one of its keys is none")
    first, second = (int.from_bytes(coordinate, "big") for coordinate in coordinates)
    try:
        numbers = ec.EllipticCurvePublicNumbers(first, second, ec.SECP384R1())
        return numbers.public_key()
    except ValueError:
        raise _unusable("one of its keys is none") from None


def _check_digests(submods: object, tokens: Mapping[str, str]) -> None:
    """Check that each GPU's token is the one that the overall token means."""
    expected = {
        name: ["DIGEST", ["SHA-256", hashlib.sha256(token.encode()).hexdigest()]]
        for name, token in tokens.items()
    }
    if submods != expected:
        raise _unusable("its tokens do not belong together")


def _check_gpu(claims: Mapping[str, Any]) -> None:
    if claims.get("measres") != "success":
        raise MeasurementMismatchError("NVIDIA's service finds other measurements.")
    if claims.get("secboot") is not True or claims.get("dbgstat") != "disabled":
        raise MeasurementMismatchError(
            "NVIDIA's service finds debugging on, or no secure boot."
        )
    if _revocation(claims) not in {None, "good"}:
        raise EvidenceRejectedError("NVIDIA's service finds a certificate revoked.")


def _is_not_revoked(claims: Mapping[str, Any]) -> bool:
    return _revocation(claims) == "good"


def _revocation(claims: Mapping[str, Any]) -> object:
    chain = claims.get(_CERTIFICATES)
    status = chain.get(_REVOCATION) if isinstance(chain, dict) else None
    return status if status is None or isinstance(status, str) else ""


def _object(text: str) -> dict[str, Any]:
    try:
        return json_object(_decoded(text), "A part of the token")
    except EvidenceFormatError:
        raise _unusable("its token cannot be read") from None


def _decoded(text: str) -> bytes:
    """Decode base64url without padding, in its one form (RFC 7515 section 2)."""
    padded = text + "=" * (-len(text) % 4)
    try:
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
    except ValueError:
        data = b""
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != text:
        raise _unusable("its token cannot be read")
    return data


def _unusable(why: str) -> VerifierUnavailableError:
    return VerifierUnavailableError(
        f"The answer of NVIDIA's service cannot be used: {why}."
    )
