"""LangChain's models before a local Atoma."""

import pytest
from langchain_core.globals import set_debug, set_llm_cache, set_verbose
from lc_streamed import by_aevents, by_astream, by_events, by_stream
from scripted import CHAT, EMBEDDINGS, maker

from langchain_atoma import AtomaChatModel, AtomaEmbeddings


@pytest.fixture
def make_chat():
    return maker(AtomaChatModel, model=CHAT)


@pytest.fixture
def make_embeddings():
    return maker(AtomaEmbeddings, model=EMBEDDINGS)


@pytest.fixture(autouse=True)
def _quiet_globals():
    yield
    set_debug(False)
    set_verbose(False)
    set_llm_cache(None)


@pytest.fixture(params=[by_stream, by_astream, by_events, by_aevents])
def streamed(request, scripted_chat, engine, canary):
    """Give the message that some chunks add up to."""

    def run(*chunks):
        engine.chunks = chunks
        return request.param(scripted_chat, canary)

    return run
