"""Who asks: workers in threads, and workers that are tasks of one loop."""

import asyncio
import contextlib
import random
import time
from itertools import count

from questions import KINDS, question

from atoma_confidential.errors import ConfidentialError

HANG = 180.0  # seconds; all waits and all limits of a call together are less
_BATCH = 16
_LEFT_EARLY = 0.05
_PATIENCE = 0.03  # seconds that an impatient task waits, at most


class Worker:
    """Asks one question after the other, and judges the answers.

    Args:
        name: Its framework, its shell and its number.
        calls: `Calls` of the framework.
        pipe: To its chaos.
        seed: Of its questions.
        tally: Everybody's.
        timeout: Seconds for an answer.
    """

    def __init__(self, name, calls, pipe, *, seed, tally, timeout):
        self.name = name
        self.since = None
        self._made = calls
        self._pipe = pipe
        self._rng = random.Random(f"{seed} {name}")
        self._serial = count()
        self._tally = tally
        self._settings = {
            "base_url": pipe.recv(),
            "api_key": name,
            "timeout": timeout,
        }

    @property
    def hangs(self):
        """Whether the call that it makes is taking too long."""
        since = self.since
        return since is not None and time.monotonic() - since > HANG

    def shocks(self):
        """Return what hit everybody, and how often."""
        return self._tell("shocks")

    def run(self, go_on):
        """Ask, on this thread, as long as `go_on` of the number of calls says so."""
        calls = self._made(self._settings, _BATCH)
        for done in count():
            if not go_on(done):
                break
            asked = self._next()
            self._tell(None)
            outcome = self._outcome(calls, asked)
            self._judge(asked, outcome, self._tell(asked.secrets))
        calls.close()

    async def arun(self, go_on):
        """Ask, as a task of this loop."""
        calls = self._made(self._settings, _BATCH)
        for done in count():
            if not go_on(done):
                break
            asked = self._next()
            await asyncio.to_thread(self._tell, None)
            outcome = await self._aoutcome(calls, asked)
            report = await asyncio.to_thread(self._tell, asked.secrets)
            self._judge(asked, outcome, report)
        await calls.aclose()

    def _next(self):
        name = f"{self.name}.{next(self._serial)}"
        return question(self._rng.choice(KINDS), self._rng, name)

    def _tell(self, what):
        self._pipe.send(what)
        return self._pipe.recv()

    def _judge(self, asked, outcome, report):
        self._tally.add(self.name, asked.kind, outcome, report)

    @contextlib.contextmanager
    def _watched(self):
        self.since = time.monotonic()
        yield
        self.since = None

    def _outcome(self, calls, asked):
        early = self._rng.random() < _LEFT_EARLY
        said = []
        try:
            with self._watched():
                if asked.kind != "stream":
                    return _compared(asked, getattr(calls, asked.kind)(asked.ask))
                with contextlib.closing(calls.stream(asked.ask)) as pieces:
                    for piece in pieces:
                        said.append(piece)
                        if early and piece:
                            return _part(asked, said, ("left", ""))
                return _compared(asked, "".join(said))
        except Exception as error:
            return _part(asked, said, _kind_of(error))

    async def _aoutcome(self, calls, asked):
        patience = None
        if self._rng.random() < _LEFT_EARLY:
            patience = self._rng.uniform(0, _PATIENCE)
        said = []
        try:
            with self._watched():
                async with asyncio.timeout(patience):
                    if asked.kind != "stream":
                        made = getattr(calls, f"a{asked.kind}")(asked.ask)
                        return _compared(asked, await made)
                    async for piece in calls.astream(asked.ask):
                        said.append(piece)
                return _compared(asked, "".join(said))
        except TimeoutError as error:
            return _part(
                asked, said, _kind_of(error) if patience is None else ("left", "")
            )
        except Exception as error:
            return _part(asked, said, _kind_of(error))


def _compared(asked, answer):
    if asked.kind == "agent":
        return ("right", "") if asked.right in answer else ("wrong", answer)
    return ("right", "") if answer == asked.right else ("wrong", str(answer)[:200])


def _part(asked, said, outcome):
    """What was said before an end must be the beginning of what is right."""
    text = "".join(said)
    return outcome if not said or asked.right.startswith(text) else ("wrong", text)


def _kind_of(error):
    if isinstance(error, ConfidentialError):
        return "refused", type(error).__name__
    return "not ours", f"{type(error).__name__}: {error}"[:500]
