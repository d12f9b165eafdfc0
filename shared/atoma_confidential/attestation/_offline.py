"""The policy that verifies a node's evidence itself: chips have to vouch for the key.

`Vouched` is what all policies over evidence begin with: where the evidence and the
nonce come from, and the required checks of all devices (`verify_evidence`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from atoma_confidential.envelope import digest_of
from atoma_confidential.errors import (
    DeviceNotAllowedError,
    InvalidInputError,
    KeyNotBoundError,
)

from ._about import about
from .evidence import EvidenceItem, parse_evidence, report_nonce
from .nvidia import NVIDIA_ROOT, Device, gpus_of, verify_evidence
from .policy import Appraisal, Candidate, Fetch, Fetched, TrustPolicy
from .record import read_record, record_request
from .result import (
    OPEN_POINTS,
    Assurance,
    AttestationResult,
    Check,
    Gpu,
    OpenPoint,
    Outcome,
)
from .rim import Rim, RimSource, load_rims, match_rims
from .sui import SuiContract, read_commitment, read_rotation

__all__ = ["EvidencePolicy", "Vouched", "nvidia_offline", "with_measurements"]

LIFETIME = 3600.0
"""Seconds that a result holds. Checking again costs next to nothing; it is for noticing
that keys were rotated."""

_PASSED, _SKIPPED = Outcome.PASSED, Outcome.SKIPPED


@dataclass(frozen=True, slots=True)
class _Found:
    """Evidence, and the nonce that it has to answer."""

    evidence: bytes
    contract_nonce: int
    nonce_source: Literal["user", "sui"]
    rotation: int | None
    from_chain: bool


@dataclass(frozen=True, slots=True)
class Vouched:
    """Evidence whose devices vouch for the key, by signing this nonce."""

    found: _Found
    items: tuple[EvidenceItem, ...]
    devices: tuple[Device, ...]
    nonce: bytes

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs among them."""
        return gpus_of(self.devices)


