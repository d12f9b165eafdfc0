"""Reading the evidence that a node publishes for its key.

Parsing only: nothing here says that evidence is genuine, fresh, or about the key in
hand. Certificates stay bytes, and of a report only the request it answers is read.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Literal, cast, get_args

from atoma_confidential._base64 import decoded
from atoma_confidential.errors import EvidenceFormatError, InvalidInputError

from ._blake3 import blake3

__all__ = ["EvidenceItem", "parse_evidence", "report_nonce"]

_Kind = Literal["device", "nvswitch"]
_KINDS = get_args(_Kind)
_KEY_BYTES = 32
_MAX_DOCUMENT = 4 << 20
_MAX_ITEMS = 32  # sixteen GPUs and as many switches; the largest known node has twelve
_MAX_CHAIN = 16 << 10
_MAX_REPORT = 8 << 10  # NVML's own buffer
_REQUEST_HEADER = bytes.fromhex("11e001ff")  # SPDM 1.1: all measurements, signed
_REQUEST_BYTES = 37


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """What one GPU or NVSwitch of a node says, unverified."""

    kind: _Kind
    certificate_chain: bytes  # PEM, leaf first
    report: bytes  # the SPDM request, then the device's signed response

    @property
    def nonce(self) -> bytes:
        """The 32 bytes the device was challenged with."""
        return self.report[4:36]


def report_nonce(
    contract_nonce: int, public_key: bytes, *, device_type: int = 300
) -> bytes:
    """Return the nonce that binds a node's evidence to its key (protocol 10.2).

    Device type 300 stands for all devices of a node in one submission.

    Raises:
        InvalidInputError: An argument does not fit its place in the preimage.
    """
    try:
        preimage = struct.pack("<Q32sH", contract_nonce, public_key, device_type)
    except struct.error as error:
        raise InvalidInputError("The nonce or device type is out of range.") from error
    if len(public_key) != _KEY_BYTES:  # which struct would pad or cut
        raise InvalidInputError(f"A node key has {_KEY_BYTES} bytes.")
    return blake3(preimage)


def parse_evidence(compressed: bytes) -> tuple[EvidenceItem, ...]:
    """Return the items of a node's zlib-compressed record, in its order (10.3).

    Raises:
        EvidenceFormatError: The record breaks its format or a limit, or is empty.
    """
    document = _inflate(compressed)
    # One array and one object per device is all there is, and neither base64 nor the
    # two type names contain a bracket: counting them bounds the parser's work.
    if document.count(b"[") > 1 or document.count(b"{") > _MAX_ITEMS:
        raise _broken("it is nested, or has too many devices")
    try:
        items = json.loads(document.decode())
    except ValueError:
        items = None  # not chained: the parser's error would carry the record
    if not isinstance(items, list) or not items:
        raise _broken("it is not a JSON array of devices")
    return tuple(_parse_item(item) for item in items)


def _inflate(compressed: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        document = stream.decompress(compressed, _MAX_DOCUMENT)
    except zlib.error as error:
        raise _broken("it is not a zlib stream") from error
    if not stream.eof or stream.unused_data:
        raise _broken("it is truncated, too large, or followed by other data")
    return document


def _parse_item(item: object) -> EvidenceItem:
    if not isinstance(item, dict) or item.get("evidence_type") not in _KINDS:
        raise _broken("a device is neither a GPU nor a switch")
    chain = _decode(item.get("certificate"), limit=_MAX_CHAIN)
    report = _decode(item.get("evidence"), limit=_MAX_REPORT)
    if len(report) < _REQUEST_BYTES or not report.startswith(_REQUEST_HEADER):
        raise _broken("a report does not begin with the request it answers")
    return EvidenceItem(cast("_Kind", item["evidence_type"]), chain, report)


def _decode(text: object, *, limit: int) -> bytes:
    data = decoded(text)
    if data is None or not 0 < len(data) <= limit:
        raise _broken("a certificate or report is not base64, empty or too large")
    return data


def _broken(why: str) -> EvidenceFormatError:
    return EvidenceFormatError(f"The evidence cannot be used: {why}.")
