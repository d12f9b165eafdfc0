"""What is left at its default is ours, and what chooses is read from its own words."""

import asyncio
import re
import sys
import types
from pathlib import Path

import pytest
from adding import add
from llama_index.core import (
    Document,
    DocumentSummaryIndex,
    SummaryIndex,
    VectorStoreIndex,
)
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.base.base_selector import SingleSelection
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.evaluation import (
    FaithfulnessEvaluator,
    SemanticSimilarityEvaluator,
)
from llama_index.core.evaluation.multi_modal import (
    MultiModalFaithfulnessEvaluator,
    MultiModalRelevancyEvaluator,
)
from llama_index.core.extractors import TitleExtractor
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.ingestion import IngestionPipeline, run_transformations
from llama_index.core.memory import ChatSummaryMemoryBuffer, Memory
from llama_index.core.node_parser import SemanticSplitterNodeParser
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.postprocessor import LLMRerank, SentenceEmbeddingOptimizer
from llama_index.core.program import (
    FunctionCallingProgram,
    LLMTextCompletionProgram,
    MultiModalLLMCompletionProgram,
)
from llama_index.core.query_engine import RouterQueryEngine, SimpleMultiModalQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.selectors import (
    EmbeddingSingleSelector,
    LLMSingleSelector,
    PydanticSingleSelector,
)
from llama_index.core.settings import Settings
from llama_index.core.tools import QueryEngineTool
from pydantic import BaseModel

from atoma_local import BuiltInBackend
from llama_index_atoma import use_atoma

FACTS = {
    "harbour": "The harbour of Vessendorf was dredged to eleven metres in 1987.",
    "bakery": "The bakery on Linden Square sells rye bread from six o'clock on.",
}
QUESTION = "How deep was the harbour of Vessendorf dredged?"
DOCS = Path(__file__).parents[2] / "docs" / "llama-index.md"

# Of workflows and of core, about themselves.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20",
    "ignore::pydantic.warnings.PydanticDeprecatedSince211",
    "ignore:is_running called from within a step:DeprecationWarning",
    "ignore:Call to deprecated class SimpleMultiModalQueryEngine",
)


@pytest.fixture
def documents():
    return [Document(text=text, id_=name) for name, text in FACTS.items()]


class TakenElsewhereError(Exception):
    """A component has made a model of another provider."""


def taken(*_args, **_kwargs):
    raise TakenElsewhereError


