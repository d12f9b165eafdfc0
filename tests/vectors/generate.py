"""Writes the wire's test vectors beside itself; run it after a change on purpose.

Requests are sealed by the package itself, with fixed keys; everything that a node or a
proxy says is built in `node_half`. Each case names its outcome in `expect`; nothing in
the files depends on Python.
"""

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from error_cases import errors
from evidence_cases import attestation
from lock_cases import locks
from node_half import SIGNER, blake2b
from receipt_cases import receipts
from reply_cases import replies
from request_cases import blinding, requests
from stream_cases import streams


def constants() -> dict:
    signer = Ed25519PrivateKey.from_private_bytes(SIGNER).public_key()
    public_key = signer.public_bytes_raw()
    return {
        "x25519_public_key_bytes": 32,
        "salt_bytes": 16,
        "nonce_bytes": 12,
        "gcm_tag_bytes": 16,
        "aes_key_bytes": 32,
        "hash_bytes": 32,
        "hkdf": "HKDF-SHA256(salt=salt, ikm=shared_secret, info=empty, L=32)",
        "hash": "BLAKE2b, digest_size=32 (not a truncation of BLAKE2b-512)",
        "base64": "RFC 4648 section 4, padded",
        "aad": "empty",
        "node_signing_identity": {
            "scheme": "ed25519",
            "seed_hex": SIGNER.hex(),
            "public_key_hex": public_key.hex(),
            "sui_address": "0x" + blake2b(b"\0" + public_key).hex(),
        },
    }


def render() -> dict[str, str]:
    """Return the text of each file by its name."""
    files = {
        "attestation": attestation(),
        "blinding": {"cases": blinding()},
        "constants": constants(),
        "errors": {"cases": errors()},
        "locks": {"cases": locks()},
        "receipts": {"cases": receipts()},
        "replies": {"cases": replies()},
        "requests": {"cases": requests()},
        "streams": {"cases": streams()},
    }
    return {
        f"{name}.json": json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        for name, value in files.items()
    }


if __name__ == "__main__":
    for name, text in render().items():
        (Path(__file__).parent / name).write_text(text, encoding="utf-8", newline="\n")
