"""Spans on their way to a collector: a real one, and one that is away."""

import socket
import time
import uuid

import pytest

from app.telemetry import tracing
from app.telemetry.spans import STOP_WITHIN
from tests.support.stack import wait_until
from tests.support.trace_collector import trace_collector

ROOM = 1.0
"""Seconds for a busy machine."""


def test_spans_arrive_in_their_videos_trace_under_its_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    with trace_collector() as collector:
        tracing.start_tracing("api", collector.url)
        try:
            for video_id in (first, second):
                tracing.span("fetch", video_id, 11.0, 12.5, facts={"bytes": 7}, error="Missing")
                tracing.span("submit", video_id, 10.0, 11.0, is_root=True)
            assert tracing.trace_named(first) == first.replace("-", "")
            wait_until(lambda: len(collector.spans) == 4)
        finally:
            tracing.stop_tracing()
        root, child = collector.of_trace(first.replace("-", ""))
        assert (root.service, root.name, root.parent) == ("kadr-api", "submit", "")
        assert (child.name, child.parent, child.start, child.end) == ("fetch", root.id, 11.0, 12.5)
        assert child.facts == {"kadr.video_id": first, "kadr.bytes": 7}
        assert collector.of_trace(second.replace("-", ""))[0].id != root.id


def test_the_last_spans_go_when_the_process_stops() -> None:
    video_id = str(uuid.uuid4())
    with trace_collector() as collector:
        tracing.start_tracing("runner", collector.url)
        tracing.span("decode", video_id, 1.0, 2.0)
        tracing.stop_tracing()
        assert [each.name for each in collector.spans] == ["decode"]
    assert not tracing.is_on()


def test_a_collector_that_is_away_holds_up_nobody() -> None:
    with socket.socket() as silent:  # it takes connections, and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        tracing.start_tracing("runner", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        for _ in range(5000):  # more than wait at most
            tracing.span("decode", str(uuid.uuid4()), 1.0, 2.0)
        assert time.monotonic() - began < 5000 * 0.001
        began = time.monotonic()
        tracing.stop_tracing()
        assert time.monotonic() - began < STOP_WITHIN + ROOM
