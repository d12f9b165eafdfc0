"""The key is in nothing that holds a model, and in nothing that is kept."""

import json
import pickle

import pytest
from adding import add
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.ingestion import (
    DocstoreStrategy,
    IngestionCache,
    IngestionPipeline,
)
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.settings import Settings
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.workflow import Context, JsonSerializer
from pydantic import BaseModel
from shown import KEY, shown

from llama_index_atoma import use_atoma

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
ASKED = [ChatMessage(role="user", content="Q")]

# Of workflows and of core, about themselves.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20",
    "ignore::pydantic.warnings.PydanticDeprecatedSince211",
    "ignore:is_running called from within a step:DeprecationWarning",
    "ignore:Skipping serialization of known unserializable key",
)


class Answer(BaseModel):
    """An answer."""

    answer: str = ""


def test_what_holds_a_model_does_not_show_its_key(chat, embeddings, atoma, fields):
    agent = FunctionAgent(tools=[add], llm=chat)
    structured = chat.as_structured_llm(Answer)
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(), embeddings])
    index = VectorStoreIndex.from_documents(
        [Document(text="A fact.")], embed_model=embeddings
    )
    use_atoma(**fields)
    assert structured.chat(ASKED).raw is not None
    text = shown(
        agent,
        agent.model_dump(exclude={"tools"}),
        AgentWorkflow(agents=[agent]),
        structured,
        structured.to_dict(),
        structured.to_json(),
        pickle.dumps(chat),
        pickle.dumps(embeddings),
        pipeline,
        pipeline.model_dump(exclude={"cache"}),
        pipeline.model_dump_json(exclude={"cache"}),
        index.storage_context.to_dict(),
        index.as_query_engine(llm=chat),
        index.as_chat_engine(ChatMode.CONTEXT, llm=chat),
        Settings,
        vars(Settings),
    )
    assert CHAT in text, "the models are there"
    assert KEY not in text
    assert KEY in repr(atoma.exchanges), "it was really in use"


def test_what_is_kept_holds_no_key(chat, embeddings, tmp_path):
    cache, docstore = IngestionCache(), SimpleDocumentStore()
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(), embeddings],
        cache=cache,
        docstore=docstore,
        docstore_strategy=DocstoreStrategy.DUPLICATES_ONLY,
    )
    nodes = pipeline.run(documents=[Document(text="A fact.")])
    pipeline.persist(str(tmp_path / "pipeline"))
    index = VectorStoreIndex(nodes, embed_model=embeddings)
    index.storage_context.persist(str(tmp_path / "index"))
    memory = ChatMemoryBuffer.from_defaults(llm=chat)
    engine = index.as_chat_engine(ChatMode.CONTEXT, llm=chat, memory=memory)
    assert str(engine.chat("Which fact?"))
    messages = [message.model_dump(mode="json") for message in memory.get_all()]
    (tmp_path / "memory.json").write_text(json.dumps(messages))
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 3
    assert all(KEY.encode() not in path.read_bytes() for path in kept)


async def test_an_agents_context_holds_no_key(chat):
    agent = FunctionAgent(tools=[add], llm=chat)
    context = Context(agent)
    handler = agent.run(user_msg="Add 17 and 25.", ctx=context)
    events = [event async for event in handler.stream_events()]
    answer = await handler
    stored = json.dumps(context.to_dict(JsonSerializer()))
    assert "Add 17 and 25." in stored, "it is the context of this run"
    assert KEY not in stored + shown(*events, answer, vars(answer))
