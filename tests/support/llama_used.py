"""One use of a model, of whichever kind it is."""

from llama_index.core.base.llms.types import ChatMessage

from llama_index_atoma import AtomaEmbeddings

ASKED = [ChatMessage(role="user", content="Q")]


def use(model):
    if isinstance(model, AtomaEmbeddings):
        return model.get_text_embedding("a")
    return model.chat(ASKED).message.content


async def ause(model):
    if isinstance(model, AtomaEmbeddings):
        return await model.aget_text_embedding("a")
    return (await model.achat(ASKED)).message.content
