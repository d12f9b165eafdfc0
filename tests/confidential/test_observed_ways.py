"""Telemetry through the transports, without its extra, and where nobody wants it."""

import subprocess
import sys

import httpx
import httpx2
import pytest
from scripted import ScriptedEngine
from shells import CHAT, EMBEDDING, MESSAGES
from transported import Asynchronous, Blocking, without

STREAM = {"model": CHAT, "messages": MESSAGES, "stream": True}
TEXT = "canary-heliotrope-5f1d9c: a passage for a vector"


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("face", [Blocking, Asynchronous])
def test_what_goes_through_a_transport_is_told(atoma, telemetry, face, library):
    client = face(library, api_key=atoma.api_key, base_url=atoma.base_url)
    post = client.request
    post("POST", "/chat/completions", json=STREAM | {"stream": False})
    post("POST", "/chat/completions", json=STREAM)
    post("POST", "/embeddings", json={"model": EMBEDDING, "input": TEXT})
    post("GET", "/models")
    client.take("/chat/completions", STREAM, 2)
    client.close()

    names = [f"chat {CHAT}", f"chat {CHAT}", f"embeddings {EMBEDDING}", "models"]
    assert [call.name for call in telemetry.calls] == [*names, f"chat {CHAT}"]
    ends = [call.attributes["atoma.end"] for call in telemetry.calls]
    assert ends == ["complete"] * 4 + ["closed"]


def test_what_is_missing_is_named(monkeypatch):
    with pytest.raises(ModuleNotFoundError, match=r"atoma-confidential\[otel\]"):
        without(monkeypatch, "opentelemetry", "atoma_confidential.opentelemetry")


def test_a_client_imports_no_telemetry(atoma):
    """In an interpreter of its own: this one has it."""
    code = (
        "import sys, atoma_confidential as ac\n"
        f"with ac.Client(api_key={atoma.api_key!r}, base_url={atoma.base_url!r}) as c:"
        f" c.models()\n"
        "print([name for name in sys.modules if 'opentelemetry' in name])"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_a_count_that_is_no_float_costs_no_answer(connect, make_atoma, telemetry):
    engine = ScriptedEngine()
    engine.usage = {**engine.usage, "prompt_tokens": 10**400}
    reply = connect(make_atoma(backend=engine)).chat()

    assert reply.body["usage"]["prompt_tokens"] == 10**400
    told = telemetry.call.attributes
    assert "gen_ai.usage.input_tokens" not in told
    assert told["gen_ai.usage.output_tokens"] == 5
