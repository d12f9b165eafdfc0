"""Embeddings of the Atoma network, sealed end to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import AliasChoices, Field, PrivateAttr

from atoma_confidential import EmbeddingReply, Verdict
from atoma_confidential._same_vector import check_same_vector
from atoma_confidential.errors import Exposure
from atoma_confidential.known_models import query_instruction_of
from atoma_confidential.parameters import EmbeddingParameters, chosen

from ._batches import BatchedEmbedding, Role, Vector
from ._connection import AtomaConnection
from ._guarded import guarded

__all__ = ["AtomaEmbedding", "AtomaEmbeddings"]

# In silence: without their spans; the events are left out by what they call.
_GUARDED = dict.fromkeys(
    (
        "__call__",
        "_aget_query_embedding",
        "_get_query_embedding",
        "_get_text_embedding",
        "aget_query_embedding",
        "aget_text_embedding",
        "aget_text_embedding_batch",
        "get_query_embedding",
        "get_text_embedding",
        "get_text_embedding_batch",
    ),
    "",
)


@guarded(_GUARDED)
class AtomaEmbeddings(AtomaConnection, BatchedEmbedding):
    """Embeddings whose texts and vectors cross the network only sealed.

        from llama_index_atoma import AtomaEmbeddings

        embed_model = AtomaEmbeddings(
            model_name="intfloat/multilingual-e5-large-instruct"
        )
        vectors = embed_model.get_text_embedding_batch(["one passage", "another"])

    Models that are trained with an instruction before a query want it; without, search
    finds less. Where a model's own card has one and `query_instruction` is not set, it
    is that of the card.
    """

    model_name: str = Field(validation_alias=AliasChoices("model_name", "model"))
    """The engine's model, in its exact case."""

    dimensions: int | None = None
    """Length of the vectors, for models that can shorten them."""

    query_instruction: str | None = None
    """Put before each query, exactly as it stands. By default what the model was
    trained with, where that is known (`known_models`); `""` puts nothing there."""

    text_instruction: str = ""
    """Put before each document, exactly as it stands."""

    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the engine."""

    encoding_format: Literal["base64", "float"] = Field(default="base64", exclude=True)
    """How numbers travel; `base64` is a quarter of the size."""

    user: str | None = Field(default=None, exclude=True)
    """An identifier that the engine may log."""

    # As many requests as may be under way: blocking calls make one batch at a time.
    embed_batch_size: int = Field(default=2048, gt=0, le=2048)
    """Texts that are announced, cached and limited in rate together."""

    request_size: int = Field(default=256, gt=0, exclude=True)
    """Texts in a request."""

    request_bytes: int = Field(default=200_000, gt=0, exclude=True)
    """UTF-8 bytes of text in a request."""

    max_concurrency: int = Field(default=8, gt=0, exclude=True)
    """Requests at a time."""

    blind_replies: bool = Field(default=False, exclude=True)
    """Add one random text to each request and drop its vector, so that equal texts do
    not show as equal answers."""

    embeddings_cache: Any = Field(default=None, exclude=True)
    """A `BaseKVStore` for vectors, under keys that do not show the text."""

    _verdicts: tuple[Verdict, ...] = PrivateAttr(default=())
    _usage: dict[str, int] = PrivateAttr(default_factory=dict)

    @classmethod
    def class_name(cls) -> str:
        """Return the name that serialised models carry."""
        return "AtomaEmbeddings"

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Return the model for `from_dict`, without its key and its address."""
        data = super().to_dict(**kwargs)
        if self.blind_replies:  # left out, a loaded model would not hide them
            data["blind_replies"] = True
        return data

    @property
    def _engine_model(self) -> str:
        return self.model_name

    @property
    def last_verdict(self) -> Verdict | None:
        """What was checked for the last batch; None before one."""
        return self._verdicts[-1] if self._verdicts else None

    @property
    def last_verdicts(self) -> tuple[Verdict, ...]:
        """Each distinct verdict of the last batch; it may have used several nodes."""
        return self._verdicts

    @property
    def last_usage(self) -> dict[str, int]:
        """Tokens that the engine counted for the last batch."""
        return dict(self._usage)

    def get_query_embedding(self, query: str) -> Vector:
        """Return the vector of a query, with the instruction for queries before it."""
        return self._embed([query], "query")[0]

    async def aget_query_embedding(self, query: str) -> Vector:
        """Return the vector of a query; see `get_query_embedding`."""
        return (await self._aembed([query], "query"))[0]

    def get_text_embedding(self, text: str) -> Vector:
        """Return the vector of a document."""
        return self._embed([text], "text")[0]

    async def aget_text_embedding(self, text: str) -> Vector:
        """Return the vector of a document."""
        return (await self._aembed([text], "text"))[0]

    def get_text_embedding_batch(
        self,
        texts: list[str],
        show_progress: bool = False,
        **kwargs: Any,
    ) -> list[Vector]:
        """Return one vector for each document.

        Args:
            texts: What to embed; none of them empty.
            show_progress: Show a bar.
            **kwargs: Ignored, as by the base class.

        Raises:
            InvalidInputError: A text is empty, named by its index.
            ConfidentialError: With the `indices` of the texts that failed.
        """
        del kwargs
        return self._embed(texts, "text", show_progress=show_progress)

    async def aget_text_embedding_batch(
        self,
        texts: list[str],
        show_progress: bool = False,
        **kwargs: Any,
    ) -> list[Vector]:
        """Return one vector for each document; see `get_text_embedding_batch`."""
        del kwargs
        return await self._aembed(texts, "text", show_progress=show_progress)

    def check_vector(self, text: str, vector: Sequence[float]) -> None:
        """Embed a text of a store again, and compare: is the store of this model?

        No store can tell two models apart whose vectors have the same length. Check one
        entry, of any node, before adding to a store or searching it. A cache of vectors
        is not asked.

        Args:
            text: A document as it was embedded; of a node
                `get_content(metadata_mode=MetadataMode.EMBED)`.
            vector: What the store holds for it, normalised or not.

        Raises:
            VectorMismatchError: The store was built with another model.
            ConfidentialError: The text could not be embedded.
        """
        self._guard()
        self._compare(vector, self._get_text_embedding(text))

    async def acheck_vector(self, text: str, vector: Sequence[float]) -> None:
        """Embed a text of a store again, and compare; see `check_vector`."""
        self._guard()
        self._compare(vector, await self._aget_text_embedding(text))

    def _compare(self, stored: Sequence[float], given: Vector) -> None:
        exposure = Exposure.of_request(sealed=self.confidential)
        check_same_vector(stored, given, model=self.model_name, exposure=exposure)

    # What core asks of a provider; its public methods above no longer pass by here.

    def _get_query_embedding(self, query: str) -> Vector:
        return self._vectors([query], "query")[0]

    async def _aget_query_embedding(self, query: str) -> Vector:
        return (await self._avectors([query], "query"))[0]

    def _get_text_embedding(self, text: str) -> Vector:
        return self._vectors([text], "text")[0]

    async def _aget_text_embedding(self, text: str) -> Vector:
        return (await self._avectors([text], "text"))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Vector]:
        return self._vectors(texts, "text")

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Vector]:
        return await self._avectors(texts, "text")

    def _vectors(self, texts: list[str], role: Role) -> list[Vector]:
        client = self._clients().sync
        reply = client.embed(texts, **self._parameters(role))
        return self._kept(reply)

    async def _avectors(self, texts: list[str], role: Role) -> list[Vector]:
        client = self._clients().asynchronous
        reply = await client.embed(texts, **self._parameters(role))
        return self._kept(reply)

    def _instruction(self, role: Role) -> str:
        if role == "text":
            return self.text_instruction
        if self.query_instruction is None:
            return query_instruction_of(self.model_name)
        return self.query_instruction

    def _identity(self, role: Role) -> Sequence[Any]:
        return [
            self.model_name,
            self.dimensions,
            self._instruction(role),
            self.extra_body,
        ]

    @property
    def _batches_at_a_time(self) -> int:
        """As many as keep to `max_concurrency`, each having several requests."""
        requests = -(-self.embed_batch_size // self.request_size)
        return max(1, self.max_concurrency // requests)

    def _parameters(self, role: Role) -> dict[str, Any]:
        return {
            **chosen(vars(self), EmbeddingParameters),
            "model": self.model_name,
            "instruction": self._instruction(role),
            "batch_size": self.request_size,
            "batch_bytes": self.request_bytes,
        }

    def _kept(self, reply: EmbeddingReply) -> list[Vector]:
        self._verdicts, self._usage = reply.verdicts, reply.usage
        return reply.vectors


AtomaEmbedding = AtomaEmbeddings
"""The name by LlamaIndex's convention."""
