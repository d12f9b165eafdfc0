"""What frameworks have for OpenAI, sealed by the clients that they are given."""

import httpx
import pytest
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel
from shells import CHAT, EMBEDDING, QUESTION, SECRET

import atoma_confidential as ac
from atoma_confidential.httpx import (
    SEALED_BASE_URL,
    AsyncConfidentialTransport,
    ConfidentialTransport,
)

ASKED = f"{SECRET}\n\nQuestion: {QUESTION}"
SUM = "Use the tool: add 17 and 25."


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Bottles(BaseModel):
    """How many bottles there are."""

    bottles: int


@pytest.fixture
async def clients(atoma, no_plaintext):
    """Both clients that a framework takes, sealing to the local Atoma."""
    no_plaintext(SECRET, QUESTION)
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    with httpx.Client(transport=ConfidentialTransport(**settings)) as sync:
        transport = AsyncConfidentialTransport(**settings)
        async with httpx.AsyncClient(transport=transport) as asynchronous:
            yield {"http_client": sync, "http_async_client": asynchronous}


# -- LangChain -----------------------------------------------------------------------


@pytest.fixture
def chat(clients):
    return ChatOpenAI(
        model=CHAT,
        base_url=SEALED_BASE_URL,
        api_key="not-sent",
        include_response_headers=True,
        **clients,
    )


async def test_langchain_answers_with_a_verdict(chat):
    for reply in (chat.invoke(ASKED), await chat.ainvoke(ASKED)):
        assert "4711" in reply.content
        assert reply.usage_metadata["total_tokens"] > 0
        headers = reply.response_metadata["headers"]
        assert '"sealed":true' in headers["x-atoma-verdict"]


async def test_langchain_streams(chat):
    sync = [chunk.text for chunk in chat.stream(ASKED)]
    asynchronous = [chunk.text async for chunk in chat.astream(ASKED)]

    assert "4711" in "".join(sync)
    assert len(sync) > 3
    assert sync == asynchronous


async def test_langchain_calls_tools_and_fills_schemas(chat):
    bound = chat.bind_tools([add], tool_choice="required")
    for reply in (bound.invoke(SUM), await bound.ainvoke(SUM)):
        (call,) = reply.tool_calls
        assert (call["name"], call["args"]) == ("add", {"a": 17, "b": 25})
    for method in ("json_schema", "function_calling"):
        structured = chat.with_structured_output(Bottles, method=method)
        assert structured.invoke(ASKED) == Bottles(bottles=4711)
        assert await structured.ainvoke(ASKED) == Bottles(bottles=4711)


async def test_langchain_embeds(clients):
    embeddings = OpenAIEmbeddings(
        model=EMBEDDING,
        base_url=SEALED_BASE_URL,
        api_key="not-sent",
        check_embedding_ctx_length=False,
        **clients,
    )
    vectors = embeddings.embed_documents([SECRET, QUESTION])

    assert [len(vector) for vector in vectors] == [384, 384]
    assert await embeddings.aembed_documents([SECRET, QUESTION]) == vectors
    assert embeddings.embed_query(QUESTION) == vectors[1]


async def test_langchain_that_would_send_token_numbers_is_told(clients, monkeypatch):
    class Tokenizer:
        def encode_ordinary(self, text):
            return [*text.encode()]

    monkeypatch.setattr("tiktoken.get_encoding", lambda _name: Tokenizer())
    embeddings = OpenAIEmbeddings(
        model=EMBEDDING, base_url=SEALED_BASE_URL, api_key="not-sent", **clients
    )

    with pytest.raises(ac.InvalidInputError, match="check_embedding_ctx_length=False"):
        embeddings.embed_documents(["one text"])


async def test_langchain_repeats_no_security_error(chat, atoma):
    """Its models repeat twice by default."""
    atoma.faults.always("hash-wrong")

    with pytest.raises(ac.DigestMismatchError):
        chat.invoke(ASKED)
    with pytest.raises(ac.DigestMismatchError):
        await chat.ainvoke(ASKED)
    assert len(atoma.exchanges) == 4


async def test_what_was_given_no_sealed_client_reaches_nobody(atoma):
    """The base URL is of no host: what is not sealed has nowhere to go."""
    chat = ChatOpenAI(
        model=CHAT, base_url=SEALED_BASE_URL, api_key="not-sent", max_retries=0
    )

    with pytest.raises(Exception, match="Connection error"):
        await chat.ainvoke(ASKED)
    assert atoma.exchanges == []
    await chat.root_async_client.close()
    chat.root_client.close()


# -- LlamaIndex ----------------------------------------------------------------------


@pytest.fixture
def llm(clients):
    return OpenAILike(
        model=CHAT,
        api_base=SEALED_BASE_URL,
        api_key="not-sent",
        is_chat_model=True,
        is_function_calling_model=True,
        http_client=clients["http_client"],
        async_http_client=clients["http_async_client"],
    )


async def test_llama_index_answers(llm):
    messages = [ChatMessage(role="user", content=ASKED)]
    for reply in (llm.chat(messages), await llm.achat(messages)):
        assert "4711" in reply.message.content
    assert "4711" in llm.complete(ASKED).text


async def test_llama_index_streams(llm):
    messages = [ChatMessage(role="user", content=ASKED)]
    sync = [reply.delta for reply in llm.stream_chat(messages)]
    asynchronous = [reply.delta async for reply in await llm.astream_chat(messages)]

    assert "4711" in "".join(sync)
    assert len(sync) > 3
    assert sync == asynchronous


async def test_llama_index_calls_tools_and_fills_schemas(llm):
    tools = [FunctionTool.from_defaults(add)]
    reply = llm.chat_with_tools(tools, user_msg=SUM, tool_required=True)
    areply = await llm.achat_with_tools(tools, user_msg=SUM, tool_required=True)
    for called in (reply, areply):
        (call,) = llm.get_tool_calls_from_response(called)
        assert (call.tool_name, call.tool_kwargs) == ("add", {"a": 17, "b": 25})
    structured = llm.as_structured_llm(Bottles)
    assert structured.complete(ASKED).raw == Bottles(bottles=4711)


async def test_llama_index_repeats_no_security_error(llm, atoma):
    """It repeats three times by default, what the SDK repeats as often."""
    atoma.faults.always("hash-wrong")

    with pytest.raises(ac.DigestMismatchError):
        llm.complete(ASKED)
    with pytest.raises(ac.DigestMismatchError):
        await llm.acomplete(ASKED)
    assert len(atoma.exchanges) == 4
