"""Runs a call of each kind under a fault, and says how it ended."""

import asyncio
import re
import threading
import warnings
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from unittest import mock

import httpcore
from fault_calls import CANARY, KINDS, WAYS

from atoma_confidential import (
    ConfidentialityWarning,
    Exposure,
    _http,
    errors,
    retry,
)
from atoma_local import FaultSwitch, LocalAtoma

RIGHT, WRONG = "the answer", "a wrong answer"
LOCK = "/v1/nodes/lock"
SEALED = "/v1/confidential/"
# Limits that a stalled call meets; all others have those of the product.
SHORT = {"timeout": 2.0, "stream_idle_timeout": 1.0}
STALLS = {
    *("post-silent", "stream-stalled:3", "stream-silent:3", "request-stalled:100"),
    *("reply-stalled:0", "reply-stalled:120", "reply-stalled:400", "reply-dripped:2"),
}
# A body above the default is one of 64 MiB.
LOW = {"max_reply_bytes": 1 << 20}
LIMITS = dict.fromkeys(STALLS, SHORT) | {"reply-huge:2": LOW}
# What the error says where a limit was met, and not something else.
EXCEEDED = {
    "lock-huge:2": "exceeds 1048576 bytes",
    "reply-huge:2": "exceeds max_reply_bytes, 1048576 bytes",
    "stream-huge:9": "exceeds 8388608 bytes",
}
SECRETS = [CANARY, "Silvaner", "Paris", "Bearer", "api_key"]
FIRST_TOKEN = "The"
# These are about stacks that were bought a moment ago.
BUYS = {"stack-unindexed", "stack-unknown"}
# A node has a former key only once it was rotated.
ROTATED = {"lock-key-stale"}
# What may only show in the call after.
TWICE = {"key-rotated-after"}
PATIENCE = 120.0
"""Seconds after which a call is said to hang; far above what any may take."""


@dataclass(frozen=True)
class End:
    """How a call ended.

    Attributes:
        end: `RIGHT`, `WRONG`, or the name of the error's class.
        locks: How many were asked for.
        requests: How many others were made, canaries among them.
        repeats: How often an attempt was made again.
        left: What had left the process.
        warned: Whether the user was warned.
    """

    end: str
    locks: int
    requests: int
    repeats: int
    left: str
    warned: bool = False


@dataclass(frozen=True)
class Run:
    """One call: its end, and what must hold whatever that is.

    Attributes:
        value: What it returned; None if it raised.
        pieces: What a stream had handed out.
        leaked: Secrets in what its error shows.
        busy: Connections in use when it had ended.
        hit: Whether the fault hit a request.
        arrived: The paths of all requests of which something was seen on the wire.
    """

    end: End
    value: object
    pieces: str
    error: BaseException | None
    leaked: list[str]
    busy: int
    hit: bool
    arrived: list[str]

    @property
    def told_truly(self):
        """Whether what is said to have left is what was seen on the wire."""
        content = [path for path in self.arrived if path != LOCK]
        match Exposure[self.end.left]:
            case Exposure.NOTHING:
                return self.arrived == []
            case Exposure.LOCK:
                return LOCK in self.arrived and content == []
            case Exposure.SEALED:
                return content != [] and all(p.startswith(SEALED) for p in content)
            case Exposure.PLAIN:
                return content != [] and not any(SEALED in path for path in content)


class _Clients:
    """What the clients of this thread have sent, and which connections they have."""

    def __init__(self):
        self._pools = defaultdict(list)
        self._sent = defaultdict(list)

    @contextmanager
    def noted(self):
        request, sent = _http.Limits.request, self._sent

        def noting(limits, send, base_url):
            sent[threading.current_thread()].append(send.path)
            return request(limits, send, base_url)

        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(_http.Limits, "request", noting))
            for kind in (httpcore.ConnectionPool, httpcore.AsyncConnectionPool):
                stack.enter_context(mock.patch.object(kind, "__init__", self._of(kind)))
            yield

    def _of(self, kind):
        init, pools = kind.__init__, self._pools

        def noting(pool, *args, **kwargs):
            pools[threading.current_thread()].append(pool)
            init(pool, *args, **kwargs)

        return noting

    @property
    def sent(self):
        """The paths of all requests that were begun."""
        return self._sent[threading.current_thread()]

    @property
    def busy(self):
        """How many of them are neither free for the next request nor closed."""
        return sum(
            not (connection.is_idle() or connection.is_closed())
            for pool in self._pools[threading.current_thread()]
            for connection in pool.connections
        )


@contextmanager
def _warnings_of_threads():
    """Note who is warned by us; any other warning is an error."""
    noted = set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("always", category=ConfidentialityWarning)
        warnings.showwarning = lambda *_, **__: noted.add(threading.current_thread())
        yield noted


@contextmanager
def no_waits():
    """Let repetitions be counted, by thread, and what is due before not waited for."""
    real, repeated = retry.Budget.delay, Counter()

    def delay(self, failure):
        if real(self, failure) is None:
            return None
        repeated[threading.current_thread()] += 1
        return 0

    with mock.patch.object(retry.Budget, "delay", delay):
        yield repeated


