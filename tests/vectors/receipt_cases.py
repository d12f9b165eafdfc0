"""A node's signatures over the digest of one answer."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from node_half import b64, blake2b, compact, sign
from reply_cases import ANSWER

ECDSA = {
    "secp256k1": (
        1,
        ec.SECP256K1(),
        0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141,
    ),
    "secp256r1": (
        2,
        ec.SECP256R1(),
        0xFFFFFFFF_00000000_FFFFFFFF_FFFFFFFF_BCE6FAAD_A7179E84_F3B9CAC2_FC632551,
    ),
}


def sign_ecdsa(scheme: str, digest: bytes, *, high: bool = False) -> bytes:
    flag, curve, order = ECDSA[scheme]
    key = ec.derive_private_key(int.from_bytes(bytes([flag]) * 32, "big"), curve)
    algorithm = ec.ECDSA(SHA256(), deterministic_signing=True)
    r, s = decode_dss_signature(key.sign(digest, algorithm))
    s = order - s if (s > order // 2) != high else s
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return bytes([flag]) + r.to_bytes(32, "big") + s.to_bytes(32, "big") + point


def receipts() -> list[dict]:
    digest = blake2b(compact(ANSWER).encode())
    by_scheme = {"ed25519": sign(digest)}
    by_scheme |= {scheme: sign_ecdsa(scheme, digest) for scheme in ECDSA}
    cases = []
    for scheme, good in by_scheme.items():
        signer = {"scheme": scheme, "public_key_hex": good[65:].hex()}
        signer["sui_address"] = "0x" + blake2b(good[:1] + good[65:]).hex()
        cases.append(("ok", scheme, digest, good, signer))
        broken = {
            "other_digest": (bytes(32), good),
            "tampered": (digest, good[:1] + bytes([good[1] ^ 1]) + good[2:]),
            "short": (digest, good[:-1]),
            "long": (digest, good + b"\0"),
            "other_flag": (digest, bytes([(good[0] + 1) % 3]) + good[1:]),
            "multisig_flag": (digest, b"\x03" + good[1:]),
            "zklogin_flag": (digest, b"\x05" + good[1:]),
            "short_digest": (digest[:31], good),
        }
        if scheme in ECDSA:
            flag = bytes([ECDSA[scheme][0]])
            broken["high_s"] = digest, sign_ecdsa(scheme, digest, high=True)
            broken["zero_scalars"] = digest, flag + bytes(64) + good[65:]
            broken["no_point"] = digest, good[:65] + b"\x02" + b"\xff" * 32
            broken["uncompressed_prefix"] = digest, good[:65] + b"\x04" + good[66:]
        cases += [
            ("bad receipt", f"{scheme}_{what}", of, signature, {})
            for what, (of, signature) in broken.items()
        ]
    cases.append(("bad receipt", "empty", digest, b"", {}))
    return [
        {"name": name, "expect": expect, "digest_hex": of.hex()}
        | {"signature_b64": b64(signature), **signer}
        for expect, name, of, signature, signer in cases
    ]
