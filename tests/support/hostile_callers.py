"""Who is called under a hostile relay: our shells, both plugins, the official SDK."""

import asyncio
import contextlib
import json
import subprocess
from pathlib import Path

from hostile_actions import CHAT, MESSAGES, QUESTION, text_of
from llama_index.core.llms import ChatMessage

import langchain_atoma
import llama_index_atoma
from atoma_confidential import AsyncClient, Client

SDK_STREAMS = Path(__file__).parents[1] / "interop" / "sdk_streams.py"


@contextlib.contextmanager
def core(**settings):
    with Client(**settings) as client:
        yield lambda said: text_of(client.stream_chat(MESSAGES, model=CHAT), said)


@contextlib.contextmanager
def core_async(**settings):
    client = AsyncClient(**settings)

    async def call(said):
        async for chunk in client.stream_chat(MESSAGES, model=CHAT):
            text_of([chunk], said)

    with asyncio.Runner() as runner:
        yield lambda said: runner.run(call(said))


@contextlib.contextmanager
def langchain(**settings):
    model = langchain_atoma.AtomaChatModel(model=CHAT, **settings)

    def call(said):
        said.extend(chunk.text for chunk in model.stream(QUESTION))

    yield call


@contextlib.contextmanager
def langchain_async(**settings):
    model = langchain_atoma.AtomaChatModel(model=CHAT, **settings)

    async def call(said):
        async for chunk in model.astream(QUESTION):
            said.append(chunk.text)

    with asyncio.Runner() as runner:
        yield lambda said: runner.run(call(said))


@contextlib.contextmanager
def llama_index(**settings):
    model = llama_index_atoma.AtomaChatModel(model=CHAT, **settings)
    asked = [ChatMessage(role="user", content=QUESTION)]

    def call(said):
        said.extend(response.delta or "" for response in model.stream_chat(asked))

    yield call


@contextlib.contextmanager
def llama_index_async(**settings):
    model = llama_index_atoma.AtomaChatModel(model=CHAT, **settings)
    asked = [ChatMessage(role="user", content=QUESTION)]

    async def call(said):
        async for response in await model.astream_chat(asked):
            said.append(response.delta or "")

    with asyncio.Runner() as runner:
        yield lambda said: runner.run(call(said))


OURS = [core, core_async, langchain, langchain_async, llama_index, llama_index_async]


class Sdk:
    """The official SDK, in a Python of its own: one process for many calls."""

    def __init__(self, python, wire):
        command = [str(python), str(SDK_STREAMS), wire.relay.base_url]
        command += [wire.atoma.api_key, CHAT, QUESTION]
        self._process = subprocess.Popen(  # noqa: S603  a fixed command
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._process.communicate()

    def ask(self):
        """Return the text of one stream, and the name of the error that ended it."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())
