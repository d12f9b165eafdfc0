"""LangChain's own suites for embeddings, over HTTP and the sealed path."""

import pytest
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from langchain_atoma import AtomaEmbeddings

EMBEDDINGS = "intfloat/multilingual-e5-large-instruct"


class TestEmbeddingsUnit(EmbeddingsUnitTests):
    embeddings_class = AtomaEmbeddings

    @property
    def embedding_model_params(self):
        return {"model": EMBEDDINGS, "api_key": "test"}

    init_from_env_params = (
        {"ATOMASDK_BEARER_AUTH": "key", "ATOMA_API_BASE": "https://example.com"},
        {"model": EMBEDDINGS},
        {"atoma_api_key": "key", "atoma_api_base": "https://example.com"},
    )


class _OverHttp(EmbeddingsIntegrationTests):
    embeddings_class = AtomaEmbeddings
    encoding_format = "base64"

    @pytest.fixture(autouse=True)
    def _network(self, atoma):
        self.atoma = atoma
        yield
        assert "/v1/embeddings" not in {exchange.path for exchange in atoma.exchanges}

    @property
    def embedding_model_params(self):
        return {
            "model": EMBEDDINGS,
            "api_key": self.atoma.api_key,
            "base_url": self.atoma.base_url,
            "encoding_format": self.encoding_format,
        }


class TestBase64(_OverHttp):
    encoding_format = "base64"


class TestFloat(_OverHttp):
    encoding_format = "float"
