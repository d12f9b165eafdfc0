"""The four kinds of call with LangChain, blocking and not."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from questions import CHAT, EMBEDDINGS

from langchain_atoma import AtomaChatModel, AtomaEmbeddings


@tool
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
            model=EMBEDDINGS, chunk_size=batch, **settings
        )
        self._agent = create_agent(self._chat, [add])

    def embed(self, texts):
        return self._embeddings.embed_documents(texts)

    def chat(self, messages):
        return self._chat.invoke(messages).text

    def stream(self, messages):
        for chunk in self._chat.stream(messages):
            yield chunk.text

    def agent(self, told):
        return _said(self._agent.invoke(_asked(told)))

    async def aembed(self, texts):
        return await self._embeddings.aembed_documents(texts)

    async def achat(self, messages):
        return (await self._chat.ainvoke(messages)).text

    async def astream(self, messages):
        async for chunk in self._chat.astream(messages):
            yield chunk.text

    async def aagent(self, told):
        return _said(await self._agent.ainvoke(_asked(told)))

    def close(self):
        """Leave it to the collector, as LangChain's users do."""

    async def aclose(self):
        """Likewise."""


def _asked(told):
    return {"messages": [{"role": "user", "content": told}]}


def _said(state):
    if not any(message.type == "tool" for message in state["messages"]):
        return "The tool was not called."
    return state["messages"][-1].text
