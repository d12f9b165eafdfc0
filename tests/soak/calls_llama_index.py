"""The four kinds of call with LlamaIndex, blocking and not."""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from questions import CHAT, EMBEDDINGS

from llama_index_atoma import AtomaChatModel, AtomaEmbeddings


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Calls:
    """Models of one worker; every call is made with them.

    Args:
        settings: `base_url`, `api_key` and `timeout`.
        batch: Texts in a request.
    """

    def __init__(self, settings, batch):
        self._chat = AtomaChatModel(
            model=CHAT, stream_idle_timeout=settings["timeout"], **settings
        )
        self._embeddings = AtomaEmbeddings(
            model_name=EMBEDDINGS, request_size=batch, **settings
        )

    def embed(self, texts):
        return self._embeddings.get_text_embedding_batch(texts)

    def chat(self, messages):
        return self._chat.chat(_messages(messages)).message.content

    def stream(self, messages):
        for response in self._chat.stream_chat(_messages(messages)):
            yield response.delta or ""

    def agent(self, told):
        """Run it on a loop of its own: LlamaIndex's agents have no other way."""
        return asyncio.run(self.aagent(told, closing=True))

    async def aembed(self, texts):
        return await self._embeddings.aget_text_embedding_batch(texts)

    async def achat(self, messages):
        return (await self._chat.achat(_messages(messages))).message.content

    async def astream(self, messages):
        async for response in await self._chat.astream_chat(_messages(messages)):
            yield response.delta or ""

    async def aagent(self, told, *, closing=False):
        called = []

        def noted(a: int, b: int) -> int:
            called.append((a, b))
            return add(a, b)

        tool = FunctionTool.from_defaults(
            noted, name="add", description="Add two numbers."
        )
        try:
            answer = await FunctionAgent(tools=[tool], llm=self._chat).run(told)
        finally:
            if closing:
                await self._chat.aclose()
        return str(answer) if called else "The tool was not called."

    def close(self):
        self._chat.close()
        self._embeddings.close()

    async def aclose(self):
        await self._chat.aclose()
        await self._embeddings.aclose()


def _messages(messages):
    return [ChatMessage(role=m["role"], content=m["content"]) for m in messages]
