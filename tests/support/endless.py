"""An engine that never comes to an end, and notices when it was left."""

import asyncio
import itertools
import threading

from scripted import CHAT, EMBEDDINGS


def words(_body):
    """Say one word for ever."""
    return itertools.repeat({"content": "x "})


class Endless:
    """Streams without end.

    Args:
        deltas: Gives the deltas of a stream for the body that asks for it.

    Attributes:
        gone: Set when nobody reads any more.
    """

    def __init__(self, deltas=words):
        self.deltas = deltas
        self.gone = threading.Event()

    def models(self):
        return [CHAT, EMBEDDINGS]

    async def stream_chat(self, body):
        return self._chunks(body)

    async def _chunks(self, body):
        head = {"id": "c", "model": body["model"]}
        try:
            for delta in self.deltas(body):
                choice = {"index": 0, "delta": delta, "finish_reason": None}
                yield {**head, "choices": [choice]}
                await asyncio.sleep(0.005)
        finally:
            self.gone.set()

    def embed(self, body):
        data = [
            {"index": n, "embedding": [1.0, 0.0]} for n in range(len(body["input"]))
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return {"model": body["model"], "data": data, "usage": usage}


def hung_up(endless):
    # What matters is that it comes at all, without a collector's help.
    return endless.gone.wait(5)
