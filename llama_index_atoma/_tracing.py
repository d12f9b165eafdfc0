"""Where LlamaIndex would write plaintext, and what to do about it.

Sealing protects what crosses the network to a node. Handlers read the same messages
before they are sealed, and after they are opened.

Not covered, because they cannot be told from the application itself: callback handlers
that it has written and passed on, stores, memories and caches, and logging.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import llama_index.core
from llama_index.core.callbacks.simple_llm_handler import SimpleLLMHandler
from llama_index.core.settings import Settings
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import NullEventHandler
from llama_index_instrumentation.span_handlers import (
    NullSpanHandler,
    SimpleSpanHandler,
)

__all__ = [
    "PlaintextEgressError",
    "PlaintextEgressWarning",
    "Sink",
    "TracingPolicy",
    "assert_no_plaintext_egress",
    "guard",
]

TracingPolicy: TypeAlias = Literal["warn", "refuse", "suppress", "allow"]

_DISPATCHERS = (
    "llama_index_atoma.llms",
    "llama_index_atoma.embeddings",
    "llama_index_atoma._structured",
    "llama_index.core.llms.callbacks",
    "llama_index.core.llms.llm",
    "llama_index.core.base.embeddings.base",
)
"""Those through which a model's own events and spans go."""

_HARMLESS = (NullEventHandler, NullSpanHandler, SimpleSpanHandler)
"""The last keeps names and times, in memory."""

_VENDORS = {
    "agentops": "agentops",
    "langfuse": "langfuse",
    "llama_index.observability.otel": "opentelemetry",
    "openinference": "openinference",
    "opentelemetry": "opentelemetry",
    "phoenix": "openinference",
    "traceloop": "opentelemetry",
}
"""Names of sinks, by the package that a handler comes from."""

_ALL = "prompts, answers, documents and vectors"
_SUPPRESS = (
    "or choose tracing_policy='suppress'; what is around the model is traced by itself"
)


class PlaintextEgressError(Exception):
    """LlamaIndex is set up to write plaintext somewhere else; nothing was sent."""


class PlaintextEgressWarning(UserWarning):
    """LlamaIndex is set up to write plaintext somewhere else than to the node."""


@dataclass(frozen=True, slots=True)
class Sink:
    """A place that receives plaintext.

    Attributes:
        name: A short name for it, for `ignore=`.
        gets: What it receives.
        switch: How to turn it off.
    """

    name: str
    gets: str
    switch: str

    def __str__(self) -> str:
        return f"{self.name} receives {self.gets}. To turn it off: {self.switch}."


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
    if policy == "allow":
        return False
    sinks = _sinks(handlers)
    if policy == "suppress":
        return bool(sinks)
    for sink in sinks:
        if policy == "refuse":
            raise PlaintextEgressError(f"Refused, nothing was sent: {sink}")
        # Python shows one text once a place: once per process and sink.
        warnings.warn(str(sink), PlaintextEgressWarning, stacklevel=1)
    return False


def assert_no_plaintext_egress(*, ignore: Collection[str] = ()) -> list[Sink]:
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
    sinks = _sinks(manager.handlers if manager else ())
    if found := [sink for sink in sinks if sink.name not in ignore]:
        raise PlaintextEgressError(" ".join(map(str, found)))
    return sinks


def _sinks(handlers: Iterable[Any]) -> list[Sink]:
    found = [_instrument(handler) for handler in _instrumentation()]
    if (shared := llama_index.core.global_handler) is not None:
        found.append(_global(shared))
    found += [
        sink
        for handler in handlers
        if handler is not shared and (sink := _callback(handler)) is not None
    ]
    return list(dict.fromkeys(found))


def _instrumentation() -> Iterator[Any]:
    """Yield the handlers of the events and spans that a model of ours emits."""
    seen: set[str] = set()
    for name in _DISPATCHERS:
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
    return Sink(
        _vendor(handler) or "instrumentation",
        f"{_ALL}, through {_kind(handler)}",
        f"take it from the handlers of get_dispatcher(), {_SUPPRESS}",
    )


def _global(handler: Any) -> Sink:
    simple = isinstance(handler, SimpleLLMHandler)
    return Sink(
        "simple-handler" if simple else "global-handler",
        "prompts and answers, and prints them on the console"
        if simple
        else f"{_ALL}, through {_kind(handler)}",
        f"llama_index.core.global_handler = None, {_SUPPRESS}",
    )


def _callback(handler: Any) -> Sink | None:
    """What an application has written itself is not seen: passing it is consent."""
    if isinstance(handler, SimpleLLMHandler):
        gets = "prompts and answers, and prints them on the console"
        name = "simple-handler"
    elif (vendor := _vendor(handler)) is not None:
        name, gets = vendor, f"{_ALL}, through {_kind(handler)}"
    elif type(handler).__module__.startswith("llama_index.callbacks."):
        name, gets = "callback-handler", f"{_ALL}, through {_kind(handler)}"
    else:
        return None
    return Sink(name, gets, f"take it from the callback_manager, {_SUPPRESS}")


def _vendor(handler: Any) -> str | None:
    module = f"{type(handler).__module__}."
    return next(
        (name for root, name in _VENDORS.items() if module.startswith(f"{root}.")), None
    )


def _kind(handler: Any) -> str:
    return f"{type(handler).__module__}.{type(handler).__qualname__}"
