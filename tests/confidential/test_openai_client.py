"""The clients of the OpenAI SDK that come ready made; more of it is in interop."""

import asyncio
import types

import httpx
import httpx2
import openai
import pytest
from shells import CHAT, MESSAGES
from transported import without

import atoma_confidential as ac
from atoma_confidential import openai as ours


def test_a_blocking_client_is_sealed(atoma, canary):
    with ours.openai_client(api_key=atoma.api_key, base_url=atoma.base_url) as client:
        reply = client.chat.completions.create(model=CHAT, messages=MESSAGES)

    assert "4711" in reply.choices[0].message.content
    assert canary in str(atoma.opened[-1].body)
    assert (client.api_key, client.max_retries) == ("not-sent", 0)
    assert client.base_url == ours.SEALED_BASE_URL + "/"


def test_an_asynchronous_client_survives_loops(atoma):
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    client = ours.async_openai_client(**settings)
    ask = client.chat.completions.create
    for _ in range(2):
        reply = asyncio.run(ask(model=CHAT, messages=MESSAGES))

        assert "4711" in reply.choices[0].message.content
    asyncio.run(client.close())


@pytest.mark.parametrize("make", [ours.openai_client, ours.async_openai_client])
def test_a_timeout_is_the_sdks_too(make):
    assert make(api_key="k", timeout=7).timeout == 7
    assert make(api_key="k").timeout == openai.DEFAULT_TIMEOUT


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_the_client_is_of_the_sdks_library(monkeypatch, library):
    made = []

    class Sdk:
        def __init__(self, *, http_client, **_options):
            made.append(type(http_client))

    sdk = types.SimpleNamespace(
        DefaultHttpxClient=library.Client, OpenAI=Sdk, AsyncOpenAI=Sdk
    )
    monkeypatch.setattr(ours, "openai", sdk)
    ours.openai_client(api_key="k")
    ours.async_openai_client(api_key="k")

    assert made == [library.Client, library.AsyncClient]


def test_the_key_is_never_the_sdks(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-elses")

    with pytest.raises(ac.MissingCredentialsError):
        ours.openai_client()


def test_without_the_sdk_one_sentence_says_what_to_install(monkeypatch):
    with pytest.raises(ModuleNotFoundError) as caught:
        without(monkeypatch, "openai", "atoma_confidential.openai")

    assert str(caught.value) == (
        "openai is not installed. Run: pip install 'atoma-confidential[openai]'"
    )
