"""Models before a local Atoma, and an engine that says what a test scripts."""

import copy

import pytest
from langchain_core.globals import set_debug, set_llm_cache, set_verbose

from langchain_atoma import AtomaChatModel, AtomaEmbeddings

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
OTHER_CHAT = "meta-llama/Llama-3.1-8B-Instruct"
EMBEDDINGS = "intfloat/multilingual-e5-large-instruct"


class ScriptedEngine:
    """Says what it is told to, and keeps what it was asked.

    Attributes:
        message: The whole answer's message.
        choice: What stands beside the message in its choice.
        chunks: The choices of a stream's chunks.
        usage: Sent with the answer, and in a stream's last chunk.
        asked: The bodies of the requests.
    """

    def __init__(self):
        self.message = {"role": "assistant", "content": "Yes."}
        self.choice = {"finish_reason": "stop"}
        self.chunks = [{"delta": {"content": "Yes."}, "finish_reason": "stop"}]
        self.usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        self.answer_fields = {}
        self.asked = []

    def chat(self, body):
        self.asked.append(body)
        choice = {"index": 0, "message": self.message, **self.choice}
        choices = [{**choice, "index": n} for n in range(body.get("n") or 1)]
        return {**self._head(body), "choices": choices, "usage": self.usage}

    def stream_chat(self, body):
        self.asked.append(body)
        head = self._head(body)
        for choice in copy.deepcopy(self.chunks):
            yield {**head, "choices": [{"index": 0, "finish_reason": None, **choice}]}
        yield {**head, "choices": [], "usage": self.usage}

    def embed(self, body):
        self.asked.append(body)
        texts = body["input"]
        data = [
            {"index": n, "embedding": [float(len(text)), 1.0]}
            for n, text in enumerate([texts] if isinstance(texts, str) else texts)
        ]
        return {"model": body["model"], "data": data, "usage": {"total_tokens": 1}}

    def models(self):
        return [CHAT, OTHER_CHAT, EMBEDDINGS]

    def _head(self, body):
        return {"id": "chatcmpl-1", "model": body["model"], **self.answer_fields}


@pytest.fixture
def engine():
    return ScriptedEngine()


@pytest.fixture
def scripted(make_atoma, engine):
    """A local Atoma whose engine is scripted."""
    return make_atoma(backend=engine)


@pytest.fixture
def make_chat():
    def make(atoma, **fields):
        connection = {"api_key": atoma.api_key, "base_url": atoma.base_url}
        return AtomaChatModel(**{"model": CHAT, **connection, **fields})

    return make


@pytest.fixture
def make_embeddings():
    def make(atoma, **fields):
        connection = {"api_key": atoma.api_key, "base_url": atoma.base_url}
        return AtomaEmbeddings(**{"model": EMBEDDINGS, **connection, **fields})

    return make


@pytest.fixture
def chat(atoma, make_chat):
    return make_chat(atoma)


@pytest.fixture
def embeddings(atoma, make_embeddings):
    return make_embeddings(atoma)


@pytest.fixture
def scripted_chat(scripted, make_chat):
    """A model before the scripted engine, streaming live from the first call."""
    return make_chat(scripted, stream_mode="live")


@pytest.fixture(autouse=True)
def _quiet_globals():
    yield
    set_debug(False)
    set_verbose(False)
    set_llm_cache(None)
