"""Evidence records and the nonce that binds them to a key."""

import zlib

from node_half import NODE_ID, NODE_KEY, b64, blake2b, compact, sign, unb64

CONTRACT_NONCE = 1_234_567_890_123_456_789
REPORT_NONCE = bytes.fromhex(
    "4417c0debbff00217ab6261d6faa997b0198db26a33806774821382c3cbc67a1"
)
CHAIN = b"-----BEGIN CERTIFICATE-----\nplaceholder\n-----END CERTIFICATE-----\n"
REPORT = bytes.fromhex("11e001ff") + REPORT_NONCE + bytes.fromhex("001160000000")
# A literal: what zlib writes depends on its build, what it reads does not.
COMPRESSED = unb64(
    "eJw1jksLgkAYRf/LbAucFj13jq8yMRwbXxEh+qVDaqWDYtF/z4ru8ly45x6eCFqeQpXASfQ3QCuUDiAB"
    "NEYJ1IKfeRKLD7ZcLCx3olCWmntOVOqZzGWR6WCd0W+HhVKRJvTtIjaWTWR4vcJ/nLKpttFsnRXUpJdC"
    "dTyq//bwdhD9HwwWDWQiYSfo7Nlc6uQc6rBc+6N7GTSktJvy+siMFGf5TukWrQG5TPRMHoJexzfAckJ+"
)


def stored(data: bytes) -> bytes:
    """Return a zlib stream of one stored block, the same on every build."""
    size = len(data).to_bytes(2, "little")
    inverse = bytes(byte ^ 0xFF for byte in size)
    checksum = zlib.adler32(data).to_bytes(4, "big")
    return b"\x78\x01\x01" + size + inverse + data + checksum


def attestation() -> dict:
    preimage = CONTRACT_NONCE.to_bytes(8, "little") + NODE_KEY + b"\x2c\x01"
    device = {"evidence_type": "device", "certificate": b64(CHAIN)}
    device["evidence"] = b64(REPORT)
    record = compact([device])
    digest = blake2b(NODE_ID.to_bytes(8, "little") + COMPRESSED)
    switch = device | {"evidence_type": "nvswitch"}
    ok = {
        "from_a_node": COMPRESSED,
        "stored": stored(record.encode()),
        "gpu_and_switch": stored(compact([device, switch]).encode()),
    }
    bad = {
        "empty": b"",
        "not_zlib": record.encode(),
        "truncated": COMPRESSED[:-1],
        "bad_checksum": stored(record.encode())[:-1] + b"\0",
        "trailing_data": COMPRESSED + b"\0",
        "no_devices": stored(b"[]"),
        "an_object": stored(compact(device).encode()),
        "nested": stored(compact([[device]]).encode()),
        "not_json": stored(record[:-1].encode()),
        "unknown_type": stored(compact([device | {"evidence_type": "cpu"}]).encode()),
        "no_report": stored(compact([device | {"evidence": ""}]).encode()),
        "short_report": stored(
            compact([device | {"evidence": b64(REPORT[:36])}]).encode()
        ),
        "other_spdm_request": stored(
            compact([device | {"evidence": b64(b"\x10" + REPORT[1:])}]).encode()
        ),
        "urlsafe_report": stored(
            compact([device | {"evidence": b64(REPORT).replace("/", "_")}]).encode()
        ),
        "too_many_devices": stored(compact([device] * 33).encode()),
    }
    return {
        "contract_nonce_u64": str(CONTRACT_NONCE),
        "device_type_u16": 300,
        "node_public_key_hex": NODE_KEY.hex(),
        "preimage_hex": preimage.hex(),
        "report_nonce_blake3_hex": REPORT_NONCE.hex(),
        "evidence_json": record,
        "node_small_id": NODE_ID,
        "upload_digest_blake2b256_hex": digest.hex(),
        "upload_x_signature_ed25519_b64": b64(sign(digest)),
        "cases": [
            {"name": name, "expect": expect, "compressed_evidence_b64": b64(data)}
            for expect, group in (("ok", ok), ("bad evidence", bad))
            for name, data in group.items()
        ],
    }
