"""An agent of pydantic-ai, sealed by the client that its provider is given."""

import json
from pathlib import Path

from shells import CHAT, QUESTION, SECRET, posts

CALLS = Path(__file__).with_name("pydantic_ai_calls.py")


def test_an_agent_is_sealed(make_atoma, run, openai_pythons, no_plaintext):
    no_plaintext(SECRET, QUESTION)
    atoma, broken = make_atoma(), make_atoma()
    broken.faults.always("hash-wrong")
    urls, keys = (atoma.base_url, broken.base_url), (atoma.api_key, broken.api_key)
    asked = f"{SECRET}\n\nQuestion: {QUESTION}"

    said = json.loads(run(openai_pythons["3"], CALLS, *urls, *keys, CHAT, asked))

    assert "4711" in said["answer"]
    assert said["stream"] == said["answer"]
    assert said["structured"] == 4711
    assert "42" in said["tool"]
    assert said["error"] == "DigestMismatchError"
    assert len(posts(broken)) == 1
    assert atoma.violations == []
