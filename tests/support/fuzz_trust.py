"""Fuzz targets: what a node publishes, what others say of it, receipts and pins."""

import base64
import json
import zlib
from types import SimpleNamespace
from unittest.mock import patch

import fuzz_seeds as seeds
from appraisal import NODE, NONCE, Chain
from cryptography import x509
from silicon import NOW, name_of

from atoma_confidential.attestation import _pin_json, nras, nvidia, rim, sui
from atoma_confidential.attestation._c14n import canonicalize, elements
from atoma_confidential.attestation.chain import load_pem_chain
from atoma_confidential.attestation.evidence import parse_evidence
from atoma_confidential.attestation.policy import Fetched
from atoma_confidential.attestation.record import read_record
from atoma_confidential.attestation.report import parse_report
from atoma_confidential.attestation.result import Gpu
from atoma_confidential.errors import ConfidentialError
from atoma_confidential.receipt import Receipt, verify_signature

# --- evidence -----------------------------------------------------------------------


def read_record_answer(data):
    read_record(Fetched(200, data), node=NODE)


def read_evidence(data):
    for item in parse_evidence(zlib.compress(data, 1)):
        parse_report(item.report)


def read_certificate(data):
    """Read what a device's certificate says, said to be signed."""
    kind, name, value = data[:1], data[1:32], data[32:]
    oid = ("2.23.133.5.4.1.1", "2.23.133.5.4.1")[kind == b"\1"]
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
    device = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.412.274.1"), name)
    names = x509.SubjectAlternativeName([device])
    leaf = SimpleNamespace(
        subject=name_of("GH100 A01 GSP FMC LF"),
        extensions=x509.Extensions(
            [x509.Extension(e.oid, False, e) for e in (names, extension)]  # noqa: FBT003
        ),
    )
    nvidia._identity(leaf, "device")


def read_chain(data):
    with patch("hashlib.sha256") as digest:
        digest.return_value.digest.return_value = b"root"
        load_pem_chain(data, levels=data.count(b"BEGIN"), root=b"root")


def read_rim_values(data):
    signed = canonicalize(data)
    assert canonicalize(signed) == signed
    assert len(elements(signed)) == len(elements(data))
    rim._read(signed, begins=0.0, ends=1.0, digest="")


def read_rim(data):
    with patch.object(rim, "verify_raw", return_value=True):
        rim.parse_rim(data, root=seeds.rim_authority().fingerprint)


def read_token(data):
    """Read the parts of tokens, said to be signed, or an answer as it is."""
    keys = Fetched(200, json.dumps(seeds.nras_service().jwks()).encode())
    parts = data.split(b"\n")
    answer = data
    if len(parts) == 4:
        overall, gpu = (
            ".".join([*(_base64url(part) for part in pair), "A" * 128])
            for pair in (parts[:2], parts[2:])
        )
        answer = json.dumps([["JWT", overall], {"GPU-0": gpu}]).encode()
    with (
        patch.object(nras, "verify_raw", return_value=True),
        patch.object(nras, "_check_digests"),
    ):
        nras.check_token(
            Fetched(200, answer),
            keys,
            issuer=nras.NRAS_URL,
            nonce=NONCE,
            gpus=[Gpu("GH100", "", "1001", "", "", "", "")],
            now=NOW,
        )


def _base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def read_keys(data):
    nras._keys(Fetched(200, data))


def read_contract(data):
    """Answer every call with these bytes."""
    by_object = sui.SuiContract(rpc_url=Chain.url, atoma_db=Chain.database)
    by_event = sui.SuiContract(rpc_url=Chain.url, package=Chain.package)
    readings = [
        sui.read_rotation(by_object),
        sui.read_rotation(by_event),
        sui.read_commitment(by_event, NODE),
    ]
    errors = []
    for reading in readings:
        try:
            next(reading)
            while True:
                reading.send(Fetched(200, data))
        except StopIteration:
            pass
        except ConfidentialError as error:
            errors.append(error)
    if len(errors) == len(readings):
        raise errors[0]


# --- receipts and pins --------------------------------------------------------------


def read_signature(data):
    verify_signature(data[32:], data[:32])


def read_receipt(data):
    receipt = Receipt.from_json(data)
    assert Receipt.from_json(receipt.to_json()) == receipt
    receipt.verify()


def read_pins(data):
    pins = _pin_json.parse_pins(data, "it")
    assert _pin_json.parse_pins(_pin_json.dump_pins(pins), "it") == pins


def read_key_log(data):
    keys = _pin_json.parse_key_log(data, "it")
    written = b"".join(map(_pin_json.dump_key, keys))
    assert _pin_json.parse_key_log(written, "it") == keys
