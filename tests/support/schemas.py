"""What the commands print with `--json`; who changes it breaks somebody's script."""

from pydantic import BaseModel, ConfigDict

from atoma_cli._findings import State


class Strict(BaseModel):
    """Has no other field, and no value of another type, than it says."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Finding(Strict):
    name: str
    state: State
    detail: str
    advice: str


class Findings(Strict):
    exit_code: int
    findings: list[Finding]
