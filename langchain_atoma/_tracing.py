"""Where LangChain would write plaintext.

What to do about it is in `atoma_confidential.egress`.

Not covered, because they cannot be enumerated: callback handlers that an application
passes on itself, checkpointers, and instrumentation that replaces LangChain's methods.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any

from atoma_confidential.egress import (
    CONSOLE,
    Sink,
    TracingPolicy,
    act_on,
    assert_none,
    handler_sink,
)

from ._errors import model_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from langchain_core.callbacks import BaseCallbackHandler, Callbacks

__all__ = [
    "TracingPolicy",
    "assert_no_plaintext_egress",
    "guard",
    "untraced",
    "without_tracers",
]


_NOT_CONTENT = frozenset({"_type", "model", "model_name", "user"})
"""Parameters in words that say nothing of what is asked."""


def guard(
    policy: TracingPolicy, *, cache: Any = False, bound: Mapping[str, Any] | None = None
) -> None:
    """Act on the plaintext sinks that are on right now.

    Args:
        policy: What to do about them. `suppress` leaves a LangSmith sink to `untraced`.
        cache: The model's `cache` field; False where there is nothing to cache.
        bound: The parameters of a call, which are traced even where its messages are
            hidden; None where no call is meant.

    Raises:
        PlaintextEgressError: The policy is `refuse` and there is a sink.
    """
    with model_errors():
        act_on(policy, _sinks(cache, bound or {}))


def assert_no_plaintext_egress(*, ignore: str | Collection[str] = ()) -> list[Sink]:
    """Check at start-up, or in a test, that no known sink of plaintext is on.

    Args:
        ignore: Names of sinks that are acceptable, such as `langsmith`.

    Returns:
        The acceptable sinks that are on.

    Raises:
        PlaintextEgressError: Another sink is on.
    """
    with model_errors():
        return assert_none(_sinks(None, {}), ignore=ignore)


@contextmanager
def untraced() -> Iterator[None]:
    """Keep runs that start in this block from LangSmith.

    Runs that are already under way around it, such as a chain's, are traced on.
    """
    from langchain_core.tracers.context import tracing_v2_callback_var  # noqa: PLC0415
    from langsmith.run_helpers import tracing_context  # noqa: PLC0415 - slow to import

    token = tracing_v2_callback_var.set(None)
    try:
        with tracing_context(enabled=False):
            yield
    finally:
        tracing_v2_callback_var.reset(token)


def without_tracers(callbacks: Callbacks) -> Callbacks:
    """Return the callbacks without LangSmith tracers, inherited or given."""
    from langchain_core.tracers.langchain import LangChainTracer  # noqa: PLC0415

    if callbacks is None:
        return None
    if isinstance(callbacks, list):
        return [one for one in callbacks if not isinstance(one, LangChainTracer)]
    manager = callbacks.copy()
    for tracer in [one for one in manager.handlers if isinstance(one, LangChainTracer)]:
        manager.remove_handler(tracer)
    return manager


def _sinks(cache: Any, bound: Mapping[str, Any]) -> Iterable[Sink]:
    from langchain_core.globals import get_debug, get_verbose  # noqa: PLC0415

    if _langsmith_is_on():
        yield _langsmith_sink(bound)
    yield from _instrumentation()
    if cache is not False and _shared_cache_is_on(cache):
        yield Sink(
            "llm-cache",
            "prompts and answers, and answers from it skip every check",
            "pass cache=False to the model",
        )
    if get_debug():
        yield Sink("debug", CONSOLE, "set_debug(False)")
    if get_verbose():
        yield Sink(
            "verbose",
            "what chains, agents and tools around the model say, and prints it on the "
            "console",
            "set_verbose(False)",
            reduced=True,
        )


def _langsmith_is_on() -> bool:
    from langchain_core.runnables.config import ensure_config  # noqa: PLC0415
    from langchain_core.tracers.context import tracing_v2_callback_var  # noqa: PLC0415
    from langchain_core.tracers.langchain import LangChainTracer  # noqa: PLC0415
    from langsmith.run_helpers import get_tracing_context  # noqa: PLC0415
    from langsmith.utils import tracing_is_enabled  # noqa: PLC0415

    if get_tracing_context()["enabled"] is False:
        return False
    # What LangSmith calls "local" is on: LangChain's tracer sends it all the same.
    if tracing_is_enabled() or tracing_v2_callback_var.get() is not None:
        return True
    # What a caller passes to this very call is consent and is not seen here; these
    # are the handlers of the runs around it.
    around = ensure_config().get("callbacks")
    handlers = around if isinstance(around, list) else getattr(around, "handlers", [])
    return any(isinstance(handler, LangChainTracer) for handler in handlers)


def _langsmith_sink(bound: Mapping[str, Any]) -> Sink:
    from langsmith.utils import get_env_var  # noqa: PLC0415

    hidden = all(
        get_env_var(f"HIDE_{what}") == "true" for what in ("INPUTS", "OUTPUTS")
    )
    return Sink(
        "langsmith",
        "errors, metadata and parameters, tools, schemas and stop words among them; "
        "prompts and answers are hidden"
        if hidden
        else "prompts, answers, tools, parameters, errors and metadata",
        "unset LANGSMITH_TRACING (or LANGCHAIN_TRACING_V2)",
        reduced=hidden and not _holds_content(bound),
        suppressible=True,
    )


def _holds_content(bound: Mapping[str, Any]) -> bool:
    """Tell whether parameters hold words: those of tools, of a schema, or to stop at.

    Of a parameter that is the engine's own, nobody knows; its words count too.
    """
    return any(
        _has_words(value) for name, value in bound.items() if name not in _NOT_CONTENT
    )


def _has_words(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_words, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_words, value))
    return not isinstance(value, int | float | None)


def _instrumentation() -> Iterable[Sink]:
    """Yield a sink for each handler that every run gets, whatever it is configured.

    OpenTelemetry's and OpenInference's instrumentors add theirs in the constructor;
    other packages register a hook, which the environment may switch on. What core adds
    itself is LangSmith's or debug output, which are looked at by name, or stays in
    memory.
    """
    from langchain_core.callbacks import CallbackManager  # noqa: PLC0415

    def hooked() -> list[BaseCallbackHandler]:
        with untraced():  # or a tracer would be made, and ask LangSmith what it can do
            return CallbackManager.configure().handlers

    # In an empty context: what somebody has set in this one is consent.
    added = [*CallbackManager(handlers=[]).handlers, *Context().run(hooked)]
    for handler in {id(one): one for one in added}.values():
        if not type(handler).__module__.startswith("langchain_core."):
            yield handler_sink(
                handler, "instrumentation", switch="uninstrument LangChain at start-up"
            )


def _shared_cache_is_on(cache: Any) -> bool:
    """One given to the model is consent; one in memory, or sealed, shows nothing."""
    from langchain_core.caches import BaseCache, InMemoryCache  # noqa: PLC0415
    from langchain_core.globals import get_llm_cache  # noqa: PLC0415

    if isinstance(cache, BaseCache):
        return False
    shared = get_llm_cache()
    if type(shared) in (type(None), InMemoryCache):
        return False
    from .caches import EncryptedCache  # noqa: PLC0415 - where another one is, only

    return type(shared) is not EncryptedCache
