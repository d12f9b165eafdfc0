"""A node's evidence record: read within its limits, and bound to a key by its nonce."""

import base64
import json
import zlib

import blake3 as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential.attestation import _blake3
from atoma_confidential.attestation.evidence import (
    EvidenceItem,
    parse_evidence,
    report_nonce,
)
from atoma_confidential.errors import (
    AttestationError,
    EvidenceFormatError,
    InvalidInputError,
)

KEY = bytes(range(32))
NONCE = bytes(range(64, 96))
REPORT = bytes.fromhex("11e001ff") + NONCE + b"\0" + b"\x11\x60 and the response"
CHAIN = b"-----BEGIN CERTIFICATE-----\nplaceholder\n-----END CERTIFICATE-----\n"


def encode(data):
    return base64.b64encode(data).decode()


def device(**changes):
    item = {
        "evidence_type": "device",
        "certificate": encode(CHAIN),
        "evidence": encode(REPORT),
    }
    return item | changes


def pack(value):
    return zlib.compress(json.dumps(value).encode())


# --- the record ---------------------------------------------------------------------


def test_items_come_in_the_order_of_the_record():
    record = [device(), device(), device(evidence_type="nvswitch")]
    items = parse_evidence(pack(record))
    assert [item.kind for item in items] == ["device", "device", "nvswitch"]
    assert items[0] == EvidenceItem("device", CHAIN, REPORT)
    assert items[0].nonce == NONCE


def test_unknown_members_are_ignored():
    assert parse_evidence(pack([device(arch="HOPPER")])) == parse_evidence(
        pack([device()])
    )


def test_the_largest_record_within_the_limits_is_read():
    report = REPORT.ljust(8 << 10, b"\1")
    large = device(certificate=encode(bytes(16 << 10)), evidence=encode(report))
    assert len(parse_evidence(pack([large] * 32))) == 32


def test_a_report_may_end_with_the_request_it_answers():
    (item,) = parse_evidence(pack([device(evidence=encode(REPORT[:37]))]))
    assert item.nonce == NONCE


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ([], "not a JSON array of devices"),
        ({}, "not a JSON array of devices"),
        (None, "not a JSON array of devices"),
        ("device", "not a JSON array of devices"),
        ([None], "neither a GPU nor a switch"),
        (["device"], "neither a GPU nor a switch"),
        ([{}], "neither a GPU nor a switch"),
        ([device(evidence_type="cpu")], "neither a GPU nor a switch"),
        ([device(evidence_type=None)], "neither a GPU nor a switch"),
        ([device(evidence_type={})], "neither a GPU nor a switch"),
        ([device(evidence=[])], "it is nested"),
        ([[device()]], "it is nested"),
        ([device()] * 33, "too many devices"),
        ([device(certificate=None)], "not base64, empty or too large"),
        ([device(certificate=7)], "not base64, empty or too large"),
        ([device(certificate="")], "not base64, empty or too large"),
        ([device(certificate="AAA")], "not base64, empty or too large"),
        ([device(certificate="AA-_")], "not base64, empty or too large"),
        ([device(certificate="AAAA\n")], "not base64, empty or too large"),
        ([device(certificate="AB==")], "not base64, empty or too large"),
        ([device(certificate="ü" * 4)], "not base64, empty or too large"),
        (
            [device(certificate=encode(bytes((16 << 10) + 1)))],
            "not base64, empty or too large",
        ),
        (
            [device(evidence=encode(REPORT.ljust((8 << 10) + 1, b"\0")))],
            "not base64, empty or too large",
        ),
        ([device(evidence=encode(REPORT[:36]))], "the request it answers"),
        ([device(evidence=encode(b"\x12" + REPORT[1:]))], "the request it answers"),
        ([device(), device(evidence=encode(REPORT[4:]))], "the request it answers"),
    ],
)
def test_a_record_off_its_format_is_refused(record, why):
    with pytest.raises(EvidenceFormatError, match=why):
        parse_evidence(pack(record))


