"""The kinds of call that a fault may hit, as both frameworks make them.

Each is a coroutine, of which the blocking ones await nothing. It tells a watch when it
begins and ends, and each piece of text that it was handed.
"""

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool
from scripted import CHAT, EMBEDDINGS

import langchain_atoma
import llama_index_atoma

CANARY = "canary-heliotrope-5f1d9c"
PASSAGE = f"The cellar of Großheim ({CANARY}) holds 4711 bottles of Grüner Silvaner 🍷."
PROMPT = f"Passage: {PASSAGE}\n\nQuestion: How many bottles does the cellar hold?"
TEXTS = [PASSAGE, f"The cellar of Ostheim ({CANARY}) is empty."]
DIMENSIONS = 16


def get_weather(location: str) -> str:
    """Get the weather for a location."""
    return location


TOOL = FunctionTool.from_defaults(get_weather)
SEVERAL = {"allow_parallel_tool_calls": True}
WEATHER = f"What is the weather in Paris and in Tokyo? {CANARY}"


def _added_up(chunks):
    first, *rest = chunks
    for chunk in rest:
        first += chunk
    return first


class _LangChain:
    def __init__(self, connect):
        self._connect = connect

    def model(self, **fields):
        return self._connect(langchain_atoma.AtomaChatModel, model=CHAT, **fields)

    def embeddings(self, **fields):
        kind = langchain_atoma.AtomaEmbeddings
        return self._connect(kind, model=EMBEDDINGS, dimensions=DIMENSIONS, **fields)

    def bound(self, model):
        return model.bind_tools([get_weather])

    @staticmethod
    def said(message):
        calls = [(call["name"], call["args"]) for call in message.tool_calls]
        assert not message.invalid_tool_calls
        return message.text, calls

    @staticmethod
    def sealed(message):
        return message.response_metadata["atoma"]["sealed"]


class LangChain(_LangChain):
    async def answer(self, model, prompt, handed_out):
        return model.invoke(prompt)

    async def stream(self, model, prompt, handed_out):
        chunks = []
        for chunk in model.stream(prompt):
            handed_out(chunk.text)
            chunks.append(chunk)
        return _added_up(chunks)

    async def stream_calls(self, model, handed_out):
        return _added_up(self.bound(model).stream(WEATHER))

    async def vectors(self, model):
        return model.embed_documents(TEXTS)

    async def close(self, model):
        pass  # its connections are closed when it is forgotten


class AsyncLangChain(_LangChain):
    async def answer(self, model, prompt, handed_out):
        return await model.ainvoke(prompt)

    async def stream(self, model, prompt, handed_out):
        chunks = []
        async for chunk in model.astream(prompt):
            handed_out(chunk.text)
            chunks.append(chunk)
        return _added_up(chunks)

    async def stream_calls(self, model, handed_out):
        return _added_up([c async for c in self.bound(model).astream(WEATHER)])

    async def vectors(self, model):
        return await model.aembed_documents(TEXTS)

    async def close(self, model):
        pass  # likewise, when its loop ends


class _LlamaIndex:
    def __init__(self, connect):
        self._connect = connect

    def model(self, **fields):
        self._model = self._connect(
            llama_index_atoma.AtomaChatModel, model=CHAT, **fields
        )
        return self._model

    def embeddings(self, **fields):
        kind = llama_index_atoma.AtomaEmbeddings
        fields["model_name"] = EMBEDDINGS
        return self._connect(kind, dimensions=DIMENSIONS, **fields)

    @staticmethod
    def asked(prompt):
        return [ChatMessage(role="user", content=prompt)]

    def said(self, response):
        calls = self._model.get_tool_calls_from_response(
            response, error_on_no_tool_call=False
        )
        text = response.message.content or ""
        return text, [(call.tool_name, call.tool_kwargs) for call in calls]

    @staticmethod
    def sealed(response):
        return response.additional_kwargs["atoma"]["sealed"]


class LlamaIndex(_LlamaIndex):
    async def answer(self, model, prompt, handed_out):
        return model.chat(self.asked(prompt))

    async def stream(self, model, prompt, handed_out):
        last = None
        for last in model.stream_chat(self.asked(prompt)):
            handed_out(last.delta)
        return last

    async def stream_calls(self, model, handed_out):
        return list(model.stream_chat_with_tools([TOOL], WEATHER, **SEVERAL))[-1]

    async def vectors(self, model):
        return model.get_text_embedding_batch(TEXTS)

    async def close(self, model):
        model.close()


class AsyncLlamaIndex(_LlamaIndex):
    async def answer(self, model, prompt, handed_out):
        return await model.achat(self.asked(prompt))

    async def stream(self, model, prompt, handed_out):
        last = None
        async for last in await model.astream_chat(self.asked(prompt)):
            handed_out(last.delta)
        return last

    async def stream_calls(self, model, handed_out):
        stream = await model.astream_chat_with_tools([TOOL], WEATHER, **SEVERAL)
        return [item async for item in stream][-1]

    async def vectors(self, model):
        return await model.aget_text_embedding_batch(TEXTS)

    async def close(self, model):
        await model.aclose()


WAYS = [LangChain, AsyncLangChain, LlamaIndex, AsyncLlamaIndex]


def _chat(verb, *, warm=False, **fields):
    """Make a kind of call that ends in a message."""

    def asked(way, model, handed_out):
        prompt = () if "call" in verb else (PROMPT,)
        return getattr(way, verb)(model, *prompt, handed_out)

    async def run(way, limits, watch):
        model = way.model(**fields, **limits)
        try:
            if warm:  # a node that is known to use fresh nonces is not probed again
                await way.stream(model, "Hello", lambda _: None)
            watch.begin()
            message = await asked(way, model, watch.handed_out)
            told = way.said(message), way.sealed(message)
            if watch.again:
                watch.end()
                again = await asked(way, model, lambda _: None)
                assert way.said(again) == told[0]
            return told
        finally:
            watch.end()
            await way.close(model)

    return run


async def _vectors(way, limits, watch):
    limits = {k: v for k, v in limits.items() if k != "stream_idle_timeout"}
    model = way.embeddings(**limits)
    try:
        watch.begin()
        vectors = await way.vectors(model)
        told = vectors, model.last_verdict.sealed
        if watch.again:
            watch.end()
            assert await way.vectors(model) == vectors
        return told
    finally:
        watch.end()
        await way.close(model)


KINDS = {
    "answer": _chat("answer"),
    "live": _chat("stream", stream_mode="live"),
    "auto": _chat("stream", warm=True),
    "first": _chat("stream"),
    "buffered": _chat("stream", stream_mode="buffered"),
    "vectors": _vectors,
    "calls-live": _chat("stream_calls", stream_mode="live"),
    "plain": _chat("answer", confidential=False),
    "plain-live": _chat("stream", confidential=False, stream_mode="live"),
}
