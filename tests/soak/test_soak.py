"""The soak and the kills in short; `make soak` and `make soak-index` are the long ones.

Each runs as a program, for memory and descriptors are those of a process.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False
    )


def test_a_short_soak_passes():
    # What is slow because much else runs must not be taken for a fault.
    done = run(HERE, "--calls", "2", "--seed", "7", "--timeout", "30")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 calls" in done.stdout


def test_programs_that_are_killed_resume():
    done = run(HERE / "kills.py", "--kills", "3", "--passages", "200", "--seed", "7")

    assert done.returncode == 0, done.stdout + done.stderr
