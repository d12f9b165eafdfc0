"""Requests as the package seals them, and what it must refuse to seal to."""

import json
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from node_half import (
    ALICE,
    BOB,
    CHAT_PATH,
    E5,
    FLUX,
    LLAMA,
    NODE_KEY,
    STACK_ID,
    Exchange,
    b64,
    compact,
    key_schedule,
    run,
)

from atoma_confidential.envelope import Recipient, _seal

LOW_ORDER_KEYS = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@dataclass(frozen=True)
class Fixed:
    """What `seal()` draws at random."""

    private_key: bytes
    salt: bytes
    nonce: bytes


def request(name: str, path: str, text: str, *, fixed: Fixed, units: int) -> Exchange:
    body = json.loads(text)
    plaintext = text.encode()
    private_key = X25519PrivateKey.from_private_bytes(fixed.private_key)
    envelope, _ = _seal(
        Recipient(NODE_KEY),
        plaintext,
        private_key=private_key,
        salt=fixed.salt,
        nonce=fixed.nonce,
    )
    shared, prk, key = key_schedule(envelope.encapsulated_key, envelope.salt)
    http_body = compact(
        {
            "ciphertext": b64(envelope.ciphertext),
            "stack_small_id": STACK_ID,
            "nonce": b64(envelope.nonce),
            "salt": b64(envelope.salt),
            "client_dh_public_key": b64(envelope.encapsulated_key),
            "node_dh_public_key": b64(NODE_KEY),
            "plaintext_body_hash": b64(envelope.plaintext_digest),
            "stream": body.get("stream", False),
            "model_name": body["model"],
            "num_compute_units": units,
        }
    )
    case = {
        "name": name,
        "expect": "ok",
        "endpoint": f"POST {path}",
        "client_private_key_hex": fixed.private_key.hex(),
        "client_public_key_hex": envelope.encapsulated_key.hex(),
        "node_private_key_hex": BOB.hex(),
        "node_public_key_hex": NODE_KEY.hex(),
        "salt_hex": envelope.salt.hex(),
        "nonce_hex": envelope.nonce.hex(),
        "shared_secret_hex": shared.hex(),
        "hkdf_prk_hex": prk.hex(),
        "aes_256_key_hex": key.hex(),
        "plaintext_utf8": plaintext.decode(),
        "plaintext_body_hash_hex": envelope.plaintext_digest.hex(),
        "ciphertext_with_tag_hex": envelope.ciphertext.hex(),
        "stack_small_id": STACK_ID,
        "model_name": body["model"],
        "stream": body.get("stream", False),
        "num_compute_units": units,
        "http_body": http_body,
        "http_content_length": len(http_body.encode()),
    }
    return Exchange(case, key, envelope.nonce)


HELLO = {
    "messages": [{"content": "Hello, Atoma! Grüße 👋", "role": "user"}],
    "model": LLAMA,
    "max_tokens": 64,
    "stream": False,
}
BLINDING = run(0xE0, 16)


def spell(random: bytes) -> str:
    """Return four whitespace characters for each byte, high bits first."""
    return "".join(" \t\n\r"[byte >> n & 3] for byte in random for n in (6, 4, 2, 0))


CHAT = request(
    "chat",
    CHAT_PATH,
    compact(HELLO),
    fixed=Fixed(ALICE, run(0, 16), run(0xA0, 12)),
    units=64,
)
STREAM = request(
    "chat_streaming",
    CHAT_PATH,
    compact(
        {
            "messages": [{"content": "Say hi", "role": "user"}],
            "model": LLAMA,
            "max_tokens": 16,
            "stream": True,
        }
    ),
    fixed=Fixed(run(0x20, 32), run(0x10, 16), run(0xC0, 12)),
    units=16,
)
EMBEDDINGS = request(
    "embeddings",
    "/v1/confidential/embeddings",
    compact(
        {
            "input": "The quick brown fox jumped over the lazy dog",
            "model": E5,
            "encoding_format": "float",
        }
    ),
    fixed=Fixed(run(0x40, 32), run(0x60, 16), run(0x70, 12)),
    units=512,
)
IMAGES = request(
    "images",
    "/v1/confidential/images/generations",
    compact(
        {"model": FLUX, "prompt": "a lighthouse at dusk", "n": 1, "size": "512x512"}
    ),
    fixed=Fixed(run(0x60, 32), run(0x30, 16), run(0x90, 12)),
    units=262_144,
)
BLINDED = request(
    "chat_blinded",
    CHAT_PATH,
    compact(HELLO) + spell(BLINDING),
    fixed=Fixed(ALICE, run(0x21, 16), run(1, 12)),
    units=64,
)


def requests() -> list[dict]:
    sealed = [each.case for each in (CHAT, STREAM, EMBEDDINGS, IMAGES, BLINDED)]
    keys = [(f"low_order_key_{n}", key) for n, key in enumerate(LOW_ORDER_KEYS)]
    keys += [("key_of_31_bytes", NODE_KEY[:31].hex()), ("no_key", "")]
    keys += [("key_of_33_bytes", NODE_KEY.hex() + "00")]
    unusable = [
        {"name": name, "expect": "unusable key", "node_public_key_hex": key}
        for name, key in keys
    ]
    body = json.loads(CHAT.case["http_body"])
    body["ciphertext"] = body["ciphertext"].translate(str.maketrans("+/", "-_"))
    urlsafe = {"name": "urlsafe_base64", "expect": "malformed"}
    return [*sealed, *unusable, urlsafe | {"http_body": compact(body)}]


# Length of a body, and of the same with 64 whitespace characters or more up to a PADMÉ
# size; by hand: those are multiples of 16 below 256, and of 64 from 1024 to 2047.
PADDED = {144: 208, 1054: 1152}


def blinding() -> list[dict]:
    short = compact(HELLO)
    long = compact(HELLO | {"user": "x" * 900})
    cases = [("hash_blinding", short, BLINDING), ("padded", long, run(0, 25))]
    return [
        {"name": name, "expect": "ok", "body_utf8": text, "random_hex": random.hex()}
        | {"blinded_utf8": blinded(text, random)}
        for name, text, random in cases
    ]


def blinded(text: str, random: bytes) -> str:
    length = len(text.encode())
    return text + spell(random)[: PADDED[length] - length]
