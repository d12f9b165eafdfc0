"""Leaving what an engine or an agent says hangs up, without a collector's help."""

import asyncio
import gc
import threading

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ReActAgent
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.tools import FunctionTool

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
EMBEDDINGS = "intfloat/multilingual-e5-large-instruct"

# Of workflows and of core, about themselves.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20",
    "ignore::pydantic.warnings.PydanticDeprecatedSince211",
    "ignore:is_running called from within a step:DeprecationWarning",
)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TOOL = FunctionTool.from_defaults(add)


class Endless:
    """Streams without end.

    Attributes:
        gone: Set when nobody reads any more.
    """

    def __init__(self):
        self.gone = threading.Event()

    def models(self):
        return [CHAT, EMBEDDINGS]

    async def stream_chat(self, body):
        return self._chunks(body)

    async def _chunks(self, body):
        head = {"id": "c", "model": body["model"]}
        try:
            while True:
                choice = {"index": 0, "delta": {"content": "x "}, "finish_reason": None}
                yield {**head, "choices": [choice]}
                await asyncio.sleep(0.005)
        finally:
            self.gone.set()

    def embed(self, body):
        data = [
            {"index": n, "embedding": [1.0, 0.0]} for n in range(len(body["input"]))
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return {"model": body["model"], "data": data, "usage": usage}


@pytest.fixture
def endless():
    return Endless()


@pytest.fixture
def atoma(make_atoma, endless):
    return make_atoma(backend=endless)


@pytest.fixture
def live(atoma, make_chat):
    return make_chat(atoma, stream_mode="live")


@pytest.fixture
def index(atoma, make_embeddings):
    text = Document(text="A fact.")
    return VectorStoreIndex.from_documents([text], embed_model=make_embeddings(atoma))


@pytest.fixture(autouse=True)
def _no_collector():
    gc.disable()
    yield
    gc.enable()


def hung_up(endless):
    return endless.gone.wait(5)


def test_leaving_a_query_engines_answer_hangs_up(index, live, endless):
    answer = index.as_query_engine(llm=live, streaming=True).query("Q")
    for _token in answer.response_gen:
        break
    del answer
    assert hung_up(endless)


async def test_leaving_an_async_query_engines_answer_hangs_up(index, live, endless):
    answer = await index.as_query_engine(llm=live, streaming=True).aquery("Q")
    tokens = answer.async_response_gen()
    await anext(tokens)
    await tokens.aclose()
    del answer, tokens
    assert await asyncio.to_thread(hung_up, endless)


@pytest.mark.parametrize("kind", [FunctionAgent, ReActAgent])
async def test_cancelling_an_agents_run_hangs_up(live, endless, kind):
    handler = kind(tools=[TOOL], llm=live).run(user_msg="Q")
    async for event in handler.stream_events():
        if isinstance(event, AgentStream):
            break
    await handler.cancel_run()
    await asyncio.gather(handler, return_exceptions=True)
    assert await asyncio.to_thread(hung_up, endless)


async def test_cancelling_an_async_chat_engine_hangs_up(live, endless):
    engine = SimpleChatEngine.from_defaults(llm=live)
    answer = await engine.astream_chat("Q")
    tokens = answer.async_response_gen()
    await anext(tokens)
    answer.awrite_response_to_history_task.cancel()
    await asyncio.gather(answer.awrite_response_to_history_task, return_exceptions=True)
    assert await asyncio.to_thread(hung_up, endless)
