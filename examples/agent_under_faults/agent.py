"""An agent that answers from minutes, which it searches when it has to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.messages import AIMessageChunk, AnyMessage, HumanMessage
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_atoma import AtomaChatModel, AtomaEmbeddings

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
EMBEDDINGS = "intfloat/multilingual-e5-large-instruct"


class MinutesAgent:
    """Answers questions about meetings; address and key are the environment's."""

    def __init__(self, minutes: list[str]) -> None:
        store = InMemoryVectorStore(AtomaEmbeddings(model=EMBEDDINGS))
        store.add_texts(minutes)

        @tool
        def search_minutes(query: str) -> str:
            """Search the minutes of meetings."""
            found = store.similarity_search(query, k=2)
            return "\n\n".join(document.page_content for document in found)

        self._search = search_minutes
        self._model = AtomaChatModel(model=CHAT).bind_tools([search_minutes])

    def answer(self, question: str) -> Iterator[str]:
        """Yield the answer piece by piece."""
        messages: list[AnyMessage] = [HumanMessage(question)]
        while True:
            whole = AIMessageChunk(content="")
            for chunk in self._model.stream(messages):
                whole += chunk
                yield chunk.text
            if not whole.tool_calls:
                return
            results = [self._search.invoke(call) for call in whole.tool_calls]
            messages += [whole, *results]
