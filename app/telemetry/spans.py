"""Spans, made and sent by OpenTelemetry's SDK: an extra, imported only where traces are collected."""

import threading
from collections.abc import Mapping
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from app.telemetry.identity import root_span_id, trace_id

PATH: Final = "/v1/traces"
"""Where a collector takes spans over HTTP (OTLP 1.x)."""

STOP_WITHIN: Final = 2.0
"""Seconds for the last spans when the process ends."""

SAMPLED: Final = trace.TraceFlags(trace.TraceFlags.SAMPLED)


class Spans:
    """Makes spans, and sends them from a thread of its own.

    Args:
        role: of this process; its service is called `kadr-ROLE`.
        endpoint: of the collector, without the path.
    """

    def __init__(self, role: str, endpoint: str) -> None:
        self._ids = _Ids()
        resource = Resource.create({"service.name": f"kadr-{role}", "service.namespace": "kadr"})
        # Which videos are traced is decided before: all of a video or nothing.
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, id_generator=self._ids, shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}{PATH}")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("kadr")

    def add(
        self,
        name: str,
        video_id: str,
        start: float,
        end: float,
        *,
        error: str | None,
        facts: Mapping[str, str | int | float | bool],
        is_root: bool,
    ) -> None:
        """Make a span that is over; for the arguments see `app.telemetry.tracing.span`."""
        parent = trace.INVALID_SPAN_CONTEXT
        if is_root:
            self._ids.chosen = trace_id(video_id), root_span_id(video_id)
        else:
            root = root_span_id(video_id)
            parent = trace.SpanContext(trace_id(video_id), root, is_remote=True, trace_flags=SAMPLED)
        made = self._tracer.start_span(
            name,
            trace.set_span_in_context(trace.NonRecordingSpan(parent)),
            kind=trace.SpanKind.SERVER if is_root else trace.SpanKind.INTERNAL,
            attributes={"kadr.video_id": video_id} | {f"kadr.{key}": value for key, value in facts.items()},
            start_time=_nanoseconds(start),
        )
        if error is not None:
            made.set_status(trace.StatusCode.ERROR, error)
        made.end(_nanoseconds(max(start, end)))

    def stop(self) -> None:
        """Hand over what waits, as far as that is possible within `STOP_WITHIN`."""
        stopping = threading.Thread(target=self._provider.shutdown, daemon=True)
        stopping.start()
        stopping.join(STOP_WITHIN)


class _Ids(RandomIdGenerator):
    """Random ids, but for the next span where somebody has chosen them: its trace's and its own."""

    chosen: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        return self.chosen[0] if self.chosen else super().generate_trace_id()

    def generate_span_id(self) -> int:
        chosen, self.chosen = self.chosen, None
        return chosen[1] if chosen else super().generate_span_id()


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
