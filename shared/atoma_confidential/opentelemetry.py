"""Spans and metrics of the calls of this process, for OpenTelemetry.

    instrument()

They go to the providers that the application has set up, and hold no content: names,
numbers, times and classes of errors. The names are those of OpenTelemetry's conventions
for generative AI where these have one. See docs/observability.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

try:
    from opentelemetry import metrics, trace
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "opentelemetry-api is not installed. Run: "
        "pip install 'atoma-confidential[otel]'",
        name="opentelemetry",
    ) from None

from ._observed import CallBegun, CallEnded, RequestDone, Retry, installed
from .verdict import Verdict

__all__ = ["instrument", "uninstrument"]

_NAME = "atoma_confidential"
_PROVIDER = "atoma"
_OK = 200

# As the conventions want them.
_SECONDS = [0.01 * 2**power for power in range(14)]
_TOKENS = [4.0**power for power in range(14)]
_BYTES = [4.0**power for power in range(4, 15)]

_Values: TypeAlias = dict[str, str | bool | int | float]


def instrument(
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> None:
    """Have all clients of this process tell OpenTelemetry of their calls from now on.

    Nothing else turns it on. A second call takes the place of the first.

    Args:
        tracer_provider: Takes the spans; by default the application's.
        meter_provider: Takes the metrics; by default the application's.
    """
    tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
    meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
    instruments = _Instruments(meter)

    def watch(call: CallBegun) -> _CallSpan:
        return _CallSpan(call, tracer, instruments)

    installed[:] = [watch]


def uninstrument() -> None:
    """Tell OpenTelemetry of no further call; one that has begun is told to its end."""
    installed.clear()


class _Instruments:
    """What is measured."""

    def __init__(self, meter: metrics.Meter) -> None:
        def histogram(
            name: str, unit: str, what: str, bounds: list[float]
        ) -> metrics.Histogram:
            return meter.create_histogram(
                name, unit, what, explicit_bucket_boundaries_advisory=bounds
            )

        self.duration = histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            _SECONDS,
        )
        self.first_chunk = histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Time to receive the first chunk of a stream.",
            _SECONDS,
        )
        self.tokens = histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            _TOKENS,
        )
        self.request = histogram(
            "atoma.client.request.duration",
            "s",
            "Duration of one HTTP request: for a lock, an answer, a probe or evidence.",
            _SECONDS,
        )
        self.sent = histogram(
            "atoma.client.request.size",
            "By",
            "Size of the body of a request for an answer.",
            _BYTES,
        )
        self.received = histogram(
            "atoma.client.response.size",
            "By",
            "Size of the body of its answer.",
            _BYTES,
        )
        self.retries = meter.create_counter(
            "atoma.client.retries", "{retry}", "Attempts that failed and were repeated."
        )
        self.verdicts = meter.create_counter(
            "atoma.client.verdicts",
            "{verdict}",
            "Distinct results of what was checked for a call's answers.",
        )


class _CallSpan:
    """One call: its span, below the one that was current when it began."""

    def __init__(
        self, call: CallBegun, tracer: trace.Tracer, instruments: _Instruments
    ) -> None:
        self._tracer = tracer
        self._instruments = instruments
        self._about: _Values = {
            "gen_ai.operation.name": call.operation,
            "gen_ai.provider.name": _PROVIDER,
            **({"gen_ai.request.model": call.model} if call.model else {}),
        }
        self._labels = self._about | _place(call.server)
        asked: _Values = {"gen_ai.request.stream": True} if call.stream else {}
        self._span = tracer.start_span(
            f"{call.operation} {call.model}".rstrip(),
            kind=trace.SpanKind.CLIENT,
            attributes={**self._labels, **asked, "atoma.call.id": call.id},
        )
        # Not made the current one: that would have to be undone where a stream ends,
        # which may be in another task, or nowhere.
        self._below = trace.set_span_in_context(self._span)

    def requested(self, request: RequestDone) -> None:
        """Make a span of a request that is over, below the call's."""
        error = request.error
        if not error and request.status not in (None, _OK):
            error = str(request.status)
        labels = _some(
            {
                "atoma.request.kind": request.kind,
                **_place(request.server),
                "http.response.status_code": request.status,
                "atoma.node": None if request.node is None else str(request.node),
                "error.type": error or None,
            }
        )
        more = _some(
            {
                "atoma.attempt": request.attempt,
                "atoma.key": request.key or None,
                "http.request.body.size": request.sent,
                "http.response.body.size": request.received,
            }
        )
        span = self._tracer.start_span(
            f"atoma.{request.kind}",
            context=self._below,
            kind=trace.SpanKind.CLIENT,
            attributes=labels | more,
            start_time=request.started,
        )
        if error:
            span.set_status(trace.StatusCode.ERROR)
        span.end(request.started + int(request.seconds * 1e9))
        labels = self._about | labels
        self._instruments.request.record(request.seconds, labels)
        if request.kind == "answer":
            self._instruments.sent.record(request.sent, labels)
            self._instruments.received.record(request.received, labels)

    def repeats(self, retry: Retry) -> None:
        """Note an attempt that failed and will be repeated."""
        failed: _Values = {"error.type": retry.error}
        told = failed | {"atoma.attempt": retry.attempt, "atoma.wait": retry.wait}
        self._span.add_event("atoma.retry", told)
        self._instruments.retries.add(1, self._labels | failed)

    def ended(self, end: CallEnded) -> None:
        """End the span, and measure the call."""
        labels = self._labels | _some(
            {
                "gen_ai.response.model": end.model or None,
                "error.type": end.error or None,
            }
        )
        verdict = _checked(end.verdicts[-1]) if end.verdicts else {}
        self._span.set_attributes(labels | _taken(end) | verdict)
        if end.error:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()
        self._instruments.duration.record(end.seconds, labels)
        if end.first_chunk is not None:
            self._instruments.first_chunk.record(end.first_chunk, labels)
        for kind, count in (("input", end.input_tokens), ("output", end.output_tokens)):
            if count is not None:
                typed = labels | {"gen_ai.token.type": kind}
                self._instruments.tokens.record(count, typed)
        for each in end.verdicts:
            self._instruments.verdicts.add(1, self._labels | _counted(each))


