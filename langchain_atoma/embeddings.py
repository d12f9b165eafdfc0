"""Embeddings of the Atoma network, sealed end to end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.embeddings import Embeddings
from pydantic import ConfigDict, Field, PrivateAttr

from atoma_confidential._same_vector import check_same_vector
from atoma_confidential.errors import Exposure
from atoma_confidential.known_models import query_instruction_of
from atoma_confidential.parameters import EmbeddingParameters, chosen

from ._connection import AtomaConnection
from ._errors import model_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from atoma_confidential import EmbeddingReply, Verdict

__all__ = ["AtomaEmbeddings"]


class AtomaEmbeddings(AtomaConnection, Embeddings):
    """Embeddings whose texts and vectors cross the network only sealed.

        from langchain_atoma import AtomaEmbeddings

        embeddings = AtomaEmbeddings(model="intfloat/multilingual-e5-large-instruct")
        vectors = embeddings.embed_documents(["one passage", "another"])

    Models that are trained with an instruction before a query want it; without, search
    finds less. Where a model's own card has one and `query_instruction` is not set, it
    is that of the card.
    """

    model_config = ConfigDict(defer_build=False, extra="forbid")

    model: str
    """The engine's model, in its exact case."""

    dimensions: int | None = None
    """Length of the vectors, for models that can shorten them."""

    encoding_format: Literal["base64", "float"] = "base64"
    """How numbers travel; `base64` is a quarter of the size."""

    query_instruction: str | None = None
    """Put before each query, exactly as it stands. By default what the model was
    trained with, where that is known (`known_models`); `""` puts nothing there."""

    text_instruction: str = ""
    """Put before each document, exactly as it stands."""

    chunk_size: int = 256
    """Texts in a request."""

    max_chunk_bytes: int = 200_000
    """UTF-8 bytes of text in a request."""

    max_concurrency: int = 8
    """Requests at a time."""

    show_progress_bar: bool = False
    """Show progress with tqdm, which has to be installed."""

    blind_replies: bool = False
    """Add one random text to each request and drop its vector, so that equal texts do
    not show as equal answers."""

    user: str | None = None
    """An identifier that the engine may log."""

    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the engine."""

    _verdicts: tuple[Verdict, ...] = PrivateAttr(default=())

    @property
    def _engine_model(self) -> str:
        return self.model

    @property
    def last_verdict(self) -> Verdict | None:
        """What was checked for the last call; None before one."""
        return self._verdicts[-1] if self._verdicts else None

    @property
    def last_verdicts(self) -> tuple[Verdict, ...]:
        """Each distinct verdict of the last call, which may have used several nodes."""
        return self._verdicts

    def embed_documents(
        self, texts: list[str], chunk_size: int | None = None
    ) -> list[list[float]]:
        """Return one vector for each text.

        Args:
            texts: What to embed; none of them empty.
            chunk_size: Texts in a request, other than the field says.

        Raises:
            InvalidInputError: A text is empty or no text, named by its index.
            ConfidentialError: With the `indices` of the texts that failed.
        """
        return self._embed(texts, self.text_instruction, chunk_size)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        return self._embed([text], self._before_query)[0]

    async def aembed_documents(
        self, texts: list[str], chunk_size: int | None = None
    ) -> list[list[float]]:
        """Return one vector for each text; see `embed_documents`."""
        return await self._aembed(texts, self.text_instruction, chunk_size)

    async def aembed_query(self, text: str) -> list[float]:
        """Return the vector of a query."""
        return (await self._aembed([text], self._before_query))[0]

    def check_vector(self, text: str, vector: Sequence[float]) -> None:
        """Embed a text of a store again, and compare: is the store of this model?

        No store can tell two models apart whose vectors have the same length. Check one
        entry, of any document, before adding to a store or searching it.

        Args:
            text: A document as it was embedded.
            vector: What the store holds for it, normalised or not.

        Raises:
            VectorMismatchError: The store was built with another model.
            ConfidentialError: The text could not be embedded.
        """
        self._compare(vector, self.embed_documents([text])[0])

    async def acheck_vector(self, text: str, vector: Sequence[float]) -> None:
        """Embed a text of a store again, and compare; see `check_vector`."""
        self._compare(vector, (await self.aembed_documents([text]))[0])

    def _compare(self, stored: Sequence[float], given: list[float]) -> None:
        exposure = Exposure.of_request(sealed=self.confidential)
        with model_errors():
            check_same_vector(stored, given, model=self.model, exposure=exposure)

    @property
    def _before_query(self) -> str:
        if self.query_instruction is None:
            return query_instruction_of(self.model)
        return self.query_instruction

    def _embed(
        self, texts: list[str], instruction: str, chunk_size: int | None = None
    ) -> list[list[float]]:
        self._guard()
        with model_errors(), self._progress(len(texts)) as on_batch:
            client = self._clients().sync
            parameters = self._parameters(instruction, chunk_size)
            return self._vectors(client.embed(texts, on_batch=on_batch, **parameters))

    async def _aembed(
        self, texts: list[str], instruction: str, chunk_size: int | None = None
    ) -> list[list[float]]:
        self._guard()
        with model_errors(), self._progress(len(texts)) as on_batch:
            client = self._clients().asynchronous
            parameters = self._parameters(instruction, chunk_size)
            return self._vectors(
                await client.embed(texts, on_batch=on_batch, **parameters)
            )

    def _parameters(self, instruction: str, chunk_size: int | None) -> dict[str, Any]:
        return {
            **chosen(vars(self), EmbeddingParameters),
            "instruction": instruction,
            "batch_size": self.chunk_size if chunk_size is None else chunk_size,
            "batch_bytes": self.max_chunk_bytes,
        }

    def _vectors(self, reply: EmbeddingReply) -> list[list[float]]:
        self._verdicts = reply.verdicts
        return reply.vectors

    @contextmanager
    def _progress(self, total: int) -> Iterator[Callable[[int], None] | None]:
        if not self.show_progress_bar:
            yield None
            return
        try:
            from tqdm.auto import tqdm  # type: ignore[import-untyped]  # noqa: PLC0415
        except ImportError as error:
            raise ImportError("show_progress_bar=True needs tqdm.") from error
        with tqdm(total=total) as bar:
            yield bar.update
