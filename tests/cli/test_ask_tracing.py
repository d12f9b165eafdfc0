"""`atoma ask` is traced by nothing, whatever the environment and the process say."""

import pytest
from documents import QUESTION
from llama_index.core import MockEmbedding, Settings, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.schema import TextNode
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span_handlers import BaseSpanHandler
from pydantic import Field


def test_nothing_is_traced_whatever_the_environment_says(
    network, folder, start, make_atoma, framework
):
    langsmith = make_atoma()
    process = start(
        "atoma_cli",
        "ask",
        "--framework",
        framework,
        folder,
        QUESTION,
        LANGSMITH_TRACING="true",
        LANGSMITH_API_KEY="key",
        LANGSMITH_ENDPOINT=langsmith.base_url,
    )
    out, err = process.communicate(timeout=120)

    assert process.returncode == 0, err
    assert "fourth of May" in out
    assert langsmith.tap.sent == b""


class Ears(BaseEventHandler):
    heard: list = Field(default_factory=list)

    def handle(self, event, **kwargs):
        self.heard.append(event)


class Spans(BaseSpanHandler):
    heard: list = Field(default_factory=list)

    def new_span(self, id_, bound_args, **kwargs):
        self.heard.append(bound_args)

    prepare_to_exit_span = prepare_to_drop_span = new_span


class LegacyEars(BaseCallbackHandler):
    def __init__(self):
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self.heard = []

    def on_event_start(self, event_type, payload=None, **kwargs):
        self.heard.append(payload)

    on_event_end = on_event_start

    def start_trace(self, trace_id=None):
        pass

    def end_trace(self, trace_id=None, trace_map=None):
        pass


@pytest.fixture(params=["", "llama_index.core.base.base_retriever", "global", "own"])
def heard(request, monkeypatch):
    """What handlers hear: of the root, of a dispatcher, the global one, a manager's."""
    if request.param in ("global", "own"):
        legacy = LegacyEars()
        if request.param == "global":
            monkeypatch.setattr("llama_index.core.global_handler", legacy)
            monkeypatch.setattr(Settings, "_callback_manager", None)
        else:
            monkeypatch.setattr(
                Settings, "_callback_manager", CallbackManager([legacy])
            )
        yield legacy.heard
        return
    dispatcher = get_dispatcher(request.param) if request.param else get_dispatcher()
    kept = [*dispatcher.event_handlers], [*dispatcher.span_handlers]
    ears, spans = Ears(), Spans()
    dispatcher.add_event_handler(ears)
    dispatcher.add_span_handler(spans)
    spans.heard = ears.heard
    yield ears.heard
    assert ears in dispatcher.event_handlers, "it was not put back"
    dispatcher.event_handlers, dispatcher.span_handlers = kept


def test_handlers_of_llama_index_hear_nothing(atoma_command, folder, heard):
    """Such as `opentelemetry-instrument` puts into any Python process."""
    done = atoma_command("ask", folder, QUESTION, "--framework", "llama-index")
    assert done.exit_code == 0, done.stderr
    assert heard == []


def test_such_handlers_do_hear_what_a_retriever_does(heard):
    """Or the test above could not fail."""
    index = VectorStoreIndex(
        [TextNode(text="A text.", embedding=[1.0, 0.0])],
        embed_model=MockEmbedding(embed_dim=2),
    )
    index.as_retriever().retrieve("a question")
    assert heard


def test_no_default_of_llama_index_is_ever_made(atoma_command, folder, monkeypatch):
    """They are models of OpenAI, and a tokenizer that may be downloaded."""
    defaults = ("_llm", "_embed_model", "_tokenizer", "_node_parser")
    for name in defaults:
        monkeypatch.setattr(Settings, name, None)

    done = atoma_command("ask", folder, QUESTION, "--framework", "llama-index")

    assert done.exit_code == 0, done.stderr
    assert [name for name in defaults if getattr(Settings, name) is not None] == []
