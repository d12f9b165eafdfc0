"""Where LlamaIndex would write plaintext.

What to do about it is in `atoma_confidential.egress`.

Not covered, because they cannot be told from the application itself: callback handlers
that it has written and passed on, stores, memories and caches, and logging.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import llama_index.core
from llama_index.core.callbacks import LlamaDebugHandler, TokenCountingHandler
from llama_index.core.callbacks.simple_llm_handler import SimpleLLMHandler
from llama_index.core.settings import Settings
from llama_index_instrumentation import get_dispatcher, root_manager
from llama_index_instrumentation.event_handlers import NullEventHandler
from llama_index_instrumentation.span_handlers import (
    NullSpanHandler,
    SimpleSpanHandler,
)

from atoma_confidential.egress import (
    CONSOLE,
    Sink,
    TracingPolicy,
    act_on,
    assert_none,
    handler_sink,
    vendor_of,
)

__all__ = ["TracingPolicy", "assert_no_plaintext_egress", "guard"]

_DISPATCHERS = (
    "llama_index_atoma.llms",
    "llama_index_atoma.embeddings",
    "llama_index_atoma._batches",
    "llama_index_atoma._structured",
    "llama_index_atoma._structured_llm",
    "llama_index.core.llms.callbacks",
    "llama_index.core.llms.function_calling",
    "llama_index.core.llms.llm",
    "llama_index.core.llms.structured_llm",
    "llama_index.core.base.embeddings.base",
)
"""Those through which a model's own events and spans go."""

_HARMLESS = (NullEventHandler, NullSpanHandler, SimpleSpanHandler)
"""The last keeps names and times, in memory."""

_IN_MEMORY = (LlamaDebugHandler, TokenCountingHandler)
"""What these keep, prompts among it, they write nowhere."""


def guard(policy: TracingPolicy, handlers: Iterable[Any] = ()) -> bool:
    """Act on the plaintext sinks that are on right now.

    Args:
        policy: What to do about them.
        handlers: The model's own callback handlers.

    Returns:
        Whether the model is to emit nothing, neither events nor spans.

    Raises:
        PlaintextEgressError: The policy is `refuse` and there is a sink.
    """
    return act_on(policy, _sinks(_heard_by(_DISPATCHERS), handlers))


def assert_no_plaintext_egress(*, ignore: str | Collection[str] = ()) -> list[Sink]:
    """Check at start-up, or in a test, that no known sink of plaintext is on.

    Args:
        ignore: Names of sinks that are acceptable, such as `opentelemetry`.

    Returns:
        The acceptable sinks that are on.

    Raises:
        PlaintextEgressError: Another sink is on.
    """
    # The getter would make a manager; nothing is changed by looking.
    manager = Settings._callback_manager  # noqa: SLF001
    heard_by = _heard_by((*_DISPATCHERS, *root_manager.dispatchers))
    return assert_none(
        _sinks(heard_by, manager.handlers if manager else ()), ignore=ignore
    )


def _sinks(instruments: Iterable[Any], handlers: Iterable[Any]) -> Iterator[Sink]:
    yield from map(_instrument, instruments)
    shared = llama_index.core.global_handler
    if shared is not None and type(shared) not in _IN_MEMORY:
        yield _global(shared)
    for handler in handlers:
        if handler is not shared and (sink := _callback(handler)) is not None:
            yield sink


def _heard_by(dispatchers: Iterable[str]) -> Iterator[Any]:
    """Yield the handlers of the events and spans that go through dispatchers."""
    seen: set[str] = set()
    for name in dispatchers:
        dispatcher = get_dispatcher(name)
        while dispatcher.name not in seen:
            seen.add(dispatcher.name)
            for handler in (*dispatcher.event_handlers, *dispatcher.span_handlers):
                if type(handler) not in _HARMLESS:
                    yield handler
            if not dispatcher.propagate:
                break
            dispatcher = dispatcher.parent


def _instrument(handler: Any) -> Sink:
    return handler_sink(
        handler,
        "instrumentation",
        switch="take it from the handlers of get_dispatcher()",
        suppressible=True,
    )


def _global(handler: Any) -> Sink:
    switch = "llama_index.core.global_handler = None"
    if isinstance(handler, SimpleLLMHandler):
        return _simple(switch)
    return handler_sink(handler, "global-handler", switch=switch, suppressible=True)


def _callback(handler: Any) -> Sink | None:
    """What an application has written itself is not seen: passing it is consent."""
    switch = "take it from the callback_manager"
    if isinstance(handler, SimpleLLMHandler):
        return _simple(switch)
    integration = type(handler).__module__.startswith("llama_index.callbacks.")
    if vendor_of(handler) is None and not integration:
        return None
    return handler_sink(handler, "callback-handler", switch=switch, suppressible=True)


def _simple(switch: str) -> Sink:
    return Sink("simple-handler", CONSOLE, switch, suppressible=True)
