"""What an appraisal found: each check with its outcome, and what nobody checked.

Values only. The words are those of RFC 9334: evidence is appraised under a policy, and
that gives an attestation result.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = [
    "NEVER_PROVEN",
    "OPEN_POINTS",
    "Assurance",
    "AttestationResult",
    "Check",
    "Gpu",
    "OpenPoint",
    "Outcome",
]


class Assurance(enum.StrEnum):
    """Why a node's key was accepted, from the weakest reason to the strongest."""

    PROXY_ASSERTED = "proxy_asserted"
    KEY_PINNED = "key_pinned"
    GPU_WITNESSED = "gpu_witnessed"
    GPU_WITNESSED_MEASURED = "gpu_witnessed_measured"


class Outcome(enum.StrEnum):
    """How a check ended; a check that was not made did not pass."""

    PASSED = "passed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One check by name, how it ended, and in a few words on what.

    A check that fails has no result: it is an error.
    """

    name: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU whose report was verified.

    Attributes:
        model: The chip's name, such as `GH100`.
        chip_id: What tells it from all other chips, over all firmware.
        leaf_serial: Serial number of the certificate that signed, in decimal.
        driver: Version of its driver.
        vbios: Version of its VBIOS.
        mode: `single`, `multi` or `protected-pcie`; empty where the report names none.
        firmware_id: Digest of its firmware, in hex; empty where the report has none.
    """

    model: str
    chip_id: str
    leaf_serial: str
    driver: str
    vbios: str
    mode: str
    firmware_id: str


class OpenPoint(enum.StrEnum):
    """Something that a result does not prove; its name is the short form."""

    CONFIDENTIAL_MACHINE = "that the key is held inside a confidential VM"
    SOFTWARE = "what software runs"
    PLACEMENT = "that these GPUs run your request"
    OPERATOR = "anything about the operator"
    GENUINE_GPU = "that a genuine GPU vouched for the key"
    NODE_KEY = "that the key is that of this node"
    FIRMWARE = "that the GPUs' firmware is NVIDIA's"
    GPU_MODE = "that the GPUs' memory is protected and debugging is off"
    FIRST_CONTACT = "that the first contact with the node was genuine"


NEVER_PROVEN = (
    OpenPoint.CONFIDENTIAL_MACHINE,
    OpenPoint.SOFTWARE,
    OpenPoint.PLACEMENT,
    OpenPoint.OPERATOR,
)
"""What remains open even where all of the network's evidence is good."""

OPEN_POINTS = (
    *NEVER_PROVEN,
    OpenPoint.GENUINE_GPU,
    OpenPoint.NODE_KEY,
    OpenPoint.FIRMWARE,
    OpenPoint.GPU_MODE,  # sources differ on whether measurements would show it
)
"""What is open from the start; a policy leaves out what it has proven.

Any other point is one that a policy adds, by believing something.
"""


@dataclass(frozen=True, slots=True)
class AttestationResult:
    """Why a node's key was accepted.

    Attributes:
        key: The key's fingerprint; see `Recipient.fingerprint`.
        node: The node's number, as the proxy gave it.
        policy: Name of the policy that accepted the key.
        assurance: The strongest reason for it.
        checks: What was checked, and what was skipped.
        gpus: The GPUs that vouched for the key.
        not_proven: What remains open.
        nonce_source: Where the nonce of the evidence came from: `sui`, `user`, or empty
            where none was needed.
        contract_nonce: That nonce, an unsigned 64-bit number; None where none was
            needed.
        rotation: Number of the network's rotation of keys that the nonce is of, where
            the contract was read for it.
        evidence_digest: SHA-256 of the evidence, in hex; empty where there was none.
        verified_at: Unix time of the appraisal, in seconds.
        expires_at: Unix time from which on it has to be made again; None for never.
    """

    key: str
    node: int
    policy: str
    assurance: Assurance
    verified_at: float
    checks: tuple[Check, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    not_proven: tuple[OpenPoint, ...] = OPEN_POINTS
    nonce_source: str = ""
    contract_nonce: int | None = None
    rotation: int | None = None
    evidence_digest: str = ""
    expires_at: float | None = None
