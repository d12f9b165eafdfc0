"""How soon a server sees that a stream of LlamaIndex's was left.

    python benchmarks/hang_up.py

From leaving it (break, close, aclose, a cancelled task) until the engine behind a local
Atoma is told that nobody reads any more, with the garbage collector switched off.
Prints medians and the longest of one run, in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import statistics
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from llama_index.core.llms import ChatMessage

from atoma_local import LocalAtoma
from llama_index_atoma import AtomaChatModel

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
ASKED = [ChatMessage(role="user", content="Go on for ever.")]


class Endless:
    """Streams without end, and notes when nobody reads any more."""

    def __init__(self) -> None:
        self.gone = threading.Event()
        self.at = 0.0

    def models(self) -> list[str]:
        return [MODEL]

    async def stream_chat(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        return self._chunks(body)

    async def _chunks(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        choice = {"index": 0, "delta": {"content": "x "}, "finish_reason": None}
        try:
            while True:
                yield {"id": "c", "model": body["model"], "choices": [choice]}
                await asyncio.sleep(0.005)
        finally:
            self.at = time.perf_counter()
            self.gone.set()


def leave(model: AtomaChatModel) -> float:
    items = model.stream_chat(ASKED)
    for _ in items:
        break
    left = time.perf_counter()
    del items  # a generator that nobody has any more
    return left


def close(model: AtomaChatModel) -> float:
    items = model.stream_chat(ASKED)
    next(items)
    left = time.perf_counter()
    items.close()
    return left


def aclose(model: AtomaChatModel) -> float:
    async def run() -> float:
        items = await model.astream_chat(ASKED)
        await anext(items)
        left = time.perf_counter()
        await items.aclose()
        return left

    return asyncio.run(run())


def cancel(model: AtomaChatModel) -> float:
    async def read() -> None:
        async for _ in await model.astream_chat(ASKED):
            pass

    async def run() -> float:
        task = asyncio.ensure_future(read())
        await asyncio.sleep(0.1)
        left = time.perf_counter()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return left

    return asyncio.run(run())


def measured(way: Callable[[AtomaChatModel], float]) -> float:
    engine = Endless()
    with LocalAtoma(backend=engine) as atoma:
        model = AtomaChatModel(
            model=MODEL,
            base_url=atoma.base_url,
            api_key=atoma.api_key,
            stream_mode="live",
        )
        left = way(model)
        if not engine.gone.wait(10):
            raise SystemExit("The engine was never told.")
        model.close()
        return (engine.at - left) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    gc.disable()
    for way in (leave, close, aclose, cancel):
        times = [measured(way) for _ in range(rounds)]
        median = statistics.median(times)
        print(f"{way.__name__:<8} {median:6.1f} ms, at most {max(times):6.1f} ms")


if __name__ == "__main__":
    main()
