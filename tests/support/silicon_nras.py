"""Plays NVIDIA's attestation service: answers with tokens that it signs."""

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric import ec
from silicon import NOW, raw

URL = "https://nras.attestation.nvidia.com"
CHAIN = "x-nvidia-gpu-attestation-report-cert-chain"


def b64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Service:
    """Has a key; what it says may be changed, before or after it signs."""

    kid = "nv-eat-kid-test"

    def __init__(self, curve=None):
        self.key = ec.generate_private_key(curve or ec.SECP384R1())

    def jwks(self, **changes):
        numbers = self.key.public_key().public_numbers()
        key = {
            "kty": "EC",
            "crv": "P-384",
            "kid": self.kid,
            "x": b64url(numbers.x.to_bytes(48, "big")),
            "y": b64url(numbers.y.to_bytes(48, "big")),
            "x5c": ["not read"],
        }
        return {"keys": [{"kty": "RSA", "kid": "other"}, key | changes]}

    def token(self, claims, *, key=None, **header):
        head = {"kid": self.kid, "alg": "ES384"} | header
        signed = ".".join(b64url(json.dumps(part).encode()) for part in (head, claims))
        return f"{signed}.{b64url(raw(key or self.key, signed.encode()))}"

    def answer(self, nonce, serials, *, gpu=None, overall=None, submods=None):
        """Return what it answers about GPUs with these serial numbers."""
        base = {"iss": URL, "nbf": int(NOW), "iat": int(NOW), "exp": int(NOW) + 3600}
        base["eat_nonce"] = nonce.hex()
        tokens = {
            f"GPU-{number}": self.token(
                base
                | {"ueid": serial, "measres": "success", "secboot": True}
                | {"dbgstat": "disabled", CHAIN: {"x-nvidia-cert-ocsp-status": "good"}}
                | (gpu or {})
            )
            for number, serial in enumerate(serials)
        }
        digests = {
            name: ["DIGEST", ["SHA-256", hashlib.sha256(text.encode()).hexdigest()]]
            for name, text in tokens.items()
        }
        claims = {
            "x-nvidia-overall-att-result": True,
            "submods": digests if submods is None else submods(digests),
        }
        return [["JWT", self.token(base | claims | (overall or {}))], tokens]
