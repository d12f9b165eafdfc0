"""Models whose key is looked for in all that they leave behind."""

import pytest
from scripted import CHAT
from shown import KEY

from llama_index_atoma import AtomaChatModel, AtomaEmbeddings


@pytest.fixture
def atoma(make_atoma):
    return make_atoma(tokens={KEY})


@pytest.fixture
def fields(atoma):
    return {"api_key": KEY, "base_url": atoma.base_url}


@pytest.fixture
def chat(fields):
    return AtomaChatModel(model=CHAT, **fields)


@pytest.fixture
def embeddings(fields):
    return AtomaEmbeddings(model_name="e", **fields)
