"""Signatures of a node under each scheme, and a receipt made of one."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from atoma_confidential.receipt import Receipt, verify_signature

ANSWER = b"an answer"
DIGEST = hashlib.blake2b(ANSWER, digest_size=32).digest()
CURVES = {1: ec.SECP256K1(), 2: ec.SECP256R1()}
NAMES = {0: "ed25519", 1: "secp256k1", 2: "secp256r1"}
ORDERS = {
    1: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    2: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
}


def sign(flag, digest=DIGEST, *, high_s=False):
    if flag == 0:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        return bytes([0]) + key.sign(digest) + key.public_key().public_bytes_raw()
    key = ec.derive_private_key(0x0707, CURVES[flag])
    signature = key.sign(digest, ec.ECDSA(SHA256(), deterministic_signing=True))
    r, s = utils.decode_dss_signature(signature)
    if high_s != (s > ORDERS[flag] // 2):
        s = ORDERS[flag] - s
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return bytes([flag]) + r.to_bytes(32, "big") + s.to_bytes(32, "big") + point


def receipt_of(flag=0):
    signature = sign(flag)
    signer = verify_signature(signature, DIGEST)
    return Receipt(
        node=3,
        key="0123456789abcdef",
        model="a model",
        digest=DIGEST,
        signature=signature,
        address=signer.address,
        scheme=signer.scheme,
        issued_at=1_700_000_000,
    )
