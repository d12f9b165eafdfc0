"""Reading NVIDIA's reference measurements (RIM), and comparing reports with them.

A RIM is a SWID tag (ISO/IEC 19770-2) with an enveloped XML signature. All that NVIDIA
has published have one form, so that form is required: the one `SignedInfo` that could
have been signed is written here, and the signature checked over it. Values are read
from the very bytes whose digest was signed, so nothing can be wrapped around them.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeAlias

from atoma_confidential._base64 import decoded
from atoma_confidential.errors import (
    ChainRejectedError,
    EvidenceFormatError,
    EvidenceSignatureError,
    EvidenceUnavailableError,
    InvalidInputError,
    MeasurementMismatchError,
)

from ._about import about
from ._c14n import canonicalize, elements
from .chain import load_pem_chain, verify_raw
from .nvidia import Device
from .report import SIGNATURE_BYTES

__all__ = ["RIM_ROOT", "Rim", "RimSource", "load_rims", "match_rims", "parse_rim"]

RimSource: TypeAlias = "str | Path | bytes | Iterable[bytes]"
"""A folder, one document, or several."""

RIM_ROOT = bytes.fromhex(
    "12977b5115acb0381179279fffeb5a8c4d264971ebb32298023a465fa41df5d1"
)
"""SHA-256 of NVIDIA's CoRIM signing Root CA, from 2023."""

MAX_RIM = 1 << 20
_LEVELS = 4
_SUFFIXES = (".xml", ".swidtag")
_INDICES = 64
_DIGEST_BYTES = 48
_NVDEC0 = 35
"""The measurement of an engine that may be switched off; it then has no known value."""

_HEAD, _END = b"<SoftwareIdentity ", b"</SoftwareIdentity>"
_SIGNATURE = b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
_INFO_END = b"</ds:SignedInfo>"
_BASE64 = rb"[0-9A-Za-z+/=\n]+"
_SIGNER = re.compile(
    rb"<ds:SignatureValue>([0-9A-Za-z+/=]+)</ds:SignatureValue>"
    rb"<ds:KeyInfo><ds:X509Data>"
    rb"((?:<ds:X509Certificate>" + _BASE64 + rb"</ds:X509Certificate>){1,8})"
    rb"</ds:X509Data></ds:KeyInfo></ds:Signature></SoftwareIdentity>\s*"
)
_CERTIFICATE = re.compile(rb">(" + _BASE64 + rb")<")
_PEM = b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n"
_NAMESPACES = {
    "xmlns": "http://standards.iso.org/iso/19770/-2/2015/schema.xsd",
    "xmlns:ns0": "http://standards.iso.org/iso/19770/-2/2015/schema.xsd",
    "xmlns:ns2": "http://www.w3.org/2001/04/xmlenc#sha384",
}
_SIGNED_INFO = (
    "<ds:SignedInfo>"
    '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11"/>'
    "<ds:SignatureMethod "
    'Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"/>'
    '<ds:Reference URI=""><ds:Transforms><ds:Transform '
    'Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>'
    '<ds:Transform Algorithm="http://www.w3.org/2006/12/xml-c14n11"/></ds:Transforms>'
    '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#sha384"/>'
    "<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
)


@dataclass(frozen=True, slots=True)
class Rim:
    """Reference values of one version of a driver or VBIOS, signed by NVIDIA.

    Attributes:
        product: The chip it is for, such as `GH100`.
        version: Of the driver or VBIOS, as reports name it.
        values: The digests that are good, by index counted from 0.
        begins: Unix time from which on its signer's certificates are valid.
        ends: Unix time after which they no longer are.
        digest: SHA-256 of the document, in hex.
    """

    product: str
    version: str
    values: tuple[tuple[int, frozenset[bytes]], ...]
    begins: float
    ends: float
    digest: str


