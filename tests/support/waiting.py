"""An engine that begins to answer and waits to be told to go on; calls in threads."""

import asyncio
import threading

from lived import engine


class Waiting:
    """Says the first word of a stream, and nothing of a whole answer.

    Attributes:
        begun: Set when it was asked.
        go_on: Set it to let it finish.
    """

    def __init__(self):
        self._engine = engine()
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def models(self):
        return self._engine.models()

    async def chat(self, body):
        await self._wait()
        return self._engine.chat(body)

    async def embed(self, body):
        await self._wait()
        return self._engine.embed(body)

    async def stream_chat(self, body):
        return self._chunks(body)

    async def _chunks(self, body):
        for number, chunk in enumerate(self._engine.stream_chat(body)):
            if number == 1:
                await self._wait()
            yield chunk

    async def _wait(self):
        self.begun.set()
        while not self.go_on.is_set():  # noqa: ASYNC110  a thread's event
            await asyncio.sleep(0.005)


class Call(threading.Thread):
    """A call in a thread of its own.

    Attributes:
        result: What it returned; None if it has not.
        error: What it raised.
    """

    def __init__(self, ask):
        super().__init__(daemon=True)
        self._ask = ask
        self.result = self.error = None
        self.start()

    def run(self):
        try:
            self.result = self._ask()
        except Exception as error:  # noqa: BLE001  the test looks at it
            self.error = error
