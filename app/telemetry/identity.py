"""The trace of a video, told by its id alone: no message has to carry anything.

A UUID has as many bits as a trace id, so the trace of a video is named like the video without its dashes,
whatever was retried, lost or published again. The W3C forbids the id of zeros only.
"""

import hashlib
from typing import Final
from uuid import UUID

TRACE_BYTES: Final = 16
SPAN_BYTES: Final = 8
"""Of a trace id and a span id (W3C Trace Context, 3.2.2.3 and 3.2.2.4)."""


def trace_id(video_id: str) -> int:
    """Return the id of a video's trace: of another id than a UUID it is a digest."""
    try:
        found = UUID(video_id).int
    except ValueError:
        found = 0
    return found or _number(f"trace of {video_id}", TRACE_BYTES)


def root_span_id(video_id: str) -> int:
    """Return the id of the span under which all others of a video's trace stand."""
    return _number(f"root span of {video_id}", SPAN_BYTES)


def is_among(video_id: str, share: float) -> bool:
    """Return whether a video is among those that are traced: every process decides the same.

    Args:
        video_id: of the video.
        share: of all videos that are traced, from 0 to 1.
    """
    part = _number(f"share of {video_id}", SPAN_BYTES) / (1 << 8 * SPAN_BYTES)
    return share >= 1 or part < share


def _number(text: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size], "big") or 1
