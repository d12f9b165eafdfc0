"""LangChain's models before a local Atoma."""

import pytest
from langchain_core.globals import set_debug, set_llm_cache, set_verbose
from scripted import CHAT, EMBEDDINGS

from langchain_atoma import AtomaChatModel, AtomaEmbeddings, _tracing


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


@pytest.fixture(autouse=True)
def _quiet_globals():
    yield
    set_debug(False)
    set_verbose(False)
    set_llm_cache(None)
    _tracing._warn_once.cache_clear()