@dataclass(frozen=True, slots=True)
class EvidencePolicy(TrustPolicy):
    """Accepts a key for which GPUs vouch, by their evidence alone.

    Attributes:
        nonce: The contract's, or where to read it.
        gpus: Ids of the chips that may vouch; None for any.
        min_driver: The oldest driver that is acceptable.
        rims: The reference values that all GPUs have to match, if there are any.
        allow_expired_rims: Whether the signer of those may have expired.
        root: See `verify_evidence`.
    """

    nonce: int | SuiContract
    gpus: frozenset[str] | None = None
    min_driver: tuple[int, ...] = ()
    rims: tuple[Rim, ...] = ()
    allow_expired_rims: bool = False
    root: bytes = NVIDIA_ROOT
    name: str = "nvidia_offline"

    @property
    def identity(self) -> str:
        """Its name and a digest of all that it accepts."""
        nonce: object = self.nonce
        if isinstance(nonce, SuiContract):
            nonce = [nonce.rpc_url, nonce.atoma_db, nonce.package]
        gpus = None if self.gpus is None else sorted(self.gpus)
        rims = sorted(rim.digest for rim in self.rims)
        accepted = [nonce, gpus, self.min_driver, self.root.hex()]
        accepted += [rims, self.allow_expired_rims]
        return f"{self.name}:{digest_of(json.dumps(accepted).encode()).hex()}"

    @property
    def asks(self) -> tuple[str, ...]:
        """The keeper of the record, or the chain."""
        keeper = "the keeper of the nodes' records: which node"
        if not isinstance(self.nonce, SuiContract):
            return (keeper,)
        server = f"the Sui server {self.nonce.host}"
        if self.nonce.package is None:
            return keeper, f"{server}: that this contract is read"
        return (f"{server}: which node",)

    def appraise(self, candidate: Candidate, *, now: float) -> Appraisal:
        """Fetch the evidence and the nonce, and verify."""
        with about(f"Node {candidate.node}, key {candidate.recipient.fingerprint}"):
            vouched = yield from self.vouch(candidate, now=now)
            result = self.result(candidate, vouched, policy=self.name, now=now)
            return self._measured(result, vouched, now) if self.rims else result

    def vouch(
        self, candidate: Candidate, *, now: float
    ) -> Generator[Fetch, Fetched, Vouched]:
        """Return verified evidence of allowed devices for this key."""
        found = yield from _find(self.nonce, candidate)
        nonce = report_nonce(found.contract_nonce, candidate.recipient.public_key)
        items = parse_evidence(found.evidence)
        devices = verify_evidence(items, nonce=nonce, now=now, root=self.root)
        for gpu in gpus_of(devices):
            self._check_allowed(gpu)
        return Vouched(found, items, devices, nonce)

    def _check_allowed(self, gpu: Gpu) -> None:
        if self.gpus is not None and gpu.chip_id not in self.gpus:
            raise DeviceNotAllowedError(
                f"{gpu.model} {gpu.chip_id} is not among the chips that are allowed."
            )
        # `parse_report` has seen to it that these are numbers.
        if tuple(map(int, gpu.driver.split("."))) < self.min_driver:
            raise DeviceNotAllowedError(
                f"{gpu.model} {gpu.chip_id} runs driver {gpu.driver}, which is older "
                "than the oldest that is allowed."
            )

    def _measured(
        self, result: AttestationResult, vouched: Vouched, now: float
    ) -> AttestationResult:
        gpus = [device for device in vouched.devices if device.kind == "device"]
        used = {
            rim
            for gpu in gpus
            for rim in match_rims(
                gpu, self.rims, now=now, allow_expired=self.allow_expired_rims
            )
        }
        versions = " and ".join(sorted({rim.version for rim in used}))
        detail = f"{len(gpus)} GPUs are as NVIDIA's values for {versions} say"
        checks = [Check("measurements", _PASSED, detail)]
        valid = [rim.ends for rim in used if rim.begins <= now <= rim.ends]
        if len(valid) < len(used):
            detail = "signers of reference values have expired, which is allowed"
            checks.append(Check("reference signers", _SKIPPED, detail))
        ends = min(valid, default=now + LIFETIME)
        return with_measurements(result, checks, expires_at=ends)

    def result(
        self, candidate: Candidate, vouched: Vouched, *, policy: str, now: float
    ) -> AttestationResult:
        """Say what was checked, and that no firmware was and no revocation."""
        found = vouched.found
        proven = {OpenPoint.GENUINE_GPU}
        if found.from_chain:
            proven.add(OpenPoint.NODE_KEY)
        return AttestationResult(
            key=candidate.recipient.fingerprint,
            node=candidate.node,
            policy=policy,
            assurance=Assurance.GPU_WITNESSED,
            verified_at=now,
            checks=(
                *_checks(vouched, self),
                Check("measurements", _SKIPPED, "there are no reference values"),
                Check("revocation", _SKIPPED, "not checked offline"),
            ),
            gpus=vouched.gpus,
            not_proven=tuple(point for point in OPEN_POINTS if point not in proven),
            nonce_source=found.nonce_source,
            contract_nonce=found.contract_nonce,
            rotation=found.rotation,
            evidence_digest=hashlib.sha256(found.evidence).hexdigest(),
            expires_at=min(
                now + LIFETIME, *(device.expires_at for device in vouched.devices)
            ),
        )


def nvidia_offline(
    *,
    nonce: int | SuiContract,
    gpus: Iterable[str] | None = None,
    min_driver: str | None = None,
    rims: RimSource | None = None,
    allow_expired_rims: bool = False,
) -> EvidencePolicy:
    """Return the policy for these; see `TrustPolicy.nvidia_offline`."""
    return EvidencePolicy(
        nonce=_nonce(nonce),
        gpus=_chip_ids(gpus),
        min_driver=_driver_version(min_driver),
        rims=() if rims is None else load_rims(rims),
        allow_expired_rims=allow_expired_rims,
    )


def with_measurements(
    result: AttestationResult, checks: Iterable[Check], *, expires_at: float
) -> AttestationResult:
    """Return a result whose GPUs were also found to run known firmware."""
    replaced = {check.name: check for check in checks}
    return replace(
        result,
        assurance=Assurance.GPU_WITNESSED_MEASURED,
        checks=(
            *(c for c in result.checks if c.name not in replaced),
            *replaced.values(),
        ),
        not_proven=tuple(
            point for point in result.not_proven if point is not OpenPoint.FIRMWARE
        ),
        expires_at=min(expires_at, result.expires_at or expires_at),
    )


