"""The wire's vectors as they lie in tests/vectors."""

import json
from pathlib import Path

from atoma_confidential import _wire
from atoma_confidential.errors import Exposure

VECTORS = Path(__file__).parents[1] / "vectors"


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


FILES = {path.stem: load(path.stem) for path in VECTORS.glob("*.json")}
REQUESTS = {case["name"]: case for case in FILES["requests"]["cases"]}


def compressed(case):
    return _wire._binary(case, "compressed_evidence_b64", Exposure.NOTHING)
