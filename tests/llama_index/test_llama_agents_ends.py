"""Leaving what an engine or an agent says hangs up, without a collector's help."""

import asyncio

import pytest
from adding import TOOL
from endless import hung_up
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ReActAgent
from llama_index.core.chat_engine import SimpleChatEngine

# Of workflows and of core, about themselves.
ABOUT_THEMSELVES = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20",
    "ignore::pydantic.warnings.PydanticDeprecatedSince211",
    "ignore:is_running called from within a step:DeprecationWarning",
)
pytestmark = [ABOUT_THEMSELVES, pytest.mark.usefixtures("no_collector")]


@pytest.fixture
def index(endless_atoma, make_embeddings):
    text = Document(text="A fact.")
    embeddings = make_embeddings(endless_atoma)
    return VectorStoreIndex.from_documents([text], embed_model=embeddings)


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
