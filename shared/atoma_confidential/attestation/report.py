"""Reading the report that a GPU or switch signs: an SPDM measurement exchange.

Parsing only: every length has to add up and nothing may follow, but nothing here says
that a report is genuine. The layout is DSP0274 1.1, sections 10.11.1 and 10.11.2; the
types of the opaque fields are NVIDIA's (nvtrust, `spdm_msrt_resp_msg.py`). Integers
are little-endian, save in the signature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from atoma_confidential.errors import EvidenceFormatError

__all__ = ["Report", "parse_report"]

MAX_REPORT = 8 << 10  # NVML's own buffer
SIGNATURE_BYTES = 96
_REQUEST = bytes.fromhex("11e001ff")  # SPDM 1.1: all measurements, signed
_SLOT = b"\x00"
_RESPONSE = bytes.fromhex("11600000")
_NONCE_BYTES = 32
_DIGEST_BYTES = 48
_DMTF = 1  # the only measurement specification there is

_DRIVER, _VBIOS, _NVDEC0, _FIRMWARE_ID = 3, 6, 11, 20
_PROTECTED_PCIE, _OPAQUE_VERSION, _FEATURES = 21, 34, 36
_MODES = {0: "single", 1: "multi", 2: "protected-pcie"}
_LATEST_OPAQUE_VERSION = 1


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """What a device says of itself, once its signature was checked.

    Attributes:
        nonce: The 32 bytes that it was challenged with.
        measurements: Its measurements by SPDM index, from 1 on.
        driver: Version of the driver, empty for a switch.
        vbios: Version of the firmware, such as `96.00.BC.00.02`.
        mode: `single`, `multi` or `protected-pcie`; empty where the report names none.
        firmware_id: Digest of the first firmware, 48 bytes; empty where absent.
        nvdec0: Whether that engine is on; None where the report does not say.
        signed: The bytes that the signature is over.
        signature: Two big-endian integers of 48 bytes, r and s.
    """

    nonce: bytes
    measurements: dict[int, bytes]
    driver: str
    vbios: str
    mode: str
    firmware_id: bytes
    nvdec0: bool | None
    signed: bytes
    signature: bytes


def parse_report(data: bytes) -> Report:
    """Return the fields of a report.

    Args:
        data: The request, then the signed response, as a node publishes them.

    Raises:
        EvidenceFormatError: A length, version or code is not what it has to be, a
            field comes twice, or something follows the signature.
    """
    if len(data) > MAX_REPORT:
        raise _broken("it is too large")
    reader = _Reader(data)
    reader.expect(_REQUEST, "the request")
    nonce = reader.take(_NONCE_BYTES)
    reader.expect(_SLOT, "the certificate slot")
    reader.expect(_RESPONSE, "the response")
    blocks = reader.number(1)
    measurements = _measurements(reader.take(reader.number(3)), blocks)
    reader.take(_NONCE_BYTES)  # of the device: it makes its signatures differ
    opaque = _opaque_fields(reader.take(reader.number(2)))
    signed = data[: reader.position]
    signature = reader.take(SIGNATURE_BYTES)
    reader.finish()
    return Report(
        nonce=nonce,
        measurements=measurements,
        driver=_driver(opaque.get(_DRIVER, b"")),
        vbios=_vbios(opaque.get(_VBIOS, b"")),
        mode=_mode(opaque),
        firmware_id=_sized(opaque.get(_FIRMWARE_ID, b""), 0, _DIGEST_BYTES),
        nvdec0=_status(opaque.get(_NVDEC0, b"")),
        signed=signed,
        signature=signature,
    )


class _Reader:
    """Takes a buffer apart from its beginning; what is not there raises."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    @property
    def left(self) -> int:
        return len(self._data) - self.position

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise _broken("it is truncated")
        start, self.position = self.position, self.position + size
        return self._data[start : self.position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def expect(self, expected: bytes, what: str) -> None:
        if self.take(len(expected)) != expected:
            raise _broken(f"{what} is not the one expected")

    def finish(self) -> None:
        if self.left:
            raise _broken("something follows where it should end")


def _measurements(record: bytes, blocks: int) -> dict[int, bytes]:
    """Read the measurement blocks: index, specification, size, type, length, value."""
    reader = _Reader(record)
    found: dict[int, bytes] = {}
    for _ in range(blocks):
        index, specification, size = (reader.number(n) for n in (1, 1, 2))
        block = _Reader(reader.take(size))
        block.take(1)  # the kind of measurement, which says nothing about its value
        value = block.take(block.number(2))
        block.finish()
        if specification != _DMTF or len(value) != _DIGEST_BYTES:
            raise _broken("a measurement is not a SHA-384 digest")
        if index in found:
            raise _broken("a measurement comes twice")
        found[index] = value
    reader.finish()
    return found


def _opaque_fields(data: bytes) -> dict[int, bytes]:
    """Read NVIDIA's fields: type, length, value. Types not known here are kept."""
    reader = _Reader(data)
    found: dict[int, bytes] = {}
    while reader.left:
        kind = reader.number(2)
        value = reader.take(reader.number(2))
        if kind in found:
            raise _broken("an opaque field comes twice")
        found[kind] = value
    if int.from_bytes(found.get(_OPAQUE_VERSION, b""), "little") > (
        _LATEST_OPAQUE_VERSION
    ):
        raise _broken("its opaque fields are of an unknown version")
    return found


def _driver(value: bytes) -> str:
    if not value:
        return ""
    if not re.fullmatch(rb"\d{1,5}(\.\d{1,5}){1,3}\0", value):
        raise _broken("its driver version is none")
    return value[:-1].decode()


def _vbios(value: bytes) -> str:
    """Return the version that a VBIOS or a switch's firmware goes by."""
    if re.fullmatch(rb"[0-9A-F]{2}(\.[0-9A-F]{2}){4}", value):
        return value.decode()  # a switch's
    if not value:
        return ""
    value = _sized(value, 8)
    # Two little-endian words; the last byte is the low one of the second.
    return bytes([*reversed(value[:4]), value[4]]).hex(".").upper()


def _mode(opaque: dict[int, bytes]) -> str:
    if _FEATURES in opaque:
        value = int.from_bytes(_sized(opaque[_FEATURES], 2), "little")
        if value not in _MODES:
            raise _broken("its mode is unknown")
        return _MODES[value]
    # Older drivers say no more than this.
    return "protected-pcie" if _status(opaque.get(_PROTECTED_PCIE, b"")) else ""


def _status(value: bytes) -> bool | None:
    try:
        return {b"": None, b"\xaa": True, b"\x55": False}[value]
    except KeyError:
        raise _broken("a status is neither on nor off") from None


def _sized(value: bytes, *sizes: int) -> bytes:
    if len(value) not in sizes:
        raise _broken("an opaque field has the wrong size")
    return value


def _broken(why: str) -> EvidenceFormatError:
    return EvidenceFormatError(f"The report cannot be used: {why}.")