def _find(
    nonce: int | SuiContract, candidate: Candidate
) -> Generator[Fetch, Fetched, _Found]:
    if not isinstance(nonce, SuiContract):
        record = yield from _record(candidate.node)
        return _Found(record, nonce, "user", None, from_chain=False)
    rotation = yield from read_rotation(nonce)
    if nonce.package is None:
        record = yield from _record(candidate.node)
        return _Found(record, rotation.nonce, "sui", rotation.counter, from_chain=False)
    commitment = yield from read_commitment(nonce, candidate.node)
    if commitment.public_key != candidate.recipient.public_key:
        raise KeyNotBoundError("It has committed to another key on chain.")
    if commitment.counter != rotation.counter:
        raise KeyNotBoundError("Its commitment on chain is of an earlier rotation.")
    return _Found(
        commitment.evidence, rotation.nonce, "sui", rotation.counter, from_chain=True
    )


def _record(node: int) -> Generator[Fetch, Fetched, bytes]:
    answer = yield record_request(node)
    return read_record(answer, node=node)


def _checks(vouched: Vouched, policy: EvidencePolicy) -> Iterable[Check]:
    gpus, total = vouched.gpus, len(vouched.devices)
    switches = total - len(gpus)
    size = f"{len(vouched.found.evidence) / 1024:.0f} KB"
    yield Check("evidence", _PASSED, f"{len(gpus)} GPUs, {switches} switches, {size}")
    root = policy.root.hex()[:8]
    yield Check("certificates", _PASSED, f"{total} chains to the root {root}…")
    named = sum(bool(gpu.firmware_id) for gpu in gpus)
    yield Check(
        "firmware ids",
        _PASSED if named == len(gpus) else _SKIPPED,
        f"{named} of {len(gpus)} GPUs name the one in their certificate",
    )
    yield Check("signatures", _PASSED, f"{total} of {total}")
    yield Check("key binding", _PASSED, "every device signed this key and nonce")
    if vouched.found.from_chain:
        yield Check("node", _PASSED, "the key is what the node committed to on chain")
    else:
        yield Check("node", _SKIPPED, "the evidence does not say whose it is")
    models = " and ".join(sorted({gpu.model for gpu in gpus}))
    drivers = " and ".join(sorted({gpu.driver for gpu in gpus}))
    vbioses = " and ".join(sorted({gpu.vbios for gpu in gpus}))
    detail = f"{len(gpus)} distinct {models}, driver {drivers}, VBIOS {vbioses}"
    allowed = "" if policy.gpus is None else ", all among the chips allowed"
    yield Check("devices", _PASSED, detail + allowed)
    if gpus[0].mode == "protected-pcie" and not switches:
        yield Check("links", _SKIPPED, "no switch between the GPUs has evidence")


def _nonce(nonce: int | SuiContract) -> int | SuiContract:
    """Return a nonce that fits the contract's, or where to read it."""
    fits = type(nonce) is int and 0 <= nonce < 1 << 64
    if not fits and not isinstance(nonce, SuiContract):
        raise InvalidInputError(
            "nonce is the contract's nonce, an unsigned 64-bit number, or a "
            "SuiContract to read it from."
        )
    return nonce


def _chip_ids(gpus: Iterable[str] | None) -> frozenset[str] | None:
    """Return ids of chips in the form that certificates have them."""
    if gpus is None:
        return None
    ids = [gpus] if isinstance(gpus, str) else list(gpus)
    if not ids or not all(
        isinstance(i, str) and re.fullmatch(r"[0-9A-Fa-f]{16}", i) for i in ids
    ):
        raise InvalidInputError("gpus are ids of chips, of 16 hex digits; one or more.")
    return frozenset(chip_id.upper() for chip_id in ids)


def _driver_version(text: str | None) -> tuple[int, ...]:
    """Return a version of a driver such that versions compare."""
    if text is None:
        return ()
    if not isinstance(text, str) or not re.fullmatch(
        r"\d{1,5}(\.\d{1,5}){0,3}", text, re.ASCII
    ):
        raise InvalidInputError("min_driver is a version such as 570.124.06.")
    return tuple(map(int, text.split(".")))
