"""The official SDK, unmodified, against the local Atoma: it speaks the real wire."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from atoma_confidential import Client

SDK = "atoma-sdk==0.1.3"
CALLS = Path(__file__).with_name("sdk_calls.py")
ROOT = Path(__file__).parents[2]
MODEL = "meta-llama/Llama-3.3-70B-Instruct"


def run(*command):
    """Run a command to its end; what it said is part of the failure."""
    done = subprocess.run(  # noqa: S603  fixed commands
        [*map(str, command)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="session")
def sdk_python():
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


@pytest.mark.parametrize("nonces", ["fresh", "reused"])
def test_it_completes_against_the_local_atoma(
    make_atoma, sdk_python, no_plaintext, canary, nonces
):
    question = f"The word of the day is {canary}. Which word is it, Grüße?"
    no_plaintext(question, "another text")
    atoma = make_atoma(nonces=nonces)

    said = json.loads(
        run(sdk_python, CALLS, atoma.base_url, atoma.api_key, MODEL, question)
    )

    assert atoma.violations == []
    assert [path.rpartition("/")[2] for path, _ in atoma.opened] == [
        *("completions", "completions", "embeddings"),
        *("completions", "completions", "embeddings"),
    ]
    with Client(base_url=atoma.base_url, api_key=atoma.api_key) as client:
        messages = [{"role": "user", "content": question}]
        ours = client.chat(messages, model=MODEL, max_tokens=64).body
        vectors = client.embed([question, "another text"], model=MODEL).vectors
    text = ours["choices"][0]["message"]["content"]
    assert canary in text
    for way in ("sync", "async"):
        assert said[way]["chat"] == said[way]["stream"] == text
        assert said[way]["usage"] == ours["usage"]["total_tokens"]
        assert said[way]["vectors"] == [pytest.approx(v, abs=1e-6) for v in vectors]
