"""LlamaIndex's models before a local Atoma, and ears.

No test of this folder may reach another machine: that is checked for each of them.
"""

import asyncio
import gc
import socket
import warnings

import llama_index.core
import pytest
from endless import Endless
from llama_embeds import ALL, BATCHES
from llama_endpoints import ENDPOINTS
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.settings import Settings
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span_handlers import BaseSpanHandler
from pydantic import Field
from scripted import CHAT, EMBEDDINGS, maker

from llama_index_atoma import AtomaChatModel, AtomaEmbeddings


def pytest_runtest_logfinish(nodeid, location):
    """Collect what core never closes: memories' databases, and loops of its own.

    No other test is to hear of that.
    """
    if any(name in nodeid for name in ("test_llama_rag", "test_llama_agents")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


class LegacyEars(BaseCallbackHandler):
    """Keeps every callback event."""

    def __init__(self):
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self.starts = []
        self.ends = []

    def on_event_start(
        self, event_type, payload=None, event_id="", parent_id="", **kwargs
    ):
        self.starts.append((event_type.value, event_id, payload))
        return event_id

    def on_event_end(self, event_type, payload=None, event_id="", **kwargs):
        self.ends.append((event_type.value, event_id, payload))

    def start_trace(self, trace_id=None):
        pass

    def end_trace(self, trace_id=None, trace_map=None):
        pass

    def of(self, kind):
        return [event for event in self.starts if event[0] == kind]

    @property
    def balanced(self):
        begun = sorted(event[1] for event in self.starts if event[0] != "exception")
        return begun == sorted(event[1] for event in self.ends)


class EventEars(BaseEventHandler):
    """Keeps every instrumentation event."""

    events: list = Field(default_factory=list)

    def handle(self, event, **kwargs):
        self.events.append(event)

    @property
    def names(self):
        return [type(event).__name__ for event in self.events]


class SpanEars(BaseSpanHandler):
    """Keeps what spans are told, and what their instances show of themselves."""

    told: list = Field(default_factory=list)

    def new_span(self, id_, bound_args, instance=None, **kwargs):
        self.told.append(("enter", id_, repr(bound_args), repr(instance)))

    def prepare_to_exit_span(self, id_, bound_args, instance=None, **kwargs):
        self.told.append(("exit", id_, repr(kwargs), repr(instance)))

    def prepare_to_drop_span(self, id_, bound_args, instance=None, **kwargs):
        self.told.append(("drop", id_, repr(kwargs), repr(instance)))


@pytest.fixture
def make_chat():
    return maker(AtomaChatModel, model=CHAT)


@pytest.fixture
def make_embeddings():
    return maker(AtomaEmbeddings, model_name=EMBEDDINGS)


@pytest.fixture
def endless():
    """An engine that never comes to an end."""
    return Endless()


@pytest.fixture
def endless_atoma(make_atoma, endless):
    return make_atoma(backend=endless)


@pytest.fixture
def live(endless_atoma, make_chat):
    """A model before the endless engine, streaming live."""
    return make_chat(endless_atoma, stream_mode="live")


@pytest.fixture
def no_collector():
    """What hangs up is the code, and not a cycle that was found."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(params=ENDPOINTS, ids=lambda call: call.__name__)
def endpoint(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def streamed(request, scripted_chat, engine, canary):
    """Give the items of a stream of some chunks."""
    asked = [ChatMessage(role="user", content=canary)]

    async def collect(kwargs):
        return [
            item async for item in await scripted_chat.astream_chat(asked, **kwargs)
        ]

    def run(*chunks, **kwargs):
        engine.chunks = chunks
        if request.param == "async":
            return asyncio.run(collect(kwargs))
        return list(scripted_chat.stream_chat(asked, **kwargs))

    return run


@pytest.fixture(params=ALL, ids=lambda call: call.__name__)
def embed(request):
    return request.param


@pytest.fixture(params=BATCHES, ids=lambda call: call.__name__)
def embed_batch(request):
    return request.param


@pytest.fixture
def legacy():
    return LegacyEars()


@pytest.fixture
def heard_by(legacy):
    """Let a model's callbacks be heard by `legacy`."""

    def attach(model):
        model.callback_manager = CallbackManager([legacy])
        return model

    return attach


@pytest.fixture
def events():
    """Hear all instrumentation events; such a handler is a sink, so allow it."""
    ears = EventEars()
    get_dispatcher().add_event_handler(ears)
    return ears


@pytest.fixture
def spans():
    ears = SpanEars()
    get_dispatcher().add_span_handler(ears)
    return ears


@pytest.fixture(autouse=True)
def _globals_as_they_were():
    root = get_dispatcher()
    kept = list(root.event_handlers), list(root.span_handlers), vars(Settings).copy()
    yield
    root.event_handlers, root.span_handlers = kept[0], kept[1]
    vars(Settings).update(kept[2])
    llama_index.core.global_handler = None


@pytest.fixture(autouse=True)
def egress(monkeypatch):
    """Hosts other than this machine that were looked up or connected to: none."""
    tried = []
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def is_local(host):
        return host in (None, "", "localhost", "::1") or str(host).startswith("127.")

    def checked_look_up(host, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if not is_local(name):
            tried.append(name)
            raise socket.gaierror(f"{name} is not this machine")
        return look_up(host, *args, **kwargs)

    def checked_connect(self, address):
        if isinstance(address, tuple) and not is_local(address[0]):
            tried.append(address[0])
            raise OSError(f"{address[0]} is not this machine")
        return connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", checked_look_up)
    monkeypatch.setattr(socket.socket, "connect", checked_connect)
    yield tried
    assert tried == []
