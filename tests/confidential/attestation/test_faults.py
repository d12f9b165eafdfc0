"""Ten thousand faults, none accepted: random bits and cuts in all that is verified.

That is a node's evidence, what NVIDIA says of it, and the receipts of answers.

Seeded, so that a failure can be repeated. What is changed is what an attacker would
change: not only the compressed record, whose checksum finds most of it, but what comes
out of it, packed again.
"""

import json
import random
import zlib
from collections import Counter

import pytest
from appraisal import NONCE
from signing import ANSWER, DIGEST, receipt_of, sign
from silicon import NOW, entry, pack
from silicon_nras import URL, Service
from silicon_rim import RimAuthority, golden

from atoma_confidential.attestation.evidence import parse_evidence
from atoma_confidential.attestation.nras import check_token
from atoma_confidential.attestation.nvidia import verify_evidence
from atoma_confidential.attestation.policy import Fetched
from atoma_confidential.attestation.result import Gpu
from atoma_confidential.attestation.rim import parse_rim
from atoma_confidential.errors import AttestationError, ReceiptError
from atoma_confidential.receipt import Receipt, verify_signature

ROUNDS = {
    "record": 3_000,
    "document": 2_000,
    "chain": 2_500,
    "report": 1_500,
    "reference values": 1_000,
    "token": 750,
    "keys": 250,
    "receipt": 1_000,
    "signature": 1_000,
    "secp256k1": 250,
    "secp256r1": 250,
}
assert sum(ROUNDS.values()) >= 10_000


def faults(data, rng, count):
    """Yield copies with one bit flipped, or cut short, or with a part left out."""
    for _ in range(count):
        at = rng.randrange(len(data))
        match rng.randrange(8):
            case 0:
                yield data[:at]
            case 1:
                yield data[:at] + data[at + rng.randint(1, 8) :]
            case _:
                flipped = data[at] ^ 1 << rng.randrange(8)
                yield data[:at] + bytes([flipped]) + data[at + 1 :]


def compact(value):
    """Return JSON without white space, which means nothing."""
    return json.dumps(value, separators=(",", ":")).encode()


def signed_part(line):
    """Return a receipt's line in three: what is signed, and what its holder noted.

    The notes anybody may change, as the receipt says of itself.
    """
    begin = line.index('"digest"')
    end = line.index(',"issued_at"')
    return line[:begin].encode(), line[begin:end].encode(), line[end:].encode()


@pytest.fixture(scope="module")
def subjects(authority, gpu):
    """Return for each subject its good bytes and how to verify such bytes."""
    report = gpu.report(NONCE)
    root = authority.fingerprint

    def verify(compressed):
        items = parse_evidence(compressed)
        return verify_evidence(items, nonce=NONCE, now=NOW, root=root)

    def verify_entry(chain, report):
        return verify(pack([entry("device", chain, report)]))

    rims = RimAuthority()
    document = rims.document("570.124.06", golden(*range(6)))
    service = Service()
    answer = compact(service.answer(NONCE, ["1001"]))
    key = service.jwks()["keys"][1]
    del key["x5c"]  # which is not read
    keys = compact({"keys": [key]})
    chip = Gpu("GH100", "", "1001", "", "", "", "")

    def verify_token(answer, keys):
        return check_token(
            Fetched(200, answer),
            Fetched(200, keys),
            issuer=URL,
            nonce=NONCE,
            gpus=[chip],
            now=NOW,
        )

    begin, signed, end = signed_part(receipt_of().to_json())

    def verify_receipt(part):
        receipt = Receipt.from_json(begin + part + end)
        return receipt.verify(answer=ANSWER, address=receipt_of().address)

    def verify_over(data):
        return verify_signature(data[len(DIGEST) :], data[: len(DIGEST)])

    record = pack([entry("device", gpu.chain, report)])
    return {
        "record": (record, verify),
        "document": (zlib.decompress(record), lambda data: verify(zlib.compress(data))),
        "chain": (gpu.chain, lambda data: verify_entry(data, report)),
        "report": (report, lambda data: verify_entry(gpu.chain, data)),
        "reference values": (document, lambda d: parse_rim(d, root=rims.fingerprint)),
        "token": (answer, lambda data: verify_token(data, keys)),
        "keys": (keys, lambda data: verify_token(answer, data)),
        "receipt": (signed, verify_receipt),
        "signature": (DIGEST + sign(0), verify_over),
        "secp256k1": (DIGEST + sign(1), verify_over),
        "secp256r1": (DIGEST + sign(2), verify_over),
    }


@pytest.mark.parametrize("subject", ROUNDS)
def test_no_fault_is_accepted(subjects, subject, faults_refused):
    good, verify = subjects[subject]
    assert verify(good)
    rng = random.Random(f"2026 {subject}")  # noqa: S311 - to be repeated, not secret
    refused = Counter()
    for fault in faults(good, rng, ROUNDS[subject]):
        try:
            verify(fault)
        except (AttestationError, ReceiptError) as error:
            refused[type(error).__name__] += 1
        else:
            # The bits that fill the last byte of a deflate stream mean nothing.
            assert subject == "record", fault
            assert zlib.decompress(fault) == zlib.decompress(good)
            refused["the same"] += 1
    assert refused.total() == ROUNDS[subject]
    assert refused.pop("the same", 0) < 8
    faults_refused[subject] = refused
