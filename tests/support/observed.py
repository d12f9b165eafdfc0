"""All that OpenTelemetry and the logs are told, kept so that it can be searched."""

import logging

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from atoma_confidential.opentelemetry import instrument, uninstrument
from atoma_local import encodings_of


class _Ears(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


class Telemetry:
    """What an application would have set up, with the logs at DEBUG.

    Attributes:
        tracer: Makes the caller's own spans.
        records: Of all loggers.
    """

    def __init__(self):
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self._tracers = TracerProvider()
        self._tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._meters = MeterProvider(metric_readers=[self._reader])
        self._ears = _Ears()
        self._levels = {}
        self.tracer = self._tracers.get_tracer("tests")
        self.records = self._ears.records

    def __enter__(self):
        instrument(tracer_provider=self._tracers, meter_provider=self._meters)
        logging.getLogger().addHandler(self._ears)
        for name in ("", "atoma_confidential"):
            logger = logging.getLogger(name)
            self._levels[name] = logger.level
            logger.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *_error):
        uninstrument()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        logging.getLogger().removeHandler(self._ears)
        self._tracers.shutdown()
        self._meters.shutdown()

    @property
    def spans(self):
        """The spans that have ended, in that order."""
        return self._exporter.get_finished_spans()

    @property
    def calls(self):
        return [s for s in self.spans if "gen_ai.operation.name" in s.attributes]

    @property
    def call(self):
        (call,) = self.calls
        return call

    @property
    def own_locks(self):
        """How many locks each chat call took itself."""
        chats = [c for c in self.calls if c.name.startswith("chat ")]
        return [
            sum(request.name == "atoma.lock" for request in self.below(chat))
            for chat in chats
        ]

    def below(self, span):
        parents = [(s, s.parent) for s in self.spans if s.parent is not None]
        return [s for s, parent in parents if parent.span_id == span.context.span_id]

    def of(self, logger):
        """The fields of a logger's records."""
        name = f"atoma_confidential.{logger}"
        return [record.atoma for record in self.records if record.name == name]

    @property
    def _metrics(self):
        return self._reader.get_metrics_data()

    @property
    def points(self):
        """The points of each metric, by its name."""
        data = self._metrics
        if data is None:
            return {}
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    @property
    def kinds(self):
        """Kind and unit of each metric, by its name."""
        return {
            metric.name: (
                "counter" if hasattr(metric.data, "is_monotonic") else "histogram",
                metric.unit,
            )
            for resource in self._metrics.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    @property
    def dump(self):
        """All of it, as text."""
        data = self._metrics
        return "\n".join(
            [
                *(span.to_json() for span in self.spans),
                "" if data is None else data.to_json(),
                *(f"{r.getMessage()} {r.__dict__}" for r in self.records),
            ]
        )

    def find(self, *texts):
        """Return those of some texts that are somewhere in it, in any encoding."""
        dump = self.dump.encode()
        return [
            text
            for text in texts
            if any(pattern.data in dump for pattern in encodings_of(text))
        ]