def measure(fault, kind, *, on="", once=False, ways=WAYS):
    """Make a call in each way, side by side, each before a local Atoma of its own.

    Args:
        fault: Switched on for the call; empty for none.
        kind: Of `KINDS`.
        on: What the path of the requests that are hit begins with.
        once: Whether only one request is hit.
        ways: Of `WAYS`.
    """
    runs, clients = {}, _Clients()

    def run(way):
        with LocalAtoma(wiretap=True, owns_stack=fault not in BUYS) as atoma:
            arm = _armed(atoma, fault, on=on, once=once)
            watch = _Watch(clients, arm, atoma.tap, again=fault in TWICE)
            value, error, left = _call(way, kind, atoma, watch, fault)
            me = threading.current_thread()
            end = End(
                RIGHT if error is None else type(error).__name__,
                watch.paths.count(LOCK),
                sum(path != LOCK for path in watch.paths),
                repeated[me],
                left.name,
                warned=me in noted,
            )
            leaked = _secrets_in(error, atoma)
            pieces, hit = "".join(watch.pieces), not FaultSwitch(atoma).idle
            runs[way] = Run(
                end, value, pieces, error, leaked, watch.busy, hit, watch.arrived
            )

    with (
        no_waits() as repeated,
        clients.noted(),
        _warnings_of_threads() as noted,
    ):
        threads = [threading.Thread(target=run, args=[w], daemon=True) for w in ways]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    hanging = [way.__name__ for way in ways if way not in runs]
    assert not hanging, f"{fault} hangs in {hanging}"
    return [runs[way] for way in ways]


class _Watch:
    """Switches the fault on when a call begins, and looks around when it ends.

    Attributes:
        again: Whether the call is made a second time; that one is not counted.
        paths: Of all requests that were begun.
        arrived: Of those of which something was seen on the wire.
    """

    def __init__(self, clients, arm, tap, *, again):
        self._clients = clients
        self._arm = arm
        self._tap = tap
        self._before, self._seen = 0, {}
        self.again = again
        self.pieces = []
        self.busy = 0
        self.paths, self.arrived = None, []

    def begin(self):
        self._before = len(self._clients.sent)
        self._seen = {id(c): len(c.sent) for c in self._tap.connections}
        self._arm()

    def handed_out(self, text):
        self.pieces.append(text)

    def end(self):
        self.busy = self._clients.busy
        if self.paths is not None:
            return
        self.paths = self._clients.sent[self._before :]
        self.arrived = [
            path.decode()
            for one in self._tap.connections
            for path in _REQUEST.findall(one.sent[self._seen.get(id(one), 0) :])
        ]


_REQUEST = re.compile(rb"(?:POST|GET) (\S+) HTTP/1.1\r\n")


def _armed(atoma, fault, *, on, once):
    switch = FaultSwitch(atoma)

    def arm():
        if fault in ROTATED:
            atoma.rotate_key()
        if fault:
            (switch.once if once else switch.always)(fault, on=on)

    return arm


def _call(way, kind, atoma, watch, fault):
    """Return what a call returned or raised, and what had left the process."""

    def connect(model, /, **fields):
        return model(api_key=atoma.api_key, base_url=atoma.base_url, **fields)

    limits = LIMITS.get(fault, {})
    try:
        value, sealed = asyncio.run(KINDS[kind](way(connect), limits, watch))
    except Exception as error:  # noqa: BLE001  whatever it is, it is an end
        return None, error, getattr(error, "exposure", Exposure.NOTHING)
    return value, None, Exposure.of_request(sealed=sealed)


def _secrets_in(error, atoma):
    """What of the content and the keys an error shows."""
    if error is None:
        return []
    shown = f"{error} {error!r} {vars(error)}"
    keys = [atoma.api_key, atoma.node_public_key.hex()]
    return [secret for secret in [*SECRETS, *keys] if secret in shown]


def judged(run, fault, right):
    """Return how a call ended, where an answer may also be a wrong one.

    Args:
        run: The call.
        fault: What it was made under.
        right: What the same call says without a fault.
    """
    if run.error is None and run.value not in (right, _edited(fault, right)):
        return replace(run.end, end=WRONG)
    return run.end


def is_partial(run, fault, right):
    """Whether what a stream handed out is not the beginning of its answer."""
    if not run.pieces:
        return False
    whole = right[0], _edited(fault, right)[0]
    return not any(text.startswith(run.pieces) for text in whole)


def _edited(fault, right):
    """What the engine says under a fault that changes that."""
    if fault == "stream-huge:1":
        text, calls = right
        return "x" * (1 << 20) + text.removeprefix(FIRST_TOKEN), calls
    if fault == "tool-calls-and-text":
        return "I look.", right[1]
    return right


def is_ours(error):
    """Whether an error is of the core's tree, by class and by name."""
    known = getattr(errors, type(error).__name__, None)
    return isinstance(error, errors.ConfidentialError) and known is not None
