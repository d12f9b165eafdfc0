"""Other SDKs, in environments of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SDK = "atoma-sdk==0.1.3"
OPENAI = "openai==3.57.0"  # in the tests' own environment is 2.x
PYDANTIC_AI = "pydantic-ai-slim[openai]==2.68.0"
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
    return _python_with(run, "ATOMA_SDK_PYTHON", ".venv-sdk", SDK)


@pytest.fixture(scope="session")
def openai_pythons(run):
    """The Pythons that have a version of the OpenAI SDK each, and the core."""
    others = (PYDANTIC_AI, "--editable", ROOT)
    other = _python_with(run, "ATOMA_OPENAI_PYTHON", ".venv-openai", OPENAI, *others)
    return {"2": sys.executable, "3": other}


def _python_with(run, variable, folder, requirement, *others):
    named = os.environ.get(variable)
    python = Path(named) if named else ROOT / folder / "bin" / "python"
    if not python.exists():
        assert not named, f"{variable} names no Python"
        run(sys.executable, "-m", "venv", python.parents[1])
    name, _, version = requirement.partition("==")
    script = f"from importlib.metadata import version; print(version({name!r}))"
    shown = subprocess.run(  # noqa: S603  fixed commands
        [str(python), "-c", script], capture_output=True, text=True, check=False
    )
    if shown.stdout.strip() != version:
        quiet = ("-m", "pip", "--quiet", "--disable-pip-version-check")
        run(python, *quiet, "install", requirement, *others)
    return python
