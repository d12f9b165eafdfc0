"""The two clients behind one face, and what the tests of both of them say."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import atoma_confidential as ac
from atoma_local import encodings_of

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
EMBEDDING = "intfloat/multilingual-e5-large-instruct"
SECRET = (
    "Passage: The wine cellar of Ostheim (canary-heliotrope-5f1d9c) holds 4711 "
    "bottles of Silvaner."
)
QUESTION = "How many bottles does the wine cellar of Ostheim hold?"
PATTERNS = [*encodings_of(SECRET), *encodings_of(QUESTION)]
MESSAGES = [{"role": "user", "content": f"{SECRET}\n\nQuestion: {QUESTION}"}]


class Blocking:
    def __init__(self, **settings):
        self.client = ac.Client(**settings)

    def chat(self, messages=MESSAGES, *, model=CHAT, **parameters):
        return self.client.chat(messages, model=model, **parameters)

    def stream(self, messages=MESSAGES, *, model=CHAT, take=None, **parameters):
        with self.client.stream_chat(messages, model=model, **parameters) as stream:
            chunks = []
            for chunk in stream:
                chunks.append(chunk)
                if len(chunks) == take:
                    break
        self.last_stream = stream
        return chunks, stream.verdict

    def embed(self, texts, *, model=EMBEDDING, **parameters):
        return self.client.embed(texts, model=model, **parameters)

    def models(self):
        return self.client.models()

    def appraise(self, **candidate):
        return self.client.appraise(**candidate)

    def probe_nonces(self, *, model=CHAT):
        return self.client.probe_nonces(model=model)

    def chat_at_once(self, count):
        with ThreadPoolExecutor(count) as pool:
            calls = [pool.submit(self.chat) for _ in range(count)]
        return [call.result() for call in calls]

    def chat_in_turn(self, count):
        return [self.chat() for _ in range(count)]

    def close(self):
        self.client.close()


class Asynchronous:
    """Each call in an event loop of its own: the client must survive that."""

    def __init__(self, **settings):
        self.client = ac.AsyncClient(**settings)

    def chat(self, messages=MESSAGES, *, model=CHAT, **parameters):
        return asyncio.run(self.client.chat(messages, model=model, **parameters))

    def stream(self, messages=MESSAGES, *, model=CHAT, take=None, **parameters):
        async def run():
            chunks = []
            async with self.client.stream_chat(
                messages, model=model, **parameters
            ) as stream:
                async for chunk in stream:
                    chunks.append(chunk)
                    if len(chunks) == take:
                        break
            self.last_stream = stream
            return chunks, stream.verdict

        return asyncio.run(run())

    def embed(self, texts, *, model=EMBEDDING, **parameters):
        return asyncio.run(self.client.embed(texts, model=model, **parameters))

    def models(self):
        return asyncio.run(self.client.models())

    def appraise(self, **candidate):
        return asyncio.run(self.client.appraise(**candidate))

    def probe_nonces(self, *, model=CHAT):
        return asyncio.run(self.client.probe_nonces(model=model))

    def chat_at_once(self, count):
        async def run():
            calls = [self.client.chat(MESSAGES, model=CHAT) for _ in range(count)]
            return await asyncio.gather(*calls)

        return asyncio.run(run())

    def chat_in_turn(self, count):
        async def run():
            return [await self.client.chat(MESSAGES, model=CHAT) for _ in range(count)]

        return asyncio.run(run())

    def close(self):
        asyncio.run(self.client.aclose())


def posts(atoma, path="/v1/confidential/chat/completions"):
    return [exchange for exchange in atoma.exchanges if exchange.path == path]


def locks(atoma):
    return posts(atoma, "/v1/nodes/lock")


def record_requests(atoma):
    path = "/v1/get_node_attestation/"
    return [seen for seen in atoma.exchanges if seen.path.startswith(path)]


def text_of(chunks):
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        for choice in chunk["choices"]
    )
