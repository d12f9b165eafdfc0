"""What users write, for type checkers alone, which `make release-check` runs.

Nothing here is run. Each line would be an error if a public name lost its types.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms.function_calling import FunctionCallingLLM

from atoma_confidential import (
    AsyncClient,
    ChatReply,
    ChatStream,
    Client,
    ConfidentialError,
    EmbeddingReply,
    Exposure,
    TrustPolicy,
    Verdict,
)
from atoma_confidential.httpx import AsyncConfidentialTransport, ConfidentialTransport
from atoma_local import LocalAtoma
from langchain_atoma import AtomaChatModel, AtomaEmbeddings
from llama_index_atoma import AtomaChatModel as LlamaChatModel
from llama_index_atoma import AtomaEmbeddings as LlamaEmbeddings
from llama_index_atoma import use_atoma

MESSAGES = [{"role": "user", "content": "Which colour has the sky?"}]


def blocking() -> None:
    with Client(api_key="k", trust=TrustPolicy.proxy_asserted(), timeout=30) as client:
        reply = client.chat(MESSAGES, model="m", temperature=0.5)
        assert_type(reply, ChatReply)
        assert_type(reply.verdict, Verdict)
        stream = client.stream_chat(MESSAGES, model="m")
        assert_type(stream, ChatStream)
        chunks: Iterator[dict[str, Any]] = stream
        print(next(chunks))
        assert_type(client.embed(["text"], model="m"), EmbeddingReply)


async def asynchronous() -> None:
    async with AsyncClient(api_key="k") as client:
        assert_type(await client.chat(MESSAGES, model="m"), ChatReply)
        chunks: AsyncIterator[dict[str, Any]] = client.stream_chat(MESSAGES, model="m")
        async for chunk in chunks:
            print(chunk)


def failing() -> Exposure:
    try:
        blocking()
    except ConfidentialError as error:
        return assert_type(error.exposure, Exposure)
    raise AssertionError


def langchain() -> None:
    model: BaseChatModel = AtomaChatModel(model="m")
    embeddings: Embeddings = AtomaEmbeddings(model="m")
    assert_type(model.invoke("Hello"), AIMessage)
    print(embeddings.embed_query("text"))


def llama_index() -> None:
    chat, embeddings = LlamaChatModel(model="m"), LlamaEmbeddings(model_name="m")
    use_atoma(llm=chat, embed_model=embeddings)
    model: FunctionCallingLLM = chat
    vectors: BaseEmbedding = embeddings
    print(model.complete("Hello").text, vectors.get_text_embedding("text"))


def transports() -> None:
    ConfidentialTransport(api_key="k")
    AsyncConfidentialTransport(api_key="k")


def local() -> str:
    with LocalAtoma() as atoma:
        return assert_type(atoma.base_url, str)
