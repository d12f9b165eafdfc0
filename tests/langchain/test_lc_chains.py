"""Chains: retrieval, streaming through parsers, events and callbacks."""

import asyncio
import warnings

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_atoma import errors

DOCUMENTS = [
    "The vault in Bern opens with the word canary-heliotrope-5f1d9c.",
    "Glaciers in the Alps lose a metre of ice every year.",
    "The railway to the Jungfraujoch was finished in 1912.",
]
QUESTION = "With which word does the vault open?"
PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer from these passages.\n\n{context}"),
        ("human", "{question}"),
    ]
)


class Tokens(BaseCallbackHandler):
    def __init__(self):
        self.tokens = []
        self.ended = 0
        self.failed = []

    def on_llm_new_token(self, token, **kwargs):
        self.tokens.append(token)

    def on_llm_end(self, response, **kwargs):
        self.ended += 1

    def on_llm_error(self, error, **kwargs):
        self.failed.append((error, kwargs.get("response")))


class AsyncTokens(AsyncCallbackHandler):
    def __init__(self):
        self.tokens = []

    async def on_llm_new_token(self, token, **kwargs):
        self.tokens.append(token)


@pytest.fixture
def chain(chat, embeddings):
    store = InMemoryVectorStore(embeddings)
    store.add_documents([Document(text) for text in DOCUMENTS])

    def joined(documents):
        return "\n\n".join(document.page_content for document in documents)

    context = store.as_retriever(search_kwargs={"k": 2}) | joined
    asked = {"context": context, "question": RunnablePassthrough()}
    return asked | PROMPT | chat | StrOutputParser()


async def test_retrieval_answers_from_the_documents(chain, canary, no_plaintext):
    no_plaintext(QUESTION, *DOCUMENTS)
    answer = chain.invoke(QUESTION)
    assert canary in answer
    assert await chain.ainvoke(QUESTION) == answer


async def test_retrieval_streams(chain, canary):
    pieces = [*chain.stream(QUESTION)]
    assert len(pieces) > 3
    assert canary in "".join(pieces)
    again = [piece async for piece in chain.astream(QUESTION)]
    assert again == pieces


async def test_events_of_a_chain(chain, canary):
    events = [event async for event in chain.astream_events(QUESTION, version="v2")]
    said = [
        event["data"]["chunk"].text
        for event in events
        if event["event"] == "on_chat_model_stream"
    ]
    assert canary in "".join(said)
    (ended,) = [event for event in events if event["event"] == "on_chat_model_end"]
    assert ended["data"]["output"].response_metadata["atoma"]["sealed"] is True


def test_a_batch_of_questions(chain, canary):
    answers = chain.batch([QUESTION, "When was the railway finished?"])
    assert canary in answers[0]
    assert "1912" in answers[1]
    assert asyncio.run(chain.abatch([QUESTION])) == answers[:1]


def word(content, **choice):
    return {"delta": {"content": content}, **choice}


@pytest.fixture
def words(engine):
    engine.chunks = [word("one "), word("two"), {"delta": {}, "finish_reason": "stop"}]
    return ["one ", "two", ""]


@pytest.mark.parametrize("in_a_chain", [False, True])
def test_each_token_reaches_callbacks_once(scripted_chat, words, canary, in_a_chain):
    model = scripted_chat | StrOutputParser() if in_a_chain else scripted_chat
    seen = Tokens()
    [*model.stream(canary, {"callbacks": [seen]})]
    assert seen.tokens == words
    assert seen.ended == 1


@pytest.mark.parametrize("in_a_chain", [False, True])
async def test_each_token_reaches_async_callbacks_once(
    scripted_chat, words, canary, in_a_chain
):
    model = scripted_chat | StrOutputParser() if in_a_chain else scripted_chat
    seen, sync = AsyncTokens(), Tokens()
    config = {"callbacks": [seen, sync]}
    [piece async for piece in model.astream(canary, config)]
    assert seen.tokens == sync.tokens == words


async def test_tokens_inside_invoke(scripted, make_chat, words, canary):
    model = make_chat(scripted, streaming=True, stream_mode="live")
    seen, asynchronous = Tokens(), AsyncTokens()
    model.invoke(canary, {"callbacks": [seen]})
    await model.ainvoke(canary, {"callbacks": [asynchronous]})
    assert seen.tokens == asynchronous.tokens == words


async def test_tokens_of_version_3_events(scripted_chat, words, canary):
    seen = Tokens()
    with warnings.catch_warnings(action="ignore"):  # beta
        config = {"callbacks": [seen]}
        stream = scripted_chat.stream_events(canary, config, version="v3")
        assert [*stream.text] == words[:2]
        assert seen.tokens == words
        again = await scripted_chat.astream_events(canary, version="v3")
        assert [piece async for piece in again.text] == words[:2]
        final = await again.output
    assert final.response_metadata["atoma"]["sealed"] is True


def test_an_early_stop_is_told_to_callbacks(scripted_chat, words, canary):
    seen = Tokens()
    stream = scripted_chat.stream(canary, {"callbacks": [seen]})
    next(stream)
    stream.close()
    ((error, _),) = seen.failed
    assert isinstance(error, GeneratorExit)


def test_a_failure_is_told_without_content(scripted_chat, scripted, canary):
    scripted.faults.always("tag-tampered")
    seen = Tokens()
    with pytest.raises(errors.OpenError):
        scripted_chat.invoke(canary, {"callbacks": [seen]})
    ((error, response),) = seen.failed
    assert canary not in repr(error) + repr(response)


def test_fallbacks_and_retries_of_core(scripted, make_chat, make_atoma, canary):
    broken = make_atoma()
    broken.faults.once("post-429", "post-429")
    first = make_chat(broken, max_retries=0)
    second = make_chat(scripted)
    assert first.with_fallbacks([second]).invoke(canary).text == "Yes."
    retried = first.with_retry(
        retry_if_exception_type=(errors.RateLimitError,), wait_exponential_jitter=False
    )
    assert retried.invoke(canary).text


def test_a_rate_limiter_is_asked(scripted, make_chat, canary):
    limiter = InMemoryRateLimiter(requests_per_second=1000, max_bucket_size=1)
    model = make_chat(scripted, rate_limiter=limiter)
    assert model.invoke(canary).text == "Yes."
    assert next(iter(model.stream(canary))).text == "Yes."


def test_a_prompt_with_an_image(chat, atoma, canary):
    pixel = (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
        "awAAAABJRU5ErkJggg=="
    )
    image = {"type": "image", "base64": pixel, "mime_type": "image/png"}
    chat.invoke([HumanMessage([{"type": "text", "text": canary}, image])])
    (part,) = [
        part
        for part in atoma.opened[-1].body["messages"][0]["content"]
        if part["type"] == "image_url"
    ]
    assert part["image_url"]["url"] == f"data:image/png;base64,{pixel}"
