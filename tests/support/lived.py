"""Nine ways to ask: of the core and of both plugins, whole, in a stream, for vectors.

What the tests of lifecycles do to a call, they do to each of these.
"""

from dataclasses import dataclass

from llama_index.core.base.llms.types import ChatMessage
from scripted import CHAT, EMBEDDINGS, ScriptedEngine

import langchain_atoma
import llama_index_atoma
from atoma_confidential.clients import Clients

SECRET = "The ferryman of Volkach (canary-heliotrope-5f1d9c) keeps the second key."
MESSAGES = [{"role": "user", "content": SECRET}]
ASKED = [ChatMessage(role="user", content=SECRET)]
TEXTS = [f"{SECRET} {number}" for number in range(2)]
WORDS = ["The ", "key ", "is ", "at ", "the ", "ferry."]


def engine():
    """Give an engine that streams a few words."""
    engine = ScriptedEngine()
    engine.message = {"role": "assistant", "content": "".join(WORDS)}
    engine.chunks = [{"delta": {"content": word}} for word in WORDS]
    engine.chunks += [{"delta": {}, "finish_reason": "stop"}]
    return engine


@dataclass(frozen=True)
class Address:
    """Where another process finds a local Atoma."""

    api_key: str
    base_url: str


@dataclass(frozen=True)
class Way:
    """One way to ask.

    Attributes:
        make: Gives what is asked, before a local Atoma.
        sync: Asks it, and gives what came of it.
        asynchronous: Likewise.
        begin: Gives the items of a stream; None where it is none.
        abegin: Gives those of an asynchronous one.
        clients: Gives the clients that it uses.
    """

    name: str
    make: object
    sync: object
    asynchronous: object
    clients: object
    begin: object = None
    abegin: object = None


def _settings(atoma, more):
    return {"api_key": atoma.api_key, "base_url": atoma.base_url, **more}


def _core(atoma, **more):
    return Clients(_settings(atoma, more))


def _stream(clients):
    return clients.sync.stream_chat(MESSAGES, model=CHAT)


def _astream(clients):
    return clients.asynchronous.stream_chat(MESSAGES, model=CHAT)


def _deltas(chunks):
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return "".join(choice["delta"].get("content", "") for choice in choices)


async def _acollect(clients):
    async with _astream(clients) as stream:
        return _deltas([chunk async for chunk in stream])


def _said(reply):
    return reply.body["choices"][0]["message"]["content"]


async def _achat(clients):
    return _said(await clients.asynchronous.chat(MESSAGES, model=CHAT))


async def _aembed(clients):
    client = clients.asynchronous
    return (await client.embed(TEXTS, model=EMBEDDINGS, batch_size=1)).vectors


CORE = [
    Way(
        "core-whole",
        _core,
        lambda clients: _said(clients.sync.chat(MESSAGES, model=CHAT)),
        _achat,
        lambda clients: clients,
    ),
    Way(
        "core-stream",
        _core,
        lambda clients: _deltas(_stream(clients)),
        _acollect,
        lambda clients: clients,
        begin=_stream,
        abegin=_astream,
    ),
    Way(
        "core-embed",
        _core,
        lambda clients: (
            clients.sync.embed(TEXTS, model=EMBEDDINGS, batch_size=1).vectors
        ),
        _aembed,
        lambda clients: clients,
    ),
]


def _lc_chat(atoma, **more):
    return langchain_atoma.AtomaChatModel(model=CHAT, **_settings(atoma, more))


def _lc_embeddings(atoma, **more):
    more = {"chunk_size": 1, **_settings(atoma, more)}
    return langchain_atoma.AtomaEmbeddings(model=EMBEDDINGS, **more)


async def _lc_achat(model):
    return (await model.ainvoke(SECRET)).text


async def _lc_astream(model):
    return "".join([chunk.text async for chunk in model.astream(SECRET)])


async def _lc_aembed(model):
    return await model.aembed_documents(TEXTS)


LANGCHAIN = [
    Way(
        "langchain-whole",
        _lc_chat,
        lambda model: model.invoke(SECRET).text,
        _lc_achat,
        lambda model: model.clients,
    ),
    Way(
        "langchain-stream",
        _lc_chat,
        lambda model: "".join(chunk.text for chunk in model.stream(SECRET)),
        _lc_astream,
        lambda model: model.clients,
        begin=lambda model: model.stream(SECRET),
        abegin=lambda model: model.astream(SECRET),
    ),
    Way(
        "langchain-embed",
        _lc_embeddings,
        lambda model: model.embed_documents(TEXTS),
        _lc_aembed,
        lambda model: model.clients,
    ),
]


def _li_chat(atoma, **more):
    return llama_index_atoma.AtomaChatModel(model=CHAT, **_settings(atoma, more))


def _li_embeddings(atoma, **more):
    more = {"request_size": 1, **_settings(atoma, more)}
    return llama_index_atoma.AtomaEmbeddings(model_name=EMBEDDINGS, **more)


async def _li_achat(model):
    return (await model.achat(ASKED)).message.content


async def _li_abegin(model):
    async for item in await model.astream_chat(ASKED):
        yield item


async def _li_astream(model):
    deltas = [item.delta async for item in await model.astream_chat(ASKED)]
    return "".join(delta or "" for delta in deltas)


async def _li_aembed(model):
    return await model.aget_text_embedding_batch(TEXTS)


LLAMA_INDEX = [
    Way(
        "llama-index-whole",
        _li_chat,
        lambda model: model.chat(ASKED).message.content,
        _li_achat,
        lambda model: model._made,
    ),
    Way(
        "llama-index-stream",
        _li_chat,
        lambda model: "".join(item.delta or "" for item in model.stream_chat(ASKED)),
        _li_astream,
        lambda model: model._made,
        begin=lambda model: model.stream_chat(ASKED),
        abegin=_li_abegin,
    ),
    Way(
        "llama-index-embed",
        _li_embeddings,
        lambda model: model.get_text_embedding_batch(TEXTS),
        _li_aembed,
        lambda model: model._made,
    ),
]

WAYS = CORE + LANGCHAIN + LLAMA_INDEX
STREAMS = [way for way in WAYS if way.begin]


def is_answer(value):
    """Whether it is what the engine of `engine` says."""
    if isinstance(value, str):
        return value == "".join(WORDS)
    return [list(vector) for vector in value] == [[float(len(t)), 1.0] for t in TEXTS]


def ask_again(name, model):
    """Ask what another process has made."""
    (way,) = (way for way in WAYS if way.name == name)
    return is_answer(way.sync(model))
