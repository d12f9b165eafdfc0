"""Where a framework would write plaintext, and what to do about it.

Sealing protects what crosses the network to a node. Tracers, caches and handlers read
the same messages before they are sealed, and after they are opened.

Here is what each policy means and what is said of a sink. Which sinks are on, the
plugins look up in their frameworks.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from .errors import InvalidInputError, PlaintextEgressError, PlaintextEgressWarning

__all__ = [
    "CONSOLE",
    "Sink",
    "TracingPolicy",
    "act_on",
    "assert_none",
    "handler_sink",
    "vendor_of",
]

TracingPolicy: TypeAlias = Literal["warn", "refuse", "suppress", "allow"]

CONSOLE = "prompts and answers, and prints them on the console"
"""What a sink gets that prints."""

_VENDORS = {
    "agentops": "agentops",
    "langfuse": "langfuse",
    "llama_index.observability.otel": "opentelemetry",
    "mlflow": "mlflow",
    "openinference": "openinference",
    "opentelemetry": "opentelemetry",
    "phoenix": "openinference",
    "traceloop": "opentelemetry",
}
"""Names of sinks, by the package that a handler comes from."""

_OR_SUPPRESS = (
    ", or choose tracing_policy='suppress'; what is around the model writes by itself"
)


@dataclass(frozen=True, slots=True)
class Sink:
    """A place that receives plaintext.

    Attributes:
        name: A short name for it, for `ignore=`.
        gets: What it receives.
        switch: How to turn it off.
        reduced: Whether the model's prompts and answers are kept from it, and this call
            has nothing else to say, so that `refuse` only warns.
        suppressible: Whether `suppress` keeps the model's own runs from it.
    """

    name: str
    gets: str
    switch: str
    reduced: bool = field(default=False, compare=False)
    suppressible: bool = False

    def __str__(self) -> str:
        rest = _OR_SUPPRESS if self.suppressible else ""
        return f"{self.name} receives {self.gets}. To turn it off: {self.switch}{rest}."


def act_on(policy: TracingPolicy, sinks: Iterable[Sink]) -> bool:
    """Warn of sinks, or refuse to go on.

    Args:
        policy: What to do about them; with `allow`, they are not even looked at.
        sinks: Those that are on right now.

    Returns:
        Whether the caller is to keep the model's own runs from the sinks.

    Raises:
        PlaintextEgressError: The policy is `refuse`, and a sink is not `reduced`.
        InvalidInputError: There is no such policy.
    """
    if policy not in get_args(TracingPolicy):  # fields can be set without a check
        raise InvalidInputError(
            "tracing_policy is 'warn', 'refuse', 'suppress' or 'allow'."
        )
    if policy == "allow":
        return False
    found = list(dict.fromkeys(sinks))
    if policy == "refuse" and (full := [sink for sink in found if not sink.reduced]):
        raise PlaintextEgressError(f"Refused: {_told(full)}")
    suppressed = {s for s in found if s.suppressible and policy == "suppress"}
    for sink in found:
        if sink not in suppressed:
            _warn_once(sink)
    return bool(suppressed)


def assert_none(
    sinks: Iterable[Sink], *, ignore: str | Collection[str] = ()
) -> list[Sink]:
    """Return the sinks that are on, where all of them are acceptable.

    Args:
        sinks: Those that are on right now.
        ignore: Names of the acceptable ones.

    Raises:
        PlaintextEgressError: Another sink is on.
    """
    accepted = {ignore} if isinstance(ignore, str) else set(ignore)
    found = list(dict.fromkeys(sinks))
    if wrong := [sink for sink in found if sink.name not in accepted]:
        raise PlaintextEgressError(_told(wrong))
    return found


def vendor_of(handler: object) -> str | None:
    """Return the sink's name for a handler of a tracing package that is known."""
    module = f"{type(handler).__module__}."
    return next(
        (name for root, name in _VENDORS.items() if module.startswith(f"{root}.")), None
    )


def handler_sink(
    handler: object, name: str, *, switch: str, suppressible: bool = False
) -> Sink:
    """Return the sink that a handler of events is.

    Args:
        handler: What the framework tells everything to.
        name: The sink's name, where the handler is not of a known package.
        switch: How to turn it off.
        suppressible: Whether `suppress` keeps the model's own runs from it.
    """
    gets = "all that goes into the model and comes out of it"
    vendor = vendor_of(handler)
    if vendor is None:  # a package that is known may have several; it is one sink
        gets += f", through {type(handler).__module__}.{type(handler).__qualname__}"
    return Sink(vendor or name, gets, switch, suppressible=suppressible)


def _told(sinks: Iterable[Sink]) -> str:
    return " ".join(map(str, sinks))


@functools.cache
def _warn_once(sink: Sink) -> None:
    # Python's own "once" is forgotten whenever filters change, as frameworks do in a
    # call. Where a filter makes it an error, it is one each time: that is not kept.
    warnings.warn(str(sink), PlaintextEgressWarning, stacklevel=4)
