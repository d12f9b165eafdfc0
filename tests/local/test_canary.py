"""The recorder of tests/conftest.py is there for every test, and it can fail."""

import os

import httpx
import pytest

from atoma_confidential import Client
from atoma_local import LocalAtoma, Wiretap

MODEL = "meta-llama/Llama-3.3-70B-Instruct"


def chat(text):
    return {"model": MODEL, "messages": [{"role": "user", "content": text}]}


def test_a_sealed_canary_crosses_unseen(atoma, canary, recorded):
    with Client(base_url=atoma.base_url, api_key=atoma.api_key) as client:
        reply = client.chat(**chat(f"The word is {canary}. Which word is it?"))
        client.embed([canary], model=MODEL)

    assert canary in reply.body["choices"][0]["message"]["content"]
    assert recorded.opened_canary()
    assert recorded.sealed == 2
    assert recorded.find_canary() == []


@pytest.mark.clear_text
@pytest.mark.parametrize("place", ["body", "header", "path"])
@pytest.mark.parametrize("tapped", [True, False])
def test_a_canary_in_clear_is_seen(canary, recorded, place, tapped):
    with LocalAtoma(wiretap=tapped) as atoma:
        headers = {"Authorization": f"Bearer {atoma.api_key}"}
        if place == "header":
            httpx.get(f"{atoma.base_url}/health", headers={"X-Note": canary})
        elif place == "path":
            httpx.get(f"{atoma.base_url}/{canary}")
        else:
            url = f"{atoma.base_url}/v1/chat/completions"
            httpx.post(url, json=chat(canary), headers=headers)

    assert recorded.find_canary()


@pytest.mark.clear_text
def test_a_tap_of_ones_own_is_recorded_too(canary, recorded):
    with LocalAtoma() as atoma, Wiretap(atoma.base_url) as tap:
        httpx.get(f"{tap.base_url}/{canary}")

    assert tap in recorded.taps
    assert recorded.find_canary()


def test_what_is_registered_is_looked_for(atoma, connect, recorded, no_plaintext):
    no_plaintext("a text that is sealed")
    connect(atoma).answer(chat("Is this a text that is sealed?"))

    assert recorded.find(["a text that is sealed"]) == []
    assert recorded.find(['"model_name"'])
    assert atoma.opened[0].body["messages"][0]["content"].startswith("Is this")


def test_the_environment_is_clean():
    assert not [n for n in os.environ if n.startswith(("ATOMA_API", "LANGSMITH_"))]
