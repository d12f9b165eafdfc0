"""Calls of the official SDK, run by the Python that has it; prints what came back.

Arguments: the server's URL, the API key, the model, the question.
"""

import asyncio
import json
import sys

from atoma_sdk import AtomaSDK

URL, KEY, MODEL, QUESTION = sys.argv[1:5]
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}
EMBED = {"model": MODEL, "input": [QUESTION, "another text"]}


def text_of(reply):
    return reply.choices[0].message.content


def piece_of(event):
    return event.data.choices[0].delta.content or ""


def blocking():
    with AtomaSDK(bearer_auth=KEY, server_url=URL) as sdk:
        chat = sdk.confidential_chat.create(**CHAT, max_tokens=64)
        with sdk.confidential_chat.create_stream(**CHAT) as events:
            stream = "".join(piece_of(event) for event in events)
        embeddings = sdk.confidential_embeddings.create(**EMBED)
    return {
        "chat": text_of(chat),
        "usage": chat.usage.total_tokens,
        "stream": stream,
        "vectors": [entry.embedding for entry in embeddings.data],
    }


async def asynchronous():
    async with AtomaSDK(bearer_auth=KEY, server_url=URL) as sdk:
        chat = await sdk.confidential_chat.create_async(**CHAT, max_tokens=64)
        events = await sdk.confidential_chat.create_stream_async(**CHAT)
        pieces = []
        async with events:
            async for event in events:
                pieces.append(piece_of(event))  # noqa: PERF401  the SDK's own idiom
        embeddings = await sdk.confidential_embeddings.create_async(**EMBED)
    return {
        "chat": text_of(chat),
        "usage": chat.usage.total_tokens,
        "stream": "".join(pieces),
        "vectors": [entry.embedding for entry in embeddings.data],
    }


print(json.dumps({"sync": blocking(), "async": asyncio.run(asynchronous())}))  # noqa: T201