@pytest.fixture(autouse=True)
def _somebody_else(monkeypatch):
    """Let OpenAI's packages look as if they were here, and a key of theirs as well."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-elses")
    named = {"llms": ["OpenAI", "OpenAIResponses"], "embeddings": ["OpenAIEmbedding"]}
    for kind, names in named.items():
        module = types.ModuleType(f"llama_index.{kind}.openai")
        module.__path__ = []
        for name in names:
            setattr(module, name, type(name, (), {"__init__": taken}))
        utils = types.ModuleType(f"{module.__name__}.utils")
        utils.validate_openai_api_key = taken
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(sys.modules, utils.__name__, utils)


@pytest.fixture
def ours(atoma):
    """Atoma by default."""
    use_atoma(api_key=atoma.api_key, base_url=atoma.base_url)
    return atoma


class Answer(BaseModel):
    """An answer."""

    answer: str = ""


async def asked(agent):
    return str(await agent.run(user_msg="Add 17 and 25."))


def ingested(documents):
    (*_, embeddings) = IngestionPipeline().transformations
    assert embeddings is Settings.embed_model
    return IngestionPipeline().run(documents=documents)


def fused(documents):
    index = VectorStoreIndex.from_documents(documents)
    retriever = QueryFusionRetriever([index.as_retriever()], num_queries=2)
    retriever.use_async = False
    return retriever.retrieve(QUESTION)


def summarized(documents):
    index = DocumentSummaryIndex.from_documents(documents)
    return index.as_query_engine().query(QUESTION)


def optimized(documents):
    index = VectorStoreIndex.from_documents(documents)
    shorter = SentenceEmbeddingOptimizer(percentile_cutoff=1.0)
    return index.as_query_engine(node_postprocessors=[shorter]).query(QUESTION)


def synthesized(documents):
    nodes = VectorStoreIndex.from_documents(documents).as_retriever().retrieve(QUESTION)
    return get_response_synthesizer().synthesize(QUESTION, nodes)


def chatted(documents):
    index = VectorStoreIndex.from_documents(documents)
    engine = index.as_chat_engine(ChatMode.CONDENSE_QUESTION)
    return engine.chat(QUESTION)


COMPONENTS = {
    "agent": lambda _: asyncio.run(asked(FunctionAgent(tools=[add]))),
    "workflow": lambda _: asyncio.run(
        asked(AgentWorkflow.from_tools_or_functions([add]))
    ),
    "simple chat": lambda _: SimpleChatEngine.from_defaults().chat(QUESTION),
    "pipeline": ingested,
    "fusion": fused,
    "summary index": summarized,
    "optimizer": optimized,
    "synthesizer": synthesized,
    "condense question": chatted,
}


@pytest.mark.parametrize("component", COMPONENTS.values(), ids=COMPONENTS)
def test_a_component_left_at_its_default_is_ours(
    ours, documents, component, egress, no_plaintext
):
    no_plaintext(*FACTS.values(), QUESTION)
    assert component(documents)
    assert ours.opened
    assert egress == []


MADE = {
    "text program": lambda: LLMTextCompletionProgram.from_defaults(
        output_cls=Answer, prompt_template_str="x"
    ),
    "function program": lambda: FunctionCallingProgram.from_defaults(
        output_cls=Answer, prompt_template_str="x"
    ),
    "llm selector": LLMSingleSelector.from_defaults,
    "structured selector": PydanticSingleSelector.from_defaults,
    "embedding selector": EmbeddingSingleSelector.from_defaults,
    "evaluator": FaithfulnessEvaluator,
    "similarity": SemanticSimilarityEvaluator,
    "extractor": TitleExtractor,
    "reranker": LLMRerank,
    "optimizer": SentenceEmbeddingOptimizer,
    "transform": HyDEQueryTransform,
    "summary memory": ChatSummaryMemoryBuffer.from_defaults,
    "memory": Memory.from_defaults,
}


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_nothing_of_somebody_elses_is_made(make):
    assert make() is not None


def test_without_ours_somebody_elses_is_made(documents, monkeypatch):
    # What `use_atoma` is for, and what shows that the tests above can fail.
    monkeypatch.setattr(Settings, "_embed_model", None)
    with pytest.raises(TakenElsewhereError):
        VectorStoreIndex.from_documents(documents)
    monkeypatch.setattr(Settings, "_llm", None)
    with pytest.raises(TakenElsewhereError):
        SimpleChatEngine.from_defaults()


# Core makes OpenAI's in these, whatever the settings say: ours has to be passed.
DEAF = {
    "SemanticSplitterNodeParser.from_defaults": lambda _: (
        SemanticSplitterNodeParser.from_defaults()
    ),
    "SimpleMultiModalQueryEngine": lambda index: SimpleMultiModalQueryEngine(
        index.as_retriever()
    ),
    "MultiModalRelevancyEvaluator": lambda _: MultiModalRelevancyEvaluator(),
    "MultiModalFaithfulnessEvaluator": lambda _: MultiModalFaithfulnessEvaluator(),
    "MultiModalLLMCompletionProgram.from_defaults": lambda _: (
        MultiModalLLMCompletionProgram.from_defaults(
            output_parser=PydanticOutputParser(Answer), prompt_template_str="x"
        )
    ),
}


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("name", DEAF)
def test_what_does_not_heed_the_settings_is_told(name, documents):
    index = VectorStoreIndex.from_documents(documents)
    with pytest.raises(TakenElsewhereError):
        DEAF[name](index)
    assert f"`{name}" in DOCS.read_text()


def test_what_does_not_heed_the_settings_heeds_what_it_is_given(
    documents, embeddings, egress
):
    splitter = SemanticSplitterNodeParser.from_defaults(embed_model=embeddings)
    assert run_transformations(documents, [splitter])
    assert egress == []


class Choosing:
    """An engine that calls the selection's tool for the line like the question."""

    def __init__(self):
        self.inner = BuiltInBackend()
        self.models = self.inner.models
        self.embed = self.inner.embed

    def chat(self, body):
        answer = self.inner.chat(body)
        if not body.get("tools"):
            return answer
        lines = re.findall(
            r"^\((\d)\) (.*)$", body["messages"][-1]["content"], re.MULTILINE
        )
        words = set(QUESTION.lower().split())
        best = max(lines, key=lambda line: len(words & set(line[1].lower().split())))
        arguments = f'{{"index": {best[0]}, "reason": "its words"}}'
        name = body["tools"][0]["function"]["name"]
        call = {"id": "c", "function": {"name": name, "arguments": arguments}}
        (made,) = answer["choices"]
        made["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
        return answer


@pytest.mark.parametrize("swapped", [False, True])
def test_a_structured_selector_chooses(
    make_atoma, make_chat, chat, embeddings, documents, swapped, no_plaintext
):
    no_plaintext(QUESTION, "eleven metres")
    tools = [
        QueryEngineTool.from_defaults(
            index.as_query_engine(llm=chat), name=name, description=about
        )
        for name, about, index in (
            (
                "harbour",
                "About the harbour of Vessendorf and how it was dredged.",
                VectorStoreIndex.from_documents(documents[:1], embed_model=embeddings),
            ),
            (
                "bakery",
                "About bread and when the bakery opens.",
                SummaryIndex.from_documents(documents[1:]),
            ),
        )
    ]
    choosing = make_chat(make_atoma(backend=Choosing()))
    program = FunctionCallingProgram.from_defaults(
        output_cls=SingleSelection,
        prompt_template_str="{context_list}\n{query_str}",
        llm=choosing,
    )
    engine = RouterQueryEngine.from_defaults(
        tools[::-1] if swapped else tools,
        llm=choosing,
        selector=PydanticSingleSelector(selector_program=program),
    )
    answer = engine.query(QUESTION)
    assert answer.metadata["selector_result"].ind == int(swapped)
    assert "eleven metres" in str(answer)
