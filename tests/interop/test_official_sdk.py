"""The official SDK, unmodified, against the local Atoma: it speaks the real wire."""

import json
from pathlib import Path

import pytest

from atoma_confidential import Client

CALLS = Path(__file__).with_name("sdk_calls.py")
MODEL = "meta-llama/Llama-3.3-70B-Instruct"


@pytest.mark.parametrize("nonces", ["fresh", "reused"])
def test_it_completes_against_the_local_atoma(
    make_atoma, run, sdk_python, no_plaintext, canary, nonces
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