def load_rims(source: RimSource) -> tuple[Rim, ...]:
    """Return the reference values in a folder, or in documents.

    Raises:
        InvalidInputError: There are none.
        AttestationError: A document cannot be read, or was not signed by NVIDIA.
    """
    rims = []
    for name, document in _documents(source):
        with about(f"Reference values {name}"):
            rims.append(parse_rim(document))
    if not rims:
        raise InvalidInputError("rims holds no reference values (.xml, .swidtag).")
    return tuple(rims)


def parse_rim(document: bytes, *, root: bytes = RIM_ROOT) -> Rim:
    """Return the reference values in a document, whatever the date.

    Args:
        document: A signed SWID tag.
        root: SHA-256 of the certificate that its signer has to lead to; as with
            `verify_evidence`, here for tests.

    Raises:
        EvidenceFormatError: It is off its one form, too large, or has no values.
        ChainRejectedError: Its certificates do not lead to the root.
        EvidenceSignatureError: What it holds is not what was signed.
    """
    if len(document) > MAX_RIM:
        raise _broken("they are too large")
    head, _, tail = document.rpartition(_SIGNATURE)
    info, info_end, signer = tail.partition(_INFO_END)
    parts = _SIGNER.fullmatch(signer)
    if parts is None or not head.startswith(_HEAD):
        raise _broken("they have not the form of a signed tag")
    # The head closed is well-formed, or this raises; so the signature was a child of
    # the outermost element, and leaving it out is the enveloped-signature transform.
    signed = canonicalize(head + _END)
    expected, canonical_info = _signed_info(signed)
    signature = _decoded(parts[1])
    if info + info_end != expected or len(signature) != SIGNATURE_BYTES:
        raise EvidenceSignatureError("They are not what was signed.")
    pem = b"".join(_PEM % found[1] for found in _CERTIFICATE.finditer(parts[2]))
    chain = load_pem_chain(pem, levels=_LEVELS, root=root)
    if not verify_raw(chain.key(), signature, canonical_info):
        raise EvidenceSignatureError("They were not signed by their signer.")
    digest = hashlib.sha256(document).hexdigest()
    return _read(signed, begins=chain.begins, ends=chain.ends, digest=digest)


def match_rims(
    device: Device, rims: Iterable[Rim], *, now: float, allow_expired: bool
) -> tuple[Rim, Rim]:
    """Return the driver's and the VBIOS's reference values that a GPU matches.

    Raises:
        EvidenceUnavailableError: There are none for its driver or VBIOS.
        ChainRejectedError: Those there are have a signer that expired, and that is
            not allowed.
        MeasurementMismatchError: It measures otherwise.
    """
    known = [rim for rim in rims if rim.product == device.chip.model]
    pairs = product(
        *(
            _valid(
                [rim for rim in known if rim.version == version],
                f"{what} {version} of {device.chip.model}",
                now=now,
                allow_expired=allow_expired,
            )
            for what, version in (
                ("driver", device.chip.driver),
                ("VBIOS", device.chip.vbios),
            )
        )
    )
    failures = []
    for driver, vbios in pairs:
        failed = _mismatch(device, driver, vbios)
        if failed is None:
            return driver, vbios
        failures.append(failed)
    raise MeasurementMismatchError(
        f"{device.chip.model} {device.chip.chip_id} {failures[0]}."
    )


def _valid(rims: list[Rim], what: str, *, now: float, allow_expired: bool) -> list[Rim]:
    if not rims:
        raise EvidenceUnavailableError(f"There are no reference values for {what}.")
    good = [rim for rim in rims if rim.begins <= now <= rim.ends or allow_expired]
    if not good:
        until = dt.datetime.fromtimestamp(max(rim.ends for rim in rims), dt.UTC)
        raise ChainRejectedError(
            f"The signer of the reference values for {what} is not valid now; it was "
            f"until {until:%Y-%m-%d}."
        )
    return good


