"""Every way to ask a LlamaIndex model and to embed with one.

Each takes a model and a text, and some are coroutines.
"""

from adding import TOOL
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import TextNode
from pydantic import BaseModel

PROMPT = PromptTemplate("{q}")


class Answer(BaseModel):
    """An answer."""

    answer: str = ""


def asked(text):
    return [ChatMessage(role="user", content=text)]


def sums(text):
    return {"tools": [TOOL], "user_msg": f"add 2 and 3, {text}"}


async def listed(items):
    return [item async for item in await items]


def structured(model):
    return model.as_structured_llm(Answer)


CHATS = {
    "chat": lambda m, t: m.chat(asked(t)),
    "achat": lambda m, t: m.achat(asked(t)),
    "stream_chat": lambda m, t: list(m.stream_chat(asked(t))),
    "astream_chat": lambda m, t: listed(m.astream_chat(asked(t))),
    "complete": lambda m, t: m.complete(t),
    "acomplete": lambda m, t: m.acomplete(t),
    "stream_complete": lambda m, t: list(m.stream_complete(t)),
    "astream_complete": lambda m, t: listed(m.astream_complete(t)),
    "predict": lambda m, t: m.predict(PROMPT, q=t),
    "apredict": lambda m, t: m.apredict(PROMPT, q=t),
    "stream": lambda m, t: list(m.stream(PROMPT, q=t)),
    "astream": lambda m, t: listed(m.astream(PROMPT, q=t)),
    "chat_with_tools": lambda m, t: m.chat_with_tools(**sums(t)),
    "achat_with_tools": lambda m, t: m.achat_with_tools(**sums(t)),
    "stream_chat_with_tools": lambda m, t: list(m.stream_chat_with_tools(**sums(t))),
    "astream_chat_with_tools": lambda m, t: listed(
        m.astream_chat_with_tools(**sums(t))
    ),
    "predict_and_call": lambda m, t: m.predict_and_call(**sums(t)),
    "apredict_and_call": lambda m, t: m.apredict_and_call(**sums(t)),
    "structured_predict": lambda m, t: m.structured_predict(Answer, PROMPT, q=t),
    "astructured_predict": lambda m, t: m.astructured_predict(Answer, PROMPT, q=t),
    "stream_structured_predict": lambda m, t: list(
        m.stream_structured_predict(Answer, PROMPT, q=t)
    ),
    "astream_structured_predict": lambda m, t: listed(
        m.astream_structured_predict(Answer, PROMPT, q=t)
    ),
    "structured-chat": lambda m, t: structured(m).chat(asked(t)),
    "structured-achat": lambda m, t: structured(m).achat(asked(t)),
    "structured-stream_chat": lambda m, t: list(structured(m).stream_chat(asked(t))),
    "structured-astream_chat": lambda m, t: listed(
        structured(m).astream_chat(asked(t))
    ),
    "structured-complete": lambda m, t: structured(m).complete(t),
    "structured-acomplete": lambda m, t: structured(m).acomplete(t),
    "structured-predict": lambda m, t: structured(m).predict(PROMPT, q=t),
    "structured-apredict": lambda m, t: structured(m).apredict(PROMPT, q=t),
    "structured-stream": lambda m, t: list(structured(m).stream(PROMPT, q=t)),
    "structured-astream": lambda m, t: listed(structured(m).astream(PROMPT, q=t)),
}
EMBEDS = {
    "get_query_embedding": lambda m, t: m.get_query_embedding(t),
    "aget_query_embedding": lambda m, t: m.aget_query_embedding(t),
    "get_text_embedding": lambda m, t: m.get_text_embedding(t),
    "aget_text_embedding": lambda m, t: m.aget_text_embedding(t),
    "get_text_embedding_batch": lambda m, t: m.get_text_embedding_batch([t, "x"]),
    "aget_text_embedding_batch": lambda m, t: m.aget_text_embedding_batch([t, "x"]),
    "agg": lambda m, t: m.get_agg_embedding_from_queries([t]),
    "aagg": lambda m, t: m.aget_agg_embedding_from_queries([t]),
    "nodes": lambda m, t: m([TextNode(text=t)]),
    "anodes": lambda m, t: m.acall([TextNode(text=t)]),
    "_get_query_embedding": lambda m, t: m._get_query_embedding(t),
    "_aget_query_embedding": lambda m, t: m._aget_query_embedding(t),
    "_get_text_embedding": lambda m, t: m._get_text_embedding(t),
}
