"""LiteLLM with clients of ours: completion, streams, tools, schemas, embeddings."""

import asyncio
import socket
import warnings
from contextlib import closing, suppress

import pytest
from pydantic import BaseModel
from scripted import CHAT, EMBEDDINGS

from atoma_confidential.openai import (
    SEALED_BASE_URL,
    async_openai_client,
    openai_client,
)

CHAT_MODEL = f"openai/{CHAT}"
QUESTION = "There are 7 bottles in the cellar. How many bottles are there?"
ASK = {"model": CHAT_MODEL, "messages": [{"role": "user", "content": QUESTION}]}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}
SUM = {
    "model": CHAT_MODEL,
    "messages": [{"role": "user", "content": "Use the tool: add 17 and 25."}],
    "tools": [ADD],
    "tool_choice": "required",
}
TEXTS = ["The cellar holds seven bottles.", "It will rain tomorrow."]
VECTORS = {"model": f"openai/{EMBEDDINGS}", "input": TEXTS}


class Bottles(BaseModel):
    bottles: int


@pytest.fixture
def looked_up(monkeypatch):
    """The hosts that were looked up, but for this machine."""
    hosts, look_up = [], socket.getaddrinfo

    def noting(host, *arguments, **options):
        if host not in {"127.0.0.1", "localhost"}:
            hosts.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "no network in this test")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", noting)
    return hosts


@pytest.fixture
def litellm(monkeypatch, looked_up):
    """As the page sets it up."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    monkeypatch.setattr(litellm, "api_base", SEALED_BASE_URL)
    monkeypatch.setattr(litellm, "api_key", "not-sent")
    monkeypatch.setattr(litellm, "disable_hf_tokenizer_download", True)
    monkeypatch.setattr(litellm, "suppress_debug_info", True)
    return litellm


@pytest.fixture
def _its_loop_is_closed():
    """Blocking calls of LiteLLM may make an event loop, and leave it."""
    yield
    with warnings.catch_warnings(), suppress(RuntimeError):  # there may be none
        warnings.simplefilter("ignore")
        asyncio.get_event_loop().close()
    asyncio.set_event_loop(None)


@pytest.mark.usefixtures("_its_loop_is_closed")
def test_blocking_calls_are_sealed(litellm, atoma, looked_up, no_plaintext):
    no_plaintext(QUESTION, *TEXTS, SUM["messages"][0]["content"])
    connection = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    with closing(openai_client(**connection)) as client:
        answer = litellm.completion(**ASK, client=client)
        assert "7" in answer.choices[0].message.content
        assert answer.usage.total_tokens

        chunks = [*litellm.completion(**ASK, client=client, stream=True)]
        said = [chunk.choices[0].delta.content or "" for chunk in chunks]
        assert len(said) > 3
        assert "".join(said) == answer.choices[0].message.content

        called = litellm.completion(**SUM, client=client)
        [call] = called.choices[0].message.tool_calls
        assert call.function.name == "add"
        assert "17" in call.function.arguments

        fitted = litellm.completion(**ASK, client=client, response_format=Bottles)
        found = Bottles.model_validate_json(fitted.choices[0].message.content)
        assert found == Bottles(bottles=7)

        vectors = litellm.embedding(**VECTORS, client=client)
        assert [item["index"] for item in vectors.data] == [0, 1]
        assert len(vectors.data[0]["embedding"]) == 384

    opened = [opened.body for opened in atoma.opened]
    assert [body.get("model") for body in opened][-1] == EMBEDDINGS
    assert looked_up == []


async def test_asynchronous_calls_are_sealed(litellm, atoma, looked_up, no_plaintext):
    no_plaintext(QUESTION, *TEXTS, SUM["messages"][0]["content"])
    connection = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    async with async_openai_client(**connection) as client:
        answer = await litellm.acompletion(**ASK, client=client)
        assert "7" in answer.choices[0].message.content

        stream = await litellm.acompletion(**ASK, client=client, stream=True)
        said = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(said) == answer.choices[0].message.content

        stream = await litellm.acompletion(**SUM, client=client, stream=True)
        chunks = [chunk async for chunk in stream]
        whole = litellm.stream_chunk_builder(chunks)
        [call] = whole.choices[0].message.tool_calls
        assert call.function.name == "add"

        vectors = await litellm.aembedding(**VECTORS, client=client)
        assert len(vectors.data) == 2

    assert looked_up == []


@pytest.mark.usefixtures("_its_loop_is_closed")
@pytest.mark.parametrize("call", ["completion", "embedding"])
def test_a_call_without_our_client_reaches_nobody(litellm, atoma, looked_up, call):
    asked = ASK if call == "completion" else VECTORS

    with pytest.raises(litellm.InternalServerError):
        getattr(litellm, call)(**asked, max_retries=0)

    assert {*looked_up} == {"sealed.invalid"}
    assert not atoma.exchanges


@pytest.mark.usefixtures("_its_loop_is_closed")
def test_a_refusal_keeps_our_words_and_its_class(litellm, atoma):
    with (
        closing(openai_client(api_key="wrong", base_url=atoma.base_url)) as client,
        pytest.raises(litellm.AuthenticationError, match="Left the process: a lock"),
    ):
        litellm.completion(**ASK, client=client)


@pytest.mark.usefixtures("_its_loop_is_closed")
def test_an_answer_that_does_not_open_keeps_our_words_but_not_its_class(litellm, atoma):
    atoma.faults.always("hash-wrong")
    connection = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    with (
        closing(openai_client(**connection)) as client,
        pytest.raises(litellm.InternalServerError, match="digest"),
    ):
        litellm.completion(**ASK, client=client)

    assert len(atoma.opened) == 1  # it is not asked for again


@pytest.mark.usefixtures("_its_loop_is_closed")
def test_what_cannot_be_sealed_is_refused_before_it_leaves(litellm, atoma):
    connection = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    with (
        closing(openai_client(**connection)) as client,
        pytest.raises(litellm.InternalServerError, match="Left the process: nothing"),
    ):
        litellm.text_completion(
            model=CHAT_MODEL, prompt=QUESTION, client=client, max_retries=0
        )

    assert not atoma.exchanges