def _mismatch(device: Device, driver: Rim, vbios: Rim) -> str | None:
    """Return why a GPU is not what these reference values describe."""
    golden = dict(driver.values)
    for index, values in vbios.values:
        if index in golden:
            return f"has two sources of reference values at index {index}"
        golden[index] = values
    for index, values in sorted(golden.items()):
        if index == _NVDEC0 and device.report.nvdec0 is False:
            continue
        # SPDM counts from 1.
        if device.report.measurements.get(index + 1) not in values:
            return f"measures otherwise than the reference values at index {index}"
    return None


def _documents(source: RimSource) -> Iterable[tuple[str, bytes]]:
    if isinstance(source, str | Path):
        try:
            for path in sorted(Path(source).iterdir()):
                if path.suffix in _SUFFIXES:
                    with path.open("rb") as file:
                        yield path.name, file.read(MAX_RIM + 1)
        except OSError as error:
            raise InvalidInputError("The folder of rims cannot be read.") from error
        return
    documents = [source] if isinstance(source, bytes) else source
    for number, document in enumerate(documents, start=1):
        yield str(number), document


def _signed_info(signed: bytes) -> tuple[bytes, bytes]:
    """Return the SignedInfo over these bytes, as it is written and as it is signed."""
    digest = base64.b64encode(hashlib.sha384(signed).digest()).decode()
    written = _SIGNED_INFO.format(digest=digest)
    # Signed is its canonical form, which shows the namespaces of what is around it.
    names = _NAMESPACES | {"xmlns:ds": "http://www.w3.org/2000/09/xmldsig#"}
    shown = "".join(f' {name}="{uri}"' for name, uri in names.items())
    inside = written.removeprefix("<ds:SignedInfo")
    return written.encode(), canonicalize(f"<ds:SignedInfo{shown}{inside}".encode())


def _read(signed: bytes, *, begins: float, ends: float, digest: str) -> Rim:
    root, *rest = elements(signed)
    if not _NAMESPACES.items() <= root[1].items():
        raise _broken("they have other namespaces")
    metas = [attributes for name, attributes in rest if name == "ns0:Meta"]
    values = {}
    for name, attributes in rest:
        if name == "ns0:Resource":
            index, digests = _resource(attributes)
            if index in values:
                raise _broken("an index comes twice")
            values[index] = digests
    active = tuple((i, digests) for i, digests in values.items() if digests)
    match metas:
        case [{"edition": "GPU", "product": model, "colloquialVersion": version}] if (
            active
        ):
            return Rim(model, version.upper(), active, begins, ends, digest)
    raise _broken("they are not of a GPU, or of nothing")


def _resource(attributes: dict[str, str]) -> tuple[int, frozenset[bytes]]:
    """Return index and digests of a measurement; no digests where it is not active."""
    digests = {k: v for k, v in attributes.items() if k.startswith("ns2:Hash")}
    index = attributes.get("index", "")
    expected = [f"ns2:Hash{number}" for number in range(len(digests))]
    if (
        attributes.get("type") != "Measurement"
        or attributes.get("active") not in {"True", "False"}
        or attributes.get("alternatives") != str(len(digests))
        or attributes.get("size") != str(_DIGEST_BYTES)
        or not re.fullmatch(r"\d{1,2}", index, re.ASCII)
        or int(index) >= _INDICES
        or sorted(digests) != sorted(expected)
        or not all(re.fullmatch(r"[0-9a-f]{96}", value) for value in digests.values())
    ):
        raise _broken("a value is malformed")
    if attributes["active"] == "False":
        return int(index), frozenset()
    if not digests:
        raise _broken("an active value has no digest")
    return int(index), frozenset(bytes.fromhex(value) for value in digests.values())


def _decoded(text: bytes) -> bytes:
    data = decoded(text.decode("latin-1"))
    if data is None:
        raise _broken("the signature is not base64")
    return data


def _broken(why: str) -> EvidenceFormatError:
    return EvidenceFormatError(f"The reference values cannot be used: {why}.")
