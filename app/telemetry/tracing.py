"""Traces, one per video: what was done for it, by whom, when and for how long.

Off, and nothing of it imported, unless `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector. A span is made when
what it tells of is over, so that a crash loses none that is open; spans wait in a queue of bounded length
and are dropped where the collector is away. Nothing here ever waits for it.
"""

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from app.telemetry.identity import is_among, trace_id

if TYPE_CHECKING:
    from app.telemetry.spans import Spans

logger = logging.getLogger(__name__)

Facts: TypeAlias = Mapping[str, str | int | float | bool]


class _Tracing:
    """What this process makes spans with, if it does, and of which share of all videos."""

    spans: "Spans | None" = None
    share = 1.0


def is_on() -> bool:
    """Return whether spans are made."""
    return _Tracing.spans is not None


def span(
    name: str,
    video_id: str,
    start: float,
    end: float,
    *,
    error: str | None = None,
    facts: Facts | None = None,
    is_root: bool = False,
) -> None:
    """Tell that something was done for a video.

    Args:
        name: of what was done.
        video_id: for which video.
        start: when it began, in seconds since 1970.
        end: when it ended.
        error: why it came to nothing, if it did.
        facts: what else is to be known of it.
        is_root: whether all others of the video's trace stand under it.
    """
    spans = _Tracing.spans
    if spans is not None and is_among(video_id, _Tracing.share):
        spans.add(name, video_id, start, end, error=error, facts=facts or {}, is_root=is_root)


def trace_named(video_id: str) -> str | None:
    """Return the id of a video's trace as a collector shows it; None where it is not traced."""
    if _Tracing.spans is None or not video_id or not is_among(video_id, _Tracing.share):
        return None
    return f"{trace_id(video_id):032x}"


def start_tracing(role: str, endpoint: str) -> None:
    """Make spans from now on, if there is an endpoint to send them to."""
    if not endpoint or _Tracing.spans is not None:
        return
    try:
        from app.telemetry.spans import Spans  # noqa: PLC0415 - an extra, and 20 MB that most do without
    except ImportError:
        logger.warning("traces are asked for, but kadr[tracing] is not installed: there are none")
        return
    _Tracing.share = share_of(os.environ)
    _Tracing.spans = Spans(role, endpoint)
    logger.info("traces are sent", extra={"endpoint": endpoint, "share": _Tracing.share})


def stop_tracing() -> None:
    """Make no more spans, and wait a moment for the last ones to go. It blocks: not for an event loop."""
    last, _Tracing.spans = _Tracing.spans, None
    if last is not None:
        last.stop()


def share_of(environment: Mapping[str, str]) -> float:
    """Return which share of all videos OpenTelemetry's own variables ask for; all, unless they say so."""
    sampler = environment.get("OTEL_TRACES_SAMPLER", "")
    if sampler.endswith("always_off"):
        return 0.0
    if not sampler.endswith("traceidratio"):
        return 1.0
    try:
        return min(1.0, max(0.0, float(environment.get("OTEL_TRACES_SAMPLER_ARG", "1"))))
    except ValueError:
        return 1.0
