"""How far a video is, as the runner tells: from its record alone, so that any runner can answer."""

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from app.domain.progress import Status
from app.domain.records import Record

Stage: TypeAlias = Literal["queued", "fetching", "decoding", "detecting", "writing"] | Status
"""Where a video in work is; of one that has ended, how."""

LOOK_EVERY: Final = 1.0
"""Seconds for which the queue is remembered: however many videos are asked about, it is read once in it."""


class Unopened(Protocol):
    """The records, as far as the queue needs them."""

    async def unopened(self) -> list[datetime]:
        """Return when the videos were accepted that nobody has opened yet, oldest first; only so many."""


class Queue:
    """Where a video stands among those that wait.

    Args:
        records: gives the records, which are open only while the worker runs.
        clock: seconds that never go back.
    """

    def __init__(
        self, records: Callable[[], Unopened], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._records = records
        self._clock = clock
        self._seen: tuple[float, Sequence[datetime]] = (float("-inf"), ())

    async def position(self, record: Record) -> int:
        """Return how many videos that wait are before this one, as far as they are counted; 0 if it is open.

        Raises:
            Unavailable: Mongo does not answer.
        """
        if stage_of(record) != "queued":
            return 0
        when, accepted = self._seen
        if self._clock() - when > LOOK_EVERY:
            accepted = await self._records().unopened()
            self._seen = (self._clock(), accepted)
        return bisect_left(accepted, record.created_at)


def stage_of(record: Record) -> Stage:
    """Return where a video is."""
    if record.status == "predictable":
        return "writing"
    if record.status != "processing":
        return record.status
    if record.split_ended:
        return "detecting"
    if record.decoding_at is not None:
        return "decoding"
    return "queued" if record.split_owner is None else "fetching"


def progress_of(record: Record, *, position: int, now: datetime) -> dict[str, object]:
    """Return what the runner tells of a video.

    Args:
        record: what is known of it.
        position: how many videos are before it.
        now: the time; `elapsed` and `seconds_decoding` end then.
    """
    begun = record.decoding_at
    facts: dict[str, object] = {
        "video_id": record.video_id,
        "attempt": record.attempt,
        "status": record.status,
        "stage": stage_of(record),
        "frames_done": record.received_frames,
        "frames_total": record.total_frames,
        "frames_expected": record.expected_frames,
        "frames_split": record.split_frames,
        "queue_position": position,
        "elapsed": _seconds(record.created_at, now),
        "seconds_decoding": None if begun is None else _seconds(begun, now),
        "times": {
            "accepted": _text(record.created_at),
            "decoding": _text(begun),
            "decoded": _text(record.decoded_at),
            "detected": _text(record.detected_at),
            "ready": _text(record.ready_at),
        },
    }
    return facts | ({"error": msgspec.to_builtins(record.error)} if record.error else {})


def _seconds(begun: datetime, now: datetime) -> float:
    return round((now - begun).total_seconds(), 3)


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")
