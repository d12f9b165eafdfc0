"""Every way to embed with LlamaIndex, and what the engine was then asked."""

import asyncio


def text_batch(model, texts):
    return model.get_text_embedding_batch(texts)


def atext_batch(model, texts):
    return asyncio.run(model.aget_text_embedding_batch(texts))


def one_by_one(model, texts):
    return [model.get_text_embedding(text) for text in texts]


def aone_by_one(model, texts):
    async def run():
        return [await model.aget_text_embedding(text) for text in texts]

    return asyncio.run(run())


def queries(model, texts):
    return [model.get_query_embedding(text) for text in texts]


def aqueries(model, texts):
    async def run():
        return [await model.aget_query_embedding(text) for text in texts]

    return asyncio.run(run())


TEXTS = [text_batch, atext_batch, one_by_one, aone_by_one]
BATCHES = [text_batch, atext_batch]
ALL = [*TEXTS, queries, aqueries]


def inputs(engine):
    return [body["input"] for body in engine.asked]
