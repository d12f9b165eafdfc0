"""The other process: a local Atoma that misbehaves, and what its wire tells.

Faults live here, and not with the workers, so that the memory and the descriptors of
the workers' process are those of the client. Each worker has a token, a relay and a
queue of faults of its own: so it is known which call was hit by what. What concerns
all, a new key and the end of all locks, comes at any moment.
"""

import random
import threading
import time
from collections import Counter
from typing import NamedTuple

from atoma_local import FaultRelay, Faults, LocalAtoma, list_faults
from atoma_local.network_faults import NETWORK_FAULTS


class Report(NamedTuple):
    """What became of a call, on the other side of the wire.

    Attributes:
        hits: The faults that it met.
        shocked: Whether the key or all locks changed meanwhile.
        found: Where something could be read that nobody may read.
        violations: What a strict Atoma found wrong with requests.
        requests: How many it took.
    """

    hits: list[str]
    shocked: bool
    found: list[str]
    violations: list[str]
    requests: int


LEFT_OUT = {
    # An event less or elsewhere: no fault of a network below TLS, but the work of
    # somebody who rewrites the stream; live mode cannot tell on this wire.
    "event-dropped",
    "event-reordered",
    "stream-dropped",
    "stream-reordered",
    # The engine says something else, well sealed: that is its answer.
    "stream-huge",
    "embeddings-dimensions",  # nobody has asked for a length
}
ROWS = sorted(
    name
    for row in list_faults()
    if (name := row.name.removesuffix(":N")) not in LEFT_OUT
)
_NUMBERED = {row.name[:-2] for row in list_faults() if row.name.endswith(":N")}
_NUMBERS = {  # otherwise 0 to 8: events, or seconds to wait
    "request-cut": (0, 2000),
    "request-reset": (0, 2000),
    "request-stalled": (0, 2000),
    "request-split": (16, 512),
    "request-dripped": (200, 2000),
    "reply-cut": (0, 3000),
    "reply-reset": (0, 3000),
    "reply-half-closed": (0, 3000),
    "reply-stalled": (0, 3000),
    "reply-split": (16, 512),
    "reply-dripped": (200, 2000),
    "reply-deep": (10, 100_000),
    "reply-huge": (1, 4),
    "answer-deep": (10, 500),
    "stream-deep": (10, 500),
    "stream-resplit": (1, 200),
    "lock-429-retry-after": (0, 1),
    "lock-503-retry-after": (0, 1),
    "post-429-retry-after": (0, 1),
    "post-429-retry-date": (0, 1),
}
_ALL_LOCKS = 600.0  # seconds; longer than any lock is asked for


class PerToken(Faults):
    """Faults of the local Atoma that hit requests with one token only."""

    def __init__(self, tokens):
        super().__init__()
        self.of = {f"Bearer {token}": Faults() for token in tokens}

    def touches(self, stage):
        return any(faults.touches(stage) for faults in self.of.values())

    def apply(self, stage, value, call):
        faults = self.of.get(call.headers.get("authorization", ""))
        return value if faults is None else faults.apply(stage, value, call)


class Shocks:
    """What hits everybody: a key that changes, all locks at their end."""

    def __init__(self):
        self.atoma = None
        self.counts = {"key rotated": 0, "locks expired": 0}
        self._later = 0.0

    def clock(self):
        return time.monotonic() + self._later

    def rotate(self):
        self.counts["key rotated"] += 1
        self.atoma.rotate_key()

    def expire(self):
        self.counts["locks expired"] += 1
        self._later += _ALL_LOCKS

    @property
    def state(self):
        """What is another one after a shock, whoever brought it about."""
        return self.atoma.node_public_key, self._later


class Chaos:
    """What happens to the calls of one worker.

    Args:
        rng: Decides about it.
        relay: The worker's own.
        faults: The worker's own, of the local Atoma.
        shocks: Everybody's.
        atoma: Everybody's.
    """

    def __init__(self, rng, relay, faults, shocks, atoma):
        self._rng = rng
        self._relay = relay
        self._faults = faults
        self._shocks = shocks
        self._atoma = atoma
        self._queued = []
        self._before = 0

    def begin(self):
        """Queue what the next call is to meet."""
        rng = self._rng
        self._before = self._shocks.state
        self._queued = []
        for _ in range(rng.choice((0, 0, 1, 1, 1, 2))):
            self._queue(self._drawn(), rng.choice((0, 0, 1, 2)))
        for shock in (self._shocks.rotate, self._shocks.expire):
            if rng.random() < 0.03:
                threading.Timer(rng.uniform(0, 0.1), shock).start()

    def end(self, secrets):
        """Tell what the call met; search what it left on the wire, and forget it."""
        left = [*self._faults.pending, *self._relay.faults.pending]
        hits = [*(Counter(self._queued) - Counter(left)).elements()]
        self._faults.clear()
        self._relay.faults.clear()
        found = [f"{f.encoding}, {f.where}" for f in self._relay.find(secrets)]
        if "reply-clear" in hits:  # what a node says in clear, no client can hide
            found = [one for one in found if "sent" in one]
        requests = len(self._relay.requests)
        self._relay.clear()
        violations = [*self._atoma.violations]
        for kept in (self._atoma.opened, self._atoma.exchanges):
            kept.clear()
        shocked = self._shocks.state != self._before
        return Report(hits, shocked, found, violations, requests)

    def _drawn(self):
        row = self._rng.choice(ROWS)
        if row not in _NUMBERED:
            return row
        return f"{row}:{self._rng.randint(*_NUMBERS.get(row, (0, 8)))}"

    def _queue(self, fault, skip):
        row = fault.partition(":")[0]
        if row == "connection-refused":  # cannot be counted
            self._relay.faults.always(fault)
        elif row in NETWORK_FAULTS:
            self._relay.faults.once(fault, skip=skip)
        else:
            self._faults.once(fault, skip=skip)
        self._queued.append(fault)


def serve(seed, pipes):
    """Serve until every pipe is closed.

    Args:
        seed: Of all that is left to chance.
        pipes: By worker's name. Over each come `None`, before a call, and the texts
            that nobody may read, after it; a `Report` is the answer.
    """
    shocks = Shocks()
    faults = PerToken(pipes)
    with LocalAtoma(faults=faults, tokens=pipes, clock=shocks.clock) as atoma:
        shocks.atoma = atoma
        relays = {name: FaultRelay(atoma.base_url) for name in pipes}
        threads = []
        for name, relay in relays.items():
            relay.__enter__()
            rng = random.Random(f"{seed} chaos {name}")
            mine = faults.of[f"Bearer {name}"]
            chaos = Chaos(rng, relay, mine, shocks, atoma)
            args = (pipes[name], relay.base_url, chaos, shocks)
            threads.append(threading.Thread(target=_attend, args=args))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for relay in relays.values():
            relay.__exit__(None, None, None)


def _attend(pipe, url, chaos, shocks):
    pipe.send(url)
    try:
        while True:
            match pipe.recv():
                case None:
                    chaos.begin()
                    pipe.send(None)
                case "shocks":
                    pipe.send(dict(shocks.counts))
                case secrets:
                    pipe.send(chaos.end(secrets))
    except EOFError:
        pipe.close()
