"""Documents to answers: stores, query and chat engines, pipelines; all of it sealed."""

import asyncio
from pathlib import Path

import llama_index.core
import pytest
import tiktoken
from llama_index.core import (
    Document,
    SimpleDirectoryReader,
    StorageContext,
    SummaryIndex,
    VectorStoreIndex,
)
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.selectors import LLMMultiSelector, LLMSingleSelector
from llama_index.core.settings import Settings
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.tools import QueryEngineTool
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient

from atoma_local import BuiltInBackend
from llama_index_atoma import use_atoma

DOCUMENTS = {
    "harbour.md": "The harbour of Vessendorf was dredged to eleven metres in 1987.",
    "bakery.md": "The bakery on Linden Square sells rye bread from six o'clock on.",
    "tower.md": "The clock tower has stood still since a lightning strike.",
    "garden.md": "Tomatoes in the abbey garden ripen in late August.",
}
# Of Qdrant's embedded store, about what only its server has.
pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
QUESTION = "How deep was the harbour of Vessendorf dredged?"


@pytest.fixture
def documents():
    return [
        Document(text=text, metadata={"file_name": name}, id_=name)
        for name, text in DOCUMENTS.items()
    ]


@pytest.fixture(params=["simple", "qdrant"])
def storage(request, tmp_path):
    if request.param == "simple":
        yield StorageContext.from_defaults()
        return
    client = QdrantClient(path=str(tmp_path / "qdrant"))
    store = QdrantVectorStore("notes", client=client)
    yield StorageContext.from_defaults(vector_store=store)
    client.close()


@pytest.fixture
def index(documents, storage, embeddings, no_plaintext):
    no_plaintext(*DOCUMENTS.values(), QUESTION, "Vessendorf", "harbour.md")
    return VectorStoreIndex.from_documents(
        documents, storage_context=storage, embed_model=embeddings
    )


def test_a_query_engine(index, chat):
    answer = index.as_query_engine(llm=chat, similarity_top_k=2).query(QUESTION)
    assert "eleven metres" in str(answer)
    assert answer.source_nodes[0].metadata["file_name"] == "harbour.md"


def test_a_streaming_query_engine(index, chat):
    engine = index.as_query_engine(llm=chat, streaming=True)
    parts = list(engine.query(QUESTION).response_gen)
    assert len(parts) > 3
    assert "eleven metres" in "".join(parts)


def test_an_async_query_engine(documents, embeddings, chat):
    index = VectorStoreIndex.from_documents(
        documents, embed_model=embeddings, use_async=True
    )

    async def run():
        whole = await index.as_query_engine(llm=chat).aquery(QUESTION)
        engine = index.as_query_engine(llm=chat, streaming=True)
        streamed = await engine.aquery(QUESTION)
        parts = [part async for part in streamed.async_response_gen()]
        return str(whole), "".join(parts)

    for answer in asyncio.run(run()):
        assert "eleven metres" in answer


@pytest.mark.parametrize(
    "mode", ["refine", "compact", "tree_summarize", "accumulate", "simple_summarize"]
)
def test_synthesizers(documents, embeddings, chat, mode):
    index = VectorStoreIndex.from_documents(documents, embed_model=embeddings)
    engine = index.as_query_engine(
        llm=chat, response_mode=mode, similarity_top_k=1, use_async=False
    )
    assert "eleven metres" in str(engine.query(QUESTION))


def test_a_chat_engine_that_condenses(index, chat, atoma):
    engine = index.as_chat_engine(
        ChatMode.CONDENSE_PLUS_CONTEXT,
        llm=chat,
        memory=ChatMemoryBuffer.from_defaults(token_limit=4000),
        similarity_top_k=2,
    )
    assert "eleven metres" in str(engine.chat(QUESTION))
    streamed = engine.stream_chat("When does the bakery on Linden Square open?")
    assert "six o'clock" in "".join(streamed.response_gen)
    asked = [str(opened.body) for opened in atoma.opened]
    assert any("Follow Up" in one or "follow up" in one for one in asked)


def test_an_async_chat_engine(documents, embeddings, chat):
    index = VectorStoreIndex.from_documents(documents, embed_model=embeddings)
    engine = index.as_chat_engine(ChatMode.CONTEXT, llm=chat, similarity_top_k=1)

    async def run():
        first = await engine.achat(QUESTION)
        second = await engine.astream_chat("How long has the clock tower stood still?")
        return str(first), "".join([t async for t in second.async_response_gen()])

    first, second = asyncio.run(run())
    assert "eleven metres" in first
    assert "lightning" in second


def test_documents_change_while_the_index_lives(index, chat):
    fresh = Document(
        text="A ferry ticket to Ostholm costs four crowns.", id_="ferry.md"
    )
    index.insert(fresh)
    engine = index.as_query_engine(llm=chat, similarity_top_k=1)
    assert "four crowns" in str(
        engine.query("How much costs a ferry ticket to Ostholm?")
    )
    index.delete_ref_doc("harbour.md")
    engine = index.as_query_engine(llm=chat, similarity_top_k=1)
    assert "eleven" not in str(engine.query(QUESTION))


@pytest.fixture
def tools(documents, embeddings, chat):
    depth = VectorStoreIndex.from_documents(documents[:1], embed_model=embeddings)
    bread = SummaryIndex.from_documents(documents[1:2])
    return [
        QueryEngineTool.from_defaults(
            depth.as_query_engine(llm=chat),
            name="harbour",
            description="About the harbour of Vessendorf and how it was dredged.",
        ),
        QueryEngineTool.from_defaults(
            bread.as_query_engine(llm=chat),
            name="bakery",
            description="About bread and when the bakery opens.",
        ),
    ]


