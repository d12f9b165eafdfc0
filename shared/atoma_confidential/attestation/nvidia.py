"""Verifying NVIDIA's evidence from scratch: which chips vouch for a key.

Nothing is looked up: certificates, reports and a nonce go in, the devices come out.
What that proves, and above all what it does not, is in docs/attestation.md. Every step
is made for every device, and any that fails refuses the whole.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cryptography import x509

from atoma_confidential.errors import (
    ChainRejectedError,
    DeviceNotAllowedError,
    EvidenceFormatError,
    EvidenceSignatureError,
    FirmwareIdMismatchError,
    KeyNotBoundError,
)

from ._about import about
from ._dice import chip_of, firmware_id_of
from .chain import Chain, load_pem_chain, verify_raw
from .evidence import EvidenceItem
from .report import Report, parse_report
from .result import Gpu

__all__ = ["NVIDIA_ROOT", "Device", "gpus_of", "verify_evidence"]

NVIDIA_ROOT = bytes.fromhex(
    "102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48"
)
"""SHA-256 of NVIDIA's Device Identity CA, serial number 2d3670b1…5b54, from 2021."""

_LEVELS = 5  # leaf, chip, provisioner, product line, root
# The root signs network cards and board controllers too, and the switches' chain has
# the GPUs' intermediates: only the leaf says what a device is.
_LEAF_NAMES = {
    "device": re.compile(r"(GH100|GB100) [A-Z]\d\d GSP FMC LF"),
    "nvswitch": re.compile(r"(LS_10) [A-Z]\d\d FSP FMC LF"),
}


@dataclass(frozen=True, slots=True, repr=False)
class Device:
    """A GPU or switch whose evidence was verified.

    Attributes:
        kind: As the node lists it, and its certificate confirms.
        chip: Which one it is; a switch has the same facts but no driver.
        report: What it signed.
        expires_at: Unix time after which its certificates are no longer valid.
    """

    kind: Literal["device", "nvswitch"]
    chip: Gpu
    report: Report
    expires_at: float


def verify_evidence(
    items: Sequence[EvidenceItem],
    *,
    nonce: bytes,
    now: float,
    root: bytes = NVIDIA_ROOT,
) -> tuple[Device, ...]:
    """Return the devices that signed this nonce, in the order of their evidence.

    Args:
        items: What a node publishes; see `parse_evidence`.
        nonce: What each of them has to have signed; see `report_nonce`.
        now: Unix time, in seconds, at which the certificates have to be valid.
        root: SHA-256 of the certificate that all have to lead to. It is here for
            tests, which cannot sign with NVIDIA's; nothing else should pass it.

    Raises:
        EvidenceFormatError: A certificate or report cannot be read.
        ChainRejectedError: A device's certificates do not lead to the root, or are
            not valid now.
        DeviceNotAllowedError: A device is of an unknown model or other than listed,
            or comes twice; the GPUs are not all in one mode; or there is none.
        FirmwareIdMismatchError: A report and its certificate name other firmware.
        EvidenceSignatureError: A report was not signed by its device.
        KeyNotBoundError: A report answers another nonce.
    """
    devices = []
    for number, item in enumerate(items, start=1):
        with about(f"Device {number} of {len(items)}"):
            devices.append(_verify(item, nonce=nonce, now=now, root=root))
    chips = [device.chip.chip_id for device in devices]
    if len(set(chips)) < len(chips):
        raise DeviceNotAllowedError("A device is listed twice.")
    modes = {device.chip.mode for device in devices if device.kind == "device"}
    if not modes:
        raise DeviceNotAllowedError("There is no GPU among the devices.")
    if len(modes) > 1:
        raise DeviceNotAllowedError("The GPUs are not all in one mode.")
    return tuple(devices)


def _verify(item: EvidenceItem, *, nonce: bytes, now: float, root: bytes) -> Device:
    chain = load_pem_chain(item.certificate_chain, levels=_LEVELS, root=root)
    if not chain.begins <= now <= chain.ends:
        raise ChainRejectedError("Its certificates are not valid at this time.")
    model, chip_id, certified = _identity(chain.leaf, item.kind)
    report = parse_report(item.report)
    if item.kind == "device" and not (report.driver and report.vbios):
        raise EvidenceFormatError("Its report names no driver or no VBIOS.")
    _check_firmware(report, certified)
    if not verify_raw(chain.key(), report.signature, report.signed):
        raise EvidenceSignatureError(f"{model} {chip_id} did not sign this report.")
    if not hmac.compare_digest(report.nonce, nonce):
        raise KeyNotBoundError(
            f"{model} {chip_id} did not vouch for this key under this nonce."
        )
    return Device(item.kind, _chip(model, chip_id, chain, report), report, chain.ends)


def _identity(leaf: x509.Certificate, kind: str) -> tuple[str, str, bytes | None]:
    """Return model, chip id and firmware id of an allowed device."""
    try:
        chip, firmware_id = chip_of(leaf), firmware_id_of(leaf)
    except ValueError:
        raise EvidenceFormatError("Its certificate cannot be read.") from None
    if chip is not None:
        name, model, chip_id = chip
        found = _LEAF_NAMES[kind].fullmatch(name)
        if found is not None and found[1] == model:
            return model, chip_id, firmware_id
    what = "GPU" if kind == "device" else "switch"
    raise DeviceNotAllowedError(f"It is not certified as a {what} of a known model.")


def _check_firmware(report: Report, certified: bytes | None) -> None:
    # Drivers before 550 leave it out of the report: then there is nothing to compare.
    if report.firmware_id and report.firmware_id != certified:
        raise FirmwareIdMismatchError(
            "Its report names another firmware than its certificate."
        )


def _chip(model: str, chip_id: str, chain: Chain, report: Report) -> Gpu:
    return Gpu(
        model=model,
        chip_id=chip_id,
        leaf_serial=str(chain.leaf.serial_number),
        driver=report.driver,
        vbios=report.vbios,
        mode=report.mode,
        firmware_id=report.firmware_id.hex(),
    )


def gpus_of(devices: Iterable[Device]) -> tuple[Gpu, ...]:
    """Return the GPUs among the devices."""
    return tuple(device.chip for device in devices if device.kind == "device")