def _place(server: tuple[str, int]) -> _Values:
    return {"server.address": server[0], "server.port": server[1]}


def _taken(end: CallEnded) -> _Values:
    """Return what a call took."""
    return _some(
        {
            "gen_ai.usage.input_tokens": end.input_tokens,
            "gen_ai.usage.output_tokens": end.output_tokens,
            "gen_ai.response.time_to_first_chunk": end.first_chunk,
            "atoma.end": end.end,
            "atoma.exposure": end.exposure and end.exposure.name.lower(),
            "atoma.lock.duration": end.lock,
            "atoma.requests": end.requests,
            "atoma.retries": end.retries,
            "atoma.request.size": end.sent,
            "atoma.response.size": end.received,
            "atoma.events": end.events,
        }
    )


def _checked(verdict: Verdict) -> _Values:
    """Return what was checked; keys are many, and label no metric."""
    return _counted(verdict) | ({"atoma.key": verdict.key} if verdict.sealed else {})


def _counted(verdict: Verdict) -> _Values:
    return {
        "atoma.sealed": verdict.sealed,
        "atoma.assurance": verdict.assurance,
        "atoma.policy": verdict.policy,
        "atoma.signature": verdict.signature,
        "atoma.stream": verdict.stream,
        # Of 64 bits, of which a number of OpenTelemetry has one less.
        **({"atoma.node": str(verdict.node)} if verdict.sealed else {}),
    }


def _some(values: Mapping[str, str | bool | int | float | None]) -> _Values:
    """Return those that there are."""
    return {name: value for name, value in values.items() if value is not None}