class Chooser:
    """An engine that picks the choice with the most words of the question."""

    def __init__(self, inner, form):
        self.inner = inner
        self.form = form
        self.models = inner.models
        self.embed = inner.embed
        self.stream_chat = inner.stream_chat

    def chat(self, body):
        answer = self.inner.chat(body)
        said = body["messages"][-1]["content"]
        if "choices" not in said and not body.get("tools"):
            return answer
        lines = [line for line in said.splitlines() if line.startswith("(")]
        words = set(QUESTION.lower().split())
        scores = [len(words & set(line.lower().split())) for line in lines]
        assert len(lines) == 2
        choice = scores.index(max(scores)) + 1
        (made,) = answer["choices"]
        made["message"] = self.form(choice)
        return answer


def as_text(choice):
    text = f'[{{"choice": {choice}, "reason": "its words"}}]'
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize("kind", [LLMSingleSelector, LLMMultiSelector])
def test_a_router_with_a_selector(
    kind, make_atoma, make_chat, tools, no_plaintext, recorded
):
    no_plaintext(QUESTION, "eleven metres")
    choosing = make_chat(make_atoma(backend=Chooser(BuiltInBackend(), as_text)))
    engine = RouterQueryEngine.from_defaults(
        tools, llm=choosing, selector=kind.from_defaults(llm=choosing)
    )
    answer = engine.query(QUESTION)
    assert "eleven metres" in str(answer)
    assert asyncio.run(engine.aquery(QUESTION)).metadata["selector_result"]


@pytest.fixture
def tiktoken_offline(monkeypatch):
    """Splitters look for their tokenizer again in each worker; core brings it along."""
    static = Path(llama_index.core.__file__).parent / "_static"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(static / "tiktoken_cache"))


def make_pipeline(embeddings, **options):
    return IngestionPipeline(
        transformations=[SentenceSplitter(chunk_overlap=0), embeddings], **options
    )


def test_a_pipeline_with_cache_and_docstore(documents, embeddings, atoma):
    pipeline = make_pipeline(
        embeddings,
        cache=IngestionCache(),
        docstore=SimpleDocumentStore(),
        vector_store=QdrantVectorStore("notes", client=QdrantClient(":memory:")),
    )
    nodes = pipeline.run(documents=documents)
    assert [len(node.embedding) for node in nodes] == [384] * 4
    asked = len(atoma.opened)
    assert pipeline.run(documents=documents) == []
    assert len(atoma.opened) == asked, "known documents are not embedded again"
    changed = [Document(text="The harbour is shallow.", id_="harbour.md")]
    assert len(pipeline.run(documents=changed)) == 1
    assert len(atoma.opened) == asked + 1


def test_the_cache_outlives_a_new_key(documents, embeddings, make_embeddings, atoma):
    cache = IngestionCache()
    make_pipeline(embeddings, cache=cache).run(documents=documents)
    asked = len(atoma.opened)
    other = make_embeddings(atoma, api_key="atoma-local", timeout=9.0, max_retries=0)
    assert len(make_pipeline(other, cache=cache).run(documents=documents)) == 4
    assert len(atoma.opened) == asked


@pytest.mark.usefixtures("tiktoken_offline")
@pytest.mark.parametrize("way", ["run", "arun"])
def test_a_pipeline_with_workers(
    documents, embeddings, atoma, monkeypatch, way, no_plaintext
):
    no_plaintext(*DOCUMENTS.values())
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    monkeypatch.setenv("ATOMA_BASE_URL", atoma.base_url)
    pipeline = make_pipeline(embeddings)
    if way == "run":
        nodes = pipeline.run(documents=documents, num_workers=2)
    else:
        nodes = asyncio.run(pipeline.arun(documents=documents, num_workers=2))
    texts = [node.text for node in nodes]
    assert sorted(texts) == sorted(DOCUMENTS.values())
    vectors = embeddings.get_text_embedding_batch(
        [node.get_content("embed") for node in nodes]
    )
    for node, vector in zip(nodes, vectors, strict=True):
        assert node.embedding == pytest.approx(vector)


def test_tokens_are_counted_without_a_download(index, chat, monkeypatch, egress):
    # As in a new process: the tokenizer that core brings along is read again.
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.setattr(llama_index.core, "global_tokenizer", None)
    counter = TokenCountingHandler()
    index._embed_model.callback_manager = CallbackManager([counter])
    index.as_query_engine(llm=chat).query(QUESTION)
    assert counter.total_embedding_token_count > 0
    assert "cl100k_base" in tiktoken.registry.ENCODINGS
    assert egress == []


def test_everything_left_at_its_default_stays_here(
    documents, atoma, tmp_path, egress, monkeypatch, no_plaintext
):
    # With a key of OpenAI's in the environment, a forgotten model would be theirs.
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-elses")
    no_plaintext(*DOCUMENTS.values(), QUESTION)
    use_atoma(api_key=atoma.api_key, base_url=atoma.base_url)
    for name, text in DOCUMENTS.items():
        (tmp_path / name).write_text(text)
    read = SimpleDirectoryReader(tmp_path).load_data()
    index = VectorStoreIndex.from_documents(read)
    assert "eleven metres" in str(index.as_query_engine().query(QUESTION))
    assert Settings.llm.last_verdict.sealed
    engine = index.as_chat_engine(ChatMode.CONDENSE_PLUS_CONTEXT)
    assert "eleven metres" in str(engine.chat(QUESTION))
    tree = SummaryIndex.from_documents(documents[:1]).as_query_engine()
    assert "eleven metres" in str(tree.query(QUESTION))
    assert egress == []
    assert Settings.llm.class_name() == "AtomaChatModel"
    assert Settings.embed_model.class_name() == "AtomaEmbeddings"
