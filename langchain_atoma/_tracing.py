"""Where LangChain would write plaintext, and what to do about it.

Sealing protects what crosses the network to a node. A tracer, a cache or debug output
reads the same messages before they are sealed, and after they are opened.

Not covered, because they cannot be enumerated: callback handlers, checkpointers and
instrumentation that an application installs by itself.
"""

from __future__ import annotations

import functools
import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_core.exceptions import LangChainException

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from langchain_core.callbacks import Callbacks

__all__ = [
    "PlaintextEgressError",
    "PlaintextEgressWarning",
    "Sink",
    "TracingPolicy",
    "assert_no_plaintext_egress",
    "guard",
    "untraced",
    "without_tracers",
]

TracingPolicy: TypeAlias = Literal["warn", "refuse", "suppress", "allow"]

_LOGGER = logging.getLogger("langchain_atoma")


class PlaintextEgressError(LangChainException):
    """LangChain is set up to write plaintext somewhere else; nothing was sent."""


class PlaintextEgressWarning(UserWarning):
    """LangChain is set up to write plaintext somewhere else than to the node."""


@dataclass(frozen=True, slots=True)
class Sink:
    """A place that receives plaintext.

    Attributes:
        name: A short name for it, for `ignore=`.
        gets: What it receives.
        switch: How to turn it off.
        reduced: Whether prompts and answers are blanked, so that only errors, metadata
            and parameters still leave.
    """

    name: str
    gets: str
    switch: str
    reduced: bool = False

    def __str__(self) -> str:
        return f"{self.name} receives {self.gets}. To turn it off: {self.switch}."


def guard(policy: TracingPolicy, *, cache: Any = False) -> None:
    """Act on the plaintext sinks that are on right now.

    Args:
        policy: What to do about them. `suppress` leaves a LangSmith sink to `untraced`.
        cache: The model's `cache` field; False where there is nothing to cache.

    Raises:
        PlaintextEgressError: The policy is `refuse` and there is a sink.
    """
    if policy == "allow":
        return
    for sink in _sinks(cache):
        if policy == "refuse" and not sink.reduced:
            raise PlaintextEgressError(f"Refused, nothing was sent: {sink}")
        if policy != "suppress" or sink.name != "langsmith":
            _warn_once(sink)


def assert_no_plaintext_egress(*, ignore: Collection[str] = ()) -> list[Sink]:
    """Check at start-up, or in a test, that no known sink of plaintext is on.

    Args:
        ignore: Names of sinks that are acceptable, such as `langsmith`.

    Returns:
        The acceptable sinks that are on.

    Raises:
        PlaintextEgressError: Another sink is on.
    """
    sinks = list(_sinks(None))
    if found := [sink for sink in sinks if sink.name not in ignore]:
        raise PlaintextEgressError(" ".join(map(str, found)))
    return sinks


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


@functools.cache
def _warn_once(sink: Sink) -> None:
    # Python's own "once" is forgotten whenever filters change, as core does a call.
    warnings.warn(str(sink), PlaintextEgressWarning, stacklevel=3)


def _sinks(cache: Any) -> Iterable[Sink]:
    from langchain_core.globals import get_debug, get_verbose  # noqa: PLC0415

    if _langsmith_is_on():
        yield _langsmith_sink()
    if cache is not False and _shared_cache_is_on(cache):
        yield Sink(
            "llm-cache",
            "prompts and answers, and answers from it skip every check",
            "pass cache=False to the model",
        )
    if get_debug():
        yield Sink("debug", "prompts and answers on the console", "set_debug(False)")
    if get_verbose():
        _LOGGER.debug("LangChain is verbose: chains print text on the console.")


def _langsmith_is_on() -> bool:
    from langchain_core.runnables.config import ensure_config  # noqa: PLC0415
    from langchain_core.tracers.context import tracing_v2_callback_var  # noqa: PLC0415
    from langchain_core.tracers.langchain import LangChainTracer  # noqa: PLC0415
    from langsmith.run_helpers import get_tracing_context  # noqa: PLC0415
    from langsmith.utils import tracing_is_enabled  # noqa: PLC0415

    if get_tracing_context()["enabled"] in (False, "local"):
        return False
    if tracing_is_enabled() is True or tracing_v2_callback_var.get() is not None:
        return True
    # What a caller passes to this very call is consent and is not seen here; these
    # are the handlers of the runs around it.
    around = ensure_config().get("callbacks")
    handlers = around if isinstance(around, list) else getattr(around, "handlers", [])
    return any(isinstance(handler, LangChainTracer) for handler in handlers)


def _langsmith_sink() -> Sink:
    from langsmith.utils import get_env_var  # noqa: PLC0415

    hidden = all(
        get_env_var(f"HIDE_{what}") == "true" for what in ("INPUTS", "OUTPUTS")
    )
    return Sink(
        "langsmith",
        "errors, metadata and parameters; prompts and answers are hidden"
        if hidden
        else "prompts, answers, tools, parameters, errors and metadata",
        "unset LANGSMITH_TRACING (or LANGCHAIN_TRACING_V2), or choose "
        "tracing_policy='suppress'; runs around the model are traced by themselves",
        reduced=hidden,
    )


def _shared_cache_is_on(cache: Any) -> bool:
    """A cache given to the model is consent, and one in memory stays in the process."""
    from langchain_core.caches import BaseCache, InMemoryCache  # noqa: PLC0415
    from langchain_core.globals import get_llm_cache  # noqa: PLC0415

    if isinstance(cache, BaseCache):
        return False
    return type(get_llm_cache()) not in (type(None), InMemoryCache)
