"""Real vector stores, each as both frameworks open it, and read past them.

Each class opens what stands in its folder, or makes it. `kept()` reads the store's own
records: pairs of a text and its vector.
"""

import asyncio
import json
from contextlib import suppress

import chromadb
import faiss
import lancedb
import psycopg
from chromadb.config import Settings
from langchain_chroma import Chroma
from langchain_community.docstore.in_memory import InMemoryDocstore
from langchain_community.vectorstores import FAISS
from langchain_community.vectorstores import LanceDB as LangChainLanceDB
from langchain_postgres import Column, PGEngine
from langchain_postgres import PGVectorStore as LangChainPGVectorStore
from langchain_qdrant import QdrantVectorStore as LangChainQdrant
from llama_index.vector_stores.chroma import ChromaVectorStore
from llama_index.vector_stores.lancedb import LanceDBVectorStore
from llama_index.vector_stores.postgres import PGVectorStore
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient
from qdrant_client.models import (
    Distance,
    FieldCondition,
    Filter,
    MatchValue,
    VectorParams,
)
from sqlalchemy.exc import ProgrammingError

TABLE = "notes"


class _Store:
    def __init__(self, folder, postgres):
        self.folder, self.postgres = folder, postgres

    def where(self, topic):
        """What restricts a LangChain search to a topic."""
        return {"filter": {"topic": topic}}

    def close(self):
        """Let go of the files, so that they can be opened again."""


class ChromaStore(_Store):
    def __init__(self, folder, postgres):
        super().__init__(folder, postgres)
        settings = Settings(anonymized_telemetry=False)
        self.client = chromadb.PersistentClient(str(folder), settings=settings)

    def langchain(self, embeddings, dimensions):
        return Chroma(TABLE, embeddings, client=self.client)

    def llama(self, dimensions):
        return ChromaVectorStore(self.client.get_or_create_collection(TABLE))

    def kept(self):
        found = self.client.get_collection(TABLE).get(
            include=["documents", "embeddings"]
        )
        return list(zip(found["documents"], found["embeddings"], strict=True))

    def close(self):
        self.client.close()


class QdrantStore(_Store):
    def __init__(self, folder, postgres):
        super().__init__(folder, postgres)
        self.client = QdrantClient(path=str(folder))

    def langchain(self, embeddings, dimensions):
        if not self.client.collection_exists(TABLE):
            params = VectorParams(size=dimensions, distance=Distance.COSINE)
            self.client.create_collection(TABLE, vectors_config=params)
        return LangChainQdrant(self.client, TABLE, embeddings)

    def llama(self, dimensions):
        return QdrantVectorStore(collection_name=TABLE, client=self.client)

    def where(self, topic):
        match = FieldCondition(key="metadata.topic", match=MatchValue(value=topic))
        return {"filter": Filter(must=[match])}

    def kept(self):
        points, _ = self.client.scroll(TABLE, limit=100, with_vectors=True)
        return [(_text_of(point.payload), point.vector) for point in points]

    def close(self):
        self.client.close()


def _text_of(payload):
    return payload.get("page_content") or json.loads(payload["_node_content"])["text"]


class FaissStore(_Store):
    """With LangChain alone: LlamaIndex's has no filters, see the page."""

    def langchain(self, embeddings, dimensions):
        if self.folder.exists():
            self.store = FAISS.load_local(
                str(self.folder), embeddings, allow_dangerous_deserialization=True
            )
        else:
            index = faiss.IndexFlatIP(dimensions)
            self.store = FAISS(embeddings, index, InMemoryDocstore(), {})
        return self.store

    def kept(self):
        numbers = self.store.index_to_docstore_id
        return [
            (
                self.store.docstore.search(numbers[n]).page_content,
                self.store.index.reconstruct(n),
            )
            for n in range(self.store.index.ntotal)
        ]

    def close(self):
        self.store.save_local(str(self.folder))


class _LanceDBVectorStore(LanceDBVectorStore):
    """The class puts ids into double quotes, which LanceDB takes for a column."""

    def delete(self, ref_doc_id, **kwargs):
        self.table.delete(f"doc_id = '{ref_doc_id}'")


class LanceStore(_Store):
    def langchain(self, embeddings, dimensions):
        return LangChainLanceDB(
            lancedb.connect(str(self.folder)),
            embeddings,
            table_name=TABLE,
            mode="append",
        )

    def llama(self, dimensions):
        return _LanceDBVectorStore(str(self.folder), TABLE, mode="create")

    def where(self, topic):
        return {"filter": f"metadata.topic = '{topic}'", "prefilter": True}

    def kept(self):
        table = lancedb.connect(str(self.folder)).open_table(TABLE).to_arrow()
        return [(row["text"], row["vector"]) for row in table.to_pylist()]


class PostgresStore(_Store):
    def __init__(self, folder, postgres):
        super().__init__(folder, postgres)
        self.opened = []
        self.used = []

    def langchain(self, embeddings, dimensions):
        engine = PGEngine.from_connection_string(self._url("psycopg"))
        self.opened.append(engine)
        self.used.append((engine, embeddings))
        with suppress(ProgrammingError):  # it is there
            engine.init_vectorstore_table(
                TABLE,
                dimensions,
                id_column=Column("langchain_id", "TEXT", nullable=False),
                metadata_columns=[Column("topic", "TEXT")],
            )
        return LangChainPGVectorStore.create_sync(
            engine, embeddings, TABLE, metadata_columns=["topic"]
        )

    def llama(self, dimensions):
        store = PGVectorStore.from_params(
            connection_string=self._url("psycopg"),
            async_connection_string=self._url("psycopg"),
            table_name=TABLE,
            embed_dim=dimensions,
            use_jsonb=True,
        )
        self.opened.append(store)
        return store

    def _url(self, driver):
        return self.postgres.replace("postgresql:", f"postgresql+{driver}:")

    def kept(self):
        with psycopg.connect(self.postgres) as connection:
            for what in (
                "content, embedding FROM notes",
                "text, embedding FROM data_notes",
            ):
                with suppress(psycopg.errors.UndefinedTable), connection.transaction():
                    rows = connection.execute(f"SELECT {what}").fetchall()
        return [(text, json.loads(vector)) for text, vector in rows]

    def close(self):
        for engine, embeddings in self.used:
            # It embeds on a loop of its own, which never ends.
            engine._run_as_sync(embeddings.clients.aclose())
        for store in self.opened:
            asyncio.run(store.close())


LANGCHAIN = [ChromaStore, FaissStore, LanceStore, PostgresStore, QdrantStore]
LLAMA = [ChromaStore, LanceStore, PostgresStore, QdrantStore]
