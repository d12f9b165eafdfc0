"""A local Atoma behind a wiretap, and checks on everything that crossed it.

Every request that any test sends is recorded here, whether it asked for it or not,
and searched for the canary when the test ends.
"""

import gc
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from scripted import ScriptedEngine

from atoma_confidential import egress
from atoma_local import LocalAtoma, Wiretap, encodings_of

# Use it in prompts, documents and tool results; it must never be seen in clear.
CANARY = "canary-heliotrope-5f1d9c"
_CANARY_PATTERNS = [pattern.data for pattern in encodings_of(CANARY)]
_CLEARED = ("ATOMA_", "LANGSMITH_", "LANGCHAIN_")
# Where tests/interop finds the SDKs.
_KEPT = {"ATOMA_SDK_PYTHON", "ATOMA_OPENAI_PYTHON"}


# Enough to see that something crossed; each is searched for in many encodings.
_SEARCHED = 12
# A shorter text may be part of what travels in clear for good reason.
_SHORTEST = 16


def _texts(body):
    """The texts of messages and inputs, long enough to be told from chance."""
    inputs = body.get("input", [])
    found = [inputs] if isinstance(inputs, str) else list(inputs)
    for message in body.get("messages", ()):
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"text": content}]
        found += [part.get("text") for part in parts]
    return [t for t in found if isinstance(t, str) and len(t) >= _SHORTEST]


@dataclass
class Recorded:
    """Every wiretap and every local Atoma that one test started."""

    taps: list[Wiretap] = field(default_factory=list)
    atomas: list[LocalAtoma] = field(default_factory=list)

    @property
    def exchanges(self):
        return [exchange for atoma in self.atomas for exchange in atoma.exchanges]

    @property
    def said(self):
        """What the sealed requests said, as the node opened them."""
        opened = [one for atoma in self.atomas for one in atoma.opened]
        sealed = [o.body for o in opened if o.path.startswith("/v1/confidential/")]
        texts = {text for body in sealed for text in _texts(body)}
        return sorted(texts, key=len)[-_SEARCHED:]

    @property
    def sealed(self):
        """How many sealed requests reached a proxy."""
        paths = [exchange.path for exchange in self.exchanges]
        return sum(path.startswith("/v1/confidential/") for path in paths)

    @property
    def opened(self):
        return [opened for atoma in self.atomas for opened in atoma.opened]

    def find(self, texts):
        return [finding for tap in self.taps for finding in tap.find(texts)]

    def find_canary(self):
        """Search the wiretaps, and the requests that came around them."""
        findings = self.find([CANARY])
        for exchange in self.exchanges:
            raw = repr(exchange.headers).encode() + exchange.path.encode()
            raw += exchange.body
            findings += [p for p in _CANARY_PATTERNS if p in raw]
        return findings

    def opened_canary(self):
        """Whether the canary was in something the node opened: it was really sent."""
        return any(CANARY in str(opened.body) for opened in self.opened)


_TOTALS = pytest.StashKey[dict[str, int]]()


# The longest, and those that mostly wait: let the others run meanwhile.
_FIRST = [
    "reliability/test_faults.py",
    "soak/test_soak.py",
    "test_packaging.py",
    "benchmarks/test_benchmarks.py",
]


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Let no collection of a test look through what all of them import."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_configure(config):
    # What a shell starts in the background ignores Ctrl-C, which some tests send.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[_TOTALS] = {"requests": 0, "sealed": 0, "bytes": 0, "carried": 0}


def pytest_sessionfinish(session):
    gc.unfreeze()  # what hypothesis reports in the end looks for who refers to what
    if hasattr(session.config, "workeroutput"):  # pytest-xdist's
        session.config.workeroutput["wire"] = session.config.stash[_TOTALS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    totals = node.config.stash[_TOTALS]
    # A worker that crashed has said nothing; its tests fail for that.
    for name, count in getattr(node, "workeroutput", {}).get("wire", {}).items():
        totals[name] += count


def pytest_terminal_summary(terminalreporter, config):
    totals = config.stash[_TOTALS]
    if totals["requests"]:
        terminalreporter.write_line(
            "wire: {requests} requests recorded, {sealed} of them sealed, {bytes} "
            "bytes searched; {carried} tests sent the canary".format(**totals)
        )


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(_CLEARED) and name not in _KEPT:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _nothing_warned_of():
    """Let each test be warned of the sinks that another was warned of."""
    yield
    egress._warn_once.cache_clear()


@pytest.fixture
def canary():
    return CANARY


@pytest.fixture(autouse=True)
def recorded(request, monkeypatch):
    """Record every byte this test sends, and find no canary in it.

    Tests of plain mode say so with the marker `clear_text`.
    """
    found = Recorded()
    for kind, into in ((Wiretap, found.taps), (LocalAtoma, found.atomas)):
        monkeypatch.setattr(kind, "__enter__", _noting(kind.__enter__, into))
    yield found

    totals = request.config.stash[_TOTALS]
    totals["requests"] += len(found.exchanges)
    totals["sealed"] += found.sealed
    totals["bytes"] += sum(len(tap.sent) + len(tap.received) for tap in found.taps)
    totals["carried"] += found.opened_canary()
    if request.node.get_closest_marker("clear_text") is None:
        assert found.find_canary() == []
        assert found.find(found.said) == []


def _noting(enter, into):
    def note(self):
        into.append(self)
        return enter(self)

    return note


@pytest.fixture
def telemetry(recorded):
    """OpenTelemetry and logs at DEBUG; nothing that was said may be found in them."""
    from observed import Telemetry  # `make ecosystem` has no OpenTelemetry

    with Telemetry() as telemetry:
        yield telemetry
        keys = [atoma.api_key for atoma in recorded.atomas]
        assert telemetry.find(CANARY, *keys, *recorded.said) == []


@pytest.fixture
def make_atoma():
    """Start a local Atoma with other options; each is behind a wiretap of its own."""
    started = []

    def make(**options):
        atoma = LocalAtoma(wiretap=True, **options)
        atoma.__enter__()
        started.append(atoma)
        return atoma

    yield make
    for atoma in reversed(started):
        atoma.__exit__(None, None, None)


@pytest.fixture
def atoma(make_atoma):
    """A local Atoma behind a wiretap; `atoma.base_url` is the tap's."""
    return make_atoma()


@pytest.fixture
def recorded_atoma(make_atoma):
    """A local Atoma whose attestation record holds the node's key."""
    atoma = make_atoma()
    atoma.evidence = atoma.node_public_key
    return atoma


@pytest.fixture
def engine():
    return ScriptedEngine()


@pytest.fixture
def scripted(make_atoma, engine):
    """A local Atoma whose engine is scripted."""
    return make_atoma(backend=engine)


# What makes the models is of a framework: `make_chat` and `make_embeddings` stand in
# the conftest of each.


@pytest.fixture
def chat(atoma, make_chat):
    return make_chat(atoma)


@pytest.fixture
def embeddings(atoma, make_embeddings):
    return make_embeddings(atoma)


@pytest.fixture
def scripted_chat(scripted, make_chat):
    """A model before the scripted engine, streaming live from the first call."""
    return make_chat(scripted, stream_mode="live")


@pytest.fixture
def no_plaintext(recorded):
    """Register texts; none of them may cross the wire, in any encoding."""
    registered = []

    def register(*texts):
        registered.extend(texts)

    yield register
    if registered:
        # A test may be about what is never sent; but what a node read was sealed.
        assert recorded.sealed or not recorded.opened, "the node was sent clear text"
        assert recorded.find(registered) == []
