"""What verifying eight GPUs costs, from the record as it arrives.

Response, JSON, zlib, base64, reports, certificates, signatures and nonce; on one core,
in CPU time, median over rounds. Synthetic evidence comes from the tests' authority;
genuine evidence is measured too where it lies beside the repository.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

import silicon  # noqa: E402

from atoma_confidential.attestation.evidence import (  # noqa: E402
    parse_evidence,
    report_nonce,
)
from atoma_confidential.attestation.nvidia import (  # noqa: E402
    NVIDIA_ROOT,
    verify_evidence,
)
from atoma_confidential.attestation.policy import Fetched  # noqa: E402
from atoma_confidential.attestation.record import read_record  # noqa: E402

GENUINE = ROOT.parent / "shared" / "evidence" / "atoma_8x_gh100.json"
NODE, GPUS = 42, 8


def answer(compressed: bytes) -> Fetched:
    fields = {"node_small_id": NODE, "compressed_evidence": list(compressed)}
    return Fetched(200, json.dumps(fields).encode())


def verifying(record: Fetched, nonce: bytes, root: bytes) -> Callable[[], None]:
    def verify() -> None:
        items = parse_evidence(read_record(record, node=NODE))
        devices = verify_evidence(items, nonce=nonce, now=silicon.NOW, root=root)
        if len(devices) != GPUS:
            raise AssertionError

    return verify


def milliseconds(verify: Callable[[], None], rounds: int) -> float:
    verify()  # the first one loads what is loaded when it is needed
    times = []
    for _ in range(rounds):
        started = time.process_time()
        verify()
        times.append(1000 * (time.process_time() - started))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    authority = silicon.Authority()
    nonce = report_nonce(7, bytes(range(32)))
    chips = [authority.chip(number=number) for number in range(GPUS)]
    record = answer(silicon.pack([chip.entry(nonce) for chip in chips]))
    verify = verifying(record, nonce, authority.fingerprint)
    print(f"eight GPUs, synthetic  {milliseconds(verify, rounds):6.1f} ms")
    if not GENUINE.exists():
        print("eight GPUs, genuine     not beside the repository")
        return
    entries = [
        item | {"evidence_type": "device"} for item in json.loads(GENUINE.read_text())
    ]
    compressed = zlib.compress(json.dumps(entries).encode())
    nonce = parse_evidence(compressed)[0].nonce
    verify = verifying(answer(compressed), nonce, NVIDIA_ROOT)
    print(f"eight GPUs, genuine    {milliseconds(verify, rounds):6.1f} ms")


if __name__ == "__main__":
    main()
