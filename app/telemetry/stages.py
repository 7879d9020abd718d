"""How long a stage took: a number for Prometheus, and a span of its video's trace."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final, Literal, TypeAlias

from prometheus_client import Histogram

from app.telemetry.metrics import STAGE_SECONDS, Role
from app.telemetry.tracing import is_on, span

Stage: TypeAlias = Literal[
    "upload", "outbox", "queue", "fetch", "decode", "detect", "gather", "write", "video", "webhook"
]

STAGES: Final[dict[Stage, tuple[Role, str]]] = {
    "upload": ("api", "a video arrives and goes to S3"),
    "outbox": ("outbox", "from the video's record to its event on Kafka; of a first attempt"),
    "queue": ("runner", "from the event to a place among the open videos"),
    "fetch": ("runner", "the video comes from S3"),
    "decode": ("runner", "its frames are decoded and sent, waiting for room included"),
    "detect": ("inference", "one batch of frames"),
    "gather": ("results", "one batch of found frames becomes rows"),
    "write": ("results", "the result is written into S3"),
    "video": ("results", "from the event to the result, or to the reason why there is none"),
    "webhook": ("api", "one try to deliver a webhook"),
}
"""What is timed, in the order a video meets it, and by whom."""

Noted: TypeAlias = dict[str, str | int | float | bool]


@contextmanager
def timed(stage: Stage, video_id: str, **facts: str | float | bool) -> Iterator[Noted]:
    """Time the block for one video; what comes to nothing is a span, and no number.

    Yields:
        What is to be known of it; the block may add to it.
    """
    noted: Noted = dict(facts)
    began, clock = time.time(), time.perf_counter()
    error: str | None = None
    try:
        yield noted
        _timer(stage).observe(time.perf_counter() - clock)
    except asyncio.CancelledError:
        noted["stopped"] = True  # such as a video that makes room for another one
        raise
    except BaseException as caught:
        error = type(caught).__name__
        raise
    finally:
        if is_on():
            seconds = time.perf_counter() - clock
            span(stage, video_id, began, began + seconds, error=error, facts=noted)


def count_stage(stage: Stage, seconds: float) -> None:
    """Note how long a stage took for a batch, which belongs to several videos."""
    _timer(stage).observe(max(0.0, seconds))


def note_stage(stage: Stage, video_id: str, start: float, end: float, **facts: str | float | bool) -> None:
    """Note a stage that began elsewhere or long ago; times are seconds since 1970."""
    _timer(stage).observe(max(0.0, end - start))
    if is_on():
        span(stage, video_id, start, end, facts=facts)


def begin_stages(role: Role) -> None:
    """Let the stages of a role be there before the first is timed."""
    for stage, (whose, _) in STAGES.items():
        if whose == role:
            _timer(stage)


@cache
def _timer(stage: Stage) -> Histogram:
    """Return the part of the histogram that is a stage's; to find it takes longer than to count."""
    return STAGE_SECONDS.labels(stage)