@pytest.mark.parametrize("name", ["evidence_type", "certificate", "evidence"])
def test_a_missing_member_is_refused(name):
    item = device()
    del item[name]
    with pytest.raises(EvidenceFormatError):
        parse_evidence(pack([item]))


@pytest.mark.parametrize(
    "document", [b"", b"[", b"[{}", b"\xff", "[{}]".encode("utf-16"), b"[]]"]
)
def test_a_document_that_is_not_json_is_refused(document):
    with pytest.raises(EvidenceFormatError, match="not a JSON array"):
        parse_evidence(zlib.compress(document))


@pytest.mark.parametrize("bracket", [b"[", b"{", b'{"a":'])
def test_deep_nesting_is_refused_before_it_is_parsed(bracket):
    with pytest.raises(EvidenceFormatError, match="it is nested"):
        parse_evidence(zlib.compress(bracket * 200_000))


def test_what_inflates_beyond_the_limit_is_refused():
    bomb = zlib.compress(b" " * (64 << 20))
    assert len(bomb) < 70_000
    with pytest.raises(EvidenceFormatError, match="too large"):
        parse_evidence(bomb)


def test_data_after_the_stream_is_refused():
    with pytest.raises(EvidenceFormatError, match="followed by other data"):
        parse_evidence(pack([device()]) + b"\0")


def test_every_proper_prefix_is_refused():
    compressed = pack([device()])
    for length in range(len(compressed)):
        with pytest.raises(EvidenceFormatError):
            parse_evidence(compressed[:length])


@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    with pytest.raises(EvidenceFormatError):
        parse_evidence(noise)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_any_other_json_is_refused(value):
    with pytest.raises(EvidenceFormatError):
        parse_evidence(pack(value))


def test_an_error_quotes_nothing_of_the_record():
    with pytest.raises(AttestationError) as caught:
        parse_evidence(zlib.compress(b'["canary-in-the-record"'))
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


# --- the nonce ----------------------------------------------------------------------


def test_the_nonce_is_blake3_of_the_documented_preimage():
    preimage = (5).to_bytes(8, "little") + KEY + bytes.fromhex("2c01")
    assert report_nonce(5, KEY) == reference.blake3(preimage).digest()


@given(st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32))
def test_the_nonce_changes_with_each_input(contract_nonce, key):
    other = bytes([key[0] ^ 1]) + key[1:]
    nonces = {
        report_nonce(contract_nonce, key),
        report_nonce(contract_nonce ^ 1, key),
        report_nonce(contract_nonce, other),
        report_nonce(contract_nonce, key, device_type=0),
    }
    assert len(nonces) == 4


@pytest.mark.parametrize(
    ("contract_nonce", "key", "device_type"),
    [
        (-1, KEY, 300),
        (2**64, KEY, 300),
        (0, KEY, -1),
        (0, KEY, 2**16),
        (0, KEY[:31], 300),
        (0, KEY + b"\0", 300),
    ],
)
def test_what_does_not_fit_the_preimage_is_refused(contract_nonce, key, device_type):
    with pytest.raises(InvalidInputError):
        report_nonce(contract_nonce, key, device_type=device_type)


# --- the hash -----------------------------------------------------------------------


@given(st.binary(max_size=_blake3.MAX_INPUT))
def test_blake3_agrees_with_the_reference(data):
    assert _blake3.blake3(data) == reference.blake3(data).digest()


@pytest.mark.parametrize("length", [0, 1, 42, 63, 64, 65, 127, 128, 129, 1023, 1024])
def test_blake3_agrees_at_every_block_boundary(length):
    data = bytes(i % 251 for i in range(length))
    assert _blake3.blake3(data) == reference.blake3(data).digest()


def test_blake3_refuses_what_would_need_its_tree():
    with pytest.raises(ValueError, match="tree mode"):
        _blake3.blake3(bytes(_blake3.MAX_INPUT + 1))
