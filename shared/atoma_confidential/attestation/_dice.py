"""What a device's certificate says about the device: model, chip, firmware.

These come from the chip itself, in extensions that the general certificate library
does not know: a name of DMTF (DSP0274 1.2, appendix on otherName) and the firmware id
of TCG's DICE Attestation Architecture 1.00, section 6.1. Bytes in, values out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import NameOID

__all__ = ["chip_of", "firmware_id_of"]

_DEVICE_INFO = x509.ObjectIdentifier("1.3.6.1.4.1.412.274.1")
_UTF8_STRING = 0x0C
_COMPOSITE_ID = x509.ObjectIdentifier("2.23.133.5.4.1")  # Hopper, LS10
_TCB_INFO = x509.ObjectIdentifier("2.23.133.5.4.1.1")  # Blackwell
_FIRMWARE_IDS = 0xA6
_DIGEST_BYTES = 48
_FIRMWARE_ID = bytes.fromhex("303d0609608648016503040202" + "0430")
"""How a firmware id begins: a sequence of SHA-384's identifier and 48 bytes."""


def chip_of(leaf: x509.Certificate) -> tuple[str, str, str] | None:
    """Return the common name, and the model and chip id of the alternative name.

    None stands for a certificate that does not have exactly one of each.

    Raises:
        ValueError: An extension cannot be read.
    """
    common = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None
    infos = [
        other.value
        for other in names.value.get_values_for_type(x509.OtherName)
        if other.type_id == _DEVICE_INFO
    ]
    if len(common) != 1 or len(infos) != 1:
        return None
    info, name = infos[0], common[0].value
    found = re.fullmatch(rb"NVIDIA:([0-9A-Z_]{1,16}):([0-9A-F]{16})", info[2:])
    if found is None or info[:2] != bytes([_UTF8_STRING, len(info) - 2]):
        return None
    return str(name), found[1].decode(), found[2].decode()


def firmware_id_of(leaf: x509.Certificate) -> bytes | None:
    """Return the digest of the first firmware layer, if the certificate has one.

    Raises:
        ValueError: An extension cannot be read.
    """
    for extension in leaf.extensions:
        if not isinstance(extension.value, x509.UnrecognizedExtension):
            continue
        data = extension.value.value
        if extension.oid == _COMPOSITE_ID:
            return _digest(data[-len(_FIRMWARE_ID) - _DIGEST_BYTES :])
        if extension.oid == _TCB_INFO:
            ((_, members),) = _elements(data)
            lists = [value for tag, value in _elements(members) if tag == _FIRMWARE_IDS]
            return _digest(lists[0]) if lists else None
    return None


def _digest(data: bytes) -> bytes | None:
    digest = data.removeprefix(_FIRMWARE_ID)[:_DIGEST_BYTES]
    begins = data.startswith(_FIRMWARE_ID) and len(digest) == _DIGEST_BYTES
    return digest if begins else None


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of DER elements whose tag has one byte (X.690 8.1)."""
    while data:
        tag, size, start = data[0], int.from_bytes(data[1:2], "big"), 2
        if size & 0x80:  # the long form: so many bytes of length follow
            start += size & 0x7F
            size = int.from_bytes(data[2:start], "big")
        if len(data) < start + size:
            raise ValueError("truncated DER")
        yield tag, data[start : start + size]
        data = data[start + size :]
