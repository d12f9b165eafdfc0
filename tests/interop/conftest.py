"""The official SDK, in an environment of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SDK = "atoma-sdk==0.1.3"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def run():
    """Run a command to its end; what it said is part of the failure."""

    def run(*command):
        done = subprocess.run(  # noqa: S603  fixed commands
            [*map(str, command)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def sdk_python(run):
    """The Python of the SDK's own environment, which is made where it is missing."""
    named = os.environ.get("ATOMA_SDK_PYTHON")
    python = Path(named) if named else ROOT / ".venv-sdk" / "bin" / "python"
    if not python.exists():
        assert not named, "ATOMA_SDK_PYTHON names no Python"
        run(sys.executable, "-m", "venv", python.parents[1])
    quiet = ("-m", "pip", "--quiet", "--disable-pip-version-check")
    shown = subprocess.run(  # noqa: S603  likewise
        [str(python), "-m", "pip", "show", "atoma-sdk"],
        capture_output=True,
        check=False,
    )
    if b"\nVersion: 0.1.3" not in shown.stdout:
        run(python, *quiet, "install", SDK)
    return python
