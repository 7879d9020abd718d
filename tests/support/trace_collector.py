"""A collector of traces on this machine: it takes them as OTLP over HTTP has it, and keeps them."""

import gzip
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """A span as it came; ids in hexadecimal digits, times in seconds since 1970."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    start: float
    end: float
    facts: dict[str, Any]


@dataclass
class TraceCollector:
    """What has come."""

    url: str = ""
    spans: list[Seen] = field(default_factory=list)

    def of_trace(self, trace: str) -> list[Seen]:
        """Return the spans of a trace, in the order they began."""
        return sorted((each for each in list(self.spans) if each.trace == trace), key=lambda span: span.start)

    def take(self, body: bytes) -> None:
        """Keep what a request holds."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _facts(resource.resource.attributes)["service.name"]
            self.spans += [_seen(service, span) for scope in resource.scope_spans for span in scope.spans]


@contextmanager
def trace_collector() -> Iterator[TraceCollector]:
    """Run a collector on a free port until the block ends."""
    collector = TraceCollector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding") == "gzip"
            collector.take(gzip.decompress(body) if packed else body)
            self.send_response(HTTPStatus.OK)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _seen(service: str, span: Any) -> Seen:  # noqa: ANN401 - protobuf
    return Seen(
        service=service,
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        start=span.start_time_unix_nano / 1e9,
        end=span.end_time_unix_nano / 1e9,
        facts=_facts(span.attributes),
    )


def _facts(attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - protobuf
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
