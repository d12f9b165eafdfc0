"""The report of a device: every length adds up, and nothing is left over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from silicon import FIRMWARE_ID, OPAQUE, block, field, measurement, report_body

from atoma_confidential.attestation.report import parse_report
from atoma_confidential.errors import EvidenceFormatError

NONCE = bytes(range(32))
SIGNATURE = bytes(range(96))


def build(**changes):
    return report_body(NONCE, **changes) + SIGNATURE


def opaque(**changes):
    """Return a report with these fields replaced, named `t` and their type."""
    fields = OPAQUE | {int(name[1:]): value for name, value in changes.items()}
    return build(opaque=fields)


def test_a_report_says_what_it_says():
    data = build()
    report = parse_report(data)
    assert report.nonce == NONCE
    assert report.driver == "570.124.06"
    assert report.vbios == "96.00.BC.00.02"
    assert report.firmware_id == FIRMWARE_ID
    assert report.nvdec0 is False
    assert report.measurements == {i: measurement(i) for i in range(1, 65)}
    assert report.signed + report.signature == data
    assert report.signature == SIGNATURE


def test_a_switch_names_its_firmware_as_text_and_no_driver():
    report = parse_report(build(opaque={6: b"96.10.55.00.01"}))
    assert (report.driver, report.vbios) == ("", "96.10.55.00.01")
    assert report.firmware_id == b""
    assert report.nvdec0 is None


def test_what_a_report_leaves_out_is_empty():
    report = parse_report(build(opaque={}, measurements={}))
    assert (report.driver, report.vbios, report.mode) == ("", "", "")
    assert report.measurements == {}


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({}, ""),
        ({"t21": b"\xaa"}, "protected-pcie"),
        ({"t34": b"\1\0", "t36": b"\0\0"}, "single"),
        ({"t34": b"\1\0", "t36": b"\1\0", "t21": b"\xaa"}, "multi"),
        ({"t34": b"\1\0", "t36": b"\2\0"}, "protected-pcie"),
    ],
)
def test_the_mode_is_the_feature_flag_or_else_the_older_status(fields, mode):
    assert parse_report(opaque(**fields)).mode == mode


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (build() + b"\0", "something follows"),
        (bytes((8 << 10) + 1), "too large"),
        (build(request=bytes.fromhex("12e001ff")), "the request is not"),
        (build(request=bytes.fromhex("11e000ff")), "the request is not"),
        (build(slot=b"\1"), "the certificate slot is not"),
        (build(response=bytes.fromhex("11610000")), "the response is not"),
        (build(response=bytes.fromhex("11600001")), "the response is not"),
        (build(blocks=63), "something follows"),
        (build(blocks=65), "truncated"),
        (build(record=block(1, bytes(48)) * 2, blocks=2), "comes twice"),
        (build(record=block(1, bytes(32)), blocks=1), "not a SHA-384 digest"),
        (
            build(record=block(1, bytes(48), specification=2), blocks=1),
            "not a SHA-384 digest",
        ),
        (build(record=b"\1\1\x04\0\1\0\0\0", blocks=1), "something follows"),
        (build(record=b"\1\1\x02\0\1\0", blocks=1), "truncated"),
        (build(fields=field(3, b"570.1\0") * 2), "an opaque field comes twice"),
        (build(fields=b"\3\0\4"), "truncated"),
        (build(fields=b"\3\0\4\0abc"), "truncated"),
        (opaque(t3=b"570.124.06"), "driver version is none"),
        (opaque(t3=b"five.seventy\0"), "driver version is none"),
        (opaque(t3=b"570\0"), "driver version is none"),
        (opaque(t6=b"96.00.bc.00.02"), "wrong size"),
        (opaque(t6=bytes(7)), "wrong size"),
        (opaque(t11=b"\0"), "neither on nor off"),
        (opaque(t20=FIRMWARE_ID[1:]), "wrong size"),
        (opaque(t21=b"\xaa\xaa"), "neither on nor off"),
        (opaque(t34=b"\2\0"), "unknown version"),
        (opaque(t36=b"\3\0"), "its mode is unknown"),
        (opaque(t36=b"\1"), "wrong size"),
    ],
)
def test_a_report_off_its_format_is_refused(data, why):
    with pytest.raises(EvidenceFormatError, match=why):
        parse_report(data)


def test_every_proper_prefix_is_refused():
    data = build(measurements={1: bytes(48), 2: bytes(48)})
    for length in range(len(data)):
        with pytest.raises(EvidenceFormatError):
            parse_report(data[:length])


@given(st.binary(max_size=300))
def test_noise_is_refused(noise):
    with pytest.raises(EvidenceFormatError):
        parse_report(noise)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=60)), max_size=12),
    st.integers(0, 255),
)
def test_any_fields_are_read_or_refused(fields, blocks):
    """Well-formed around, anything within."""
    data = build(
        blocks=blocks,
        record=b"".join(block(k, v) for k, v in fields),
        fields=b"".join(field(k, v) for k, v in fields),
    )
    try:
        report = parse_report(data)
    except EvidenceFormatError:
        return
    assert report.signed + report.signature == data
