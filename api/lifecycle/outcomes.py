"""What came of each video, as S3 shows it: `detection/` is ready, `failed/` is failed, and ready wins.

Only what came of the video's present attempt counts: each object says of which it is.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from app.clients.main_db.video_outbox import Cursor, Outcome, Video, VideoOutbox
from app.clients.s3.storage import ObjectFacts, Storage
from app.domain.messages import Failure
from app.domain.objects import (
    detection_object,
    failed_object,
    is_of_attempt,
)
from app.errors import Missing

logger = logging.getLogger(__name__)

PER_ROUND: Final = 50
"""Videos per round. A round is a second, and each video costs two questions of about 2 ms of CPU."""

AT_ONCE: Final = 4
"""Questions at a time: half of the lane that requests wait in, too."""

LATER_BY: Final = 0.25
"""Share of the time that a video has been waited for until it is looked up again."""

LATEST: Final = 15.0
"""Seconds until it is looked up again at the latest."""

REMEMBERED: Final = 10_000
"""Videos of which is remembered when they were looked up."""


class _FailedDocument(msgspec.Struct):
    error: Failure


@dataclass(frozen=True)
class Seen:
    """What S3 shows of a video: how it ended, when, and why it failed where it did."""

    outcome: Outcome
    at: datetime
    error: Failure | None = None


class _Waits:
    """Says when a video is looked up again: what has taken long may be noticed a little later."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._looks: OrderedDict[tuple[str, int], tuple[float, float]] = OrderedDict()

    def is_over(self, video: Video) -> bool:
        """Return whether a video is to be looked up now; if so, note that it is."""
        now, key = self._clock(), (video.id, video.attempt)
        first, last = self._looks.get(key, (now, now - LATEST))
        if now - last < min(LATEST, LATER_BY * (now - first)):
            return False
        self._looks[key] = first, now
        self._looks.move_to_end(key)
        if len(self._looks) > REMEMBERED:
            self._looks.popitem(last=False)
        return True


class Outcomes:
    """Looks videos up in S3 and remembers what it saw in `main_db`.

    Args:
        storage: where results are.
        outbox: where it is remembered.
        clock: seconds, only forward.
    """

    def __init__(
        self, storage: Storage, outbox: VideoOutbox, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._storage = storage
        self._outbox = outbox
        self._waits = _Waits(clock)
        self._position: Cursor | None = None
        self._lane = asyncio.Semaphore(AT_ONCE)

    async def look_at_some(self) -> None:
        """Look up the next videos without an outcome; each call goes on where the last one stopped."""
        videos = await self._outbox.without_outcome(limit=PER_ROUND, after=self._position)
        await asyncio.gather(*(self.look_at(video) for video in videos if self._waits.is_over(video)))
        last = videos[-1] if len(videos) == PER_ROUND else None
        self._position = (last.created_at, last.id) if last else None

    async def look_at(self, video: Video) -> None:
        """Look up one video, and remember what came of it, if anything has.

        Raises:
            Unavailable: S3 or Mongo does not answer.
        """
        async with self._lane:
            await self._look_at(video)

    async def _look_at(self, video: Video) -> None:
        ready = await self.find(video, detection_object(video.id))
        failed = None if ready else await self.find(video, failed_object(video.id))
        if ready:
            await self.note_ready(video, ready)
        elif failed:
            with suppress(Missing):  # deleted meanwhile
                body = await self._storage.get(video.bucket, failed.name)
                await self.note_failed(video, failed, body)

    async def find(self, video: Video, name: str) -> ObjectFacts | None:
        """Return what is known of an object, if it is there and came of the video's present attempt.

        Of one that is known to be ready any attempt's counts: a process that was frozen may write late.
        """
        facts = await self._storage.stat(video.bucket, name)
        if facts is None or video.outcome == "ready" or is_of_attempt(facts.metadata, video.attempt):
            return facts
        return None

    async def is_cancelled(self, video: Video) -> bool:
        """Return whether S3 says of a video's present attempt that it was cancelled."""
        failed = await self.find(video, failed_object(video.id))
        if failed is None:
            return False
        try:
            error = _error_of(await self._storage.get(video.bucket, failed.name))
        except Missing:
            return False
        return error is not None and error.code == "cancelled"

    async def note_ready(self, video: Video, facts: ObjectFacts) -> bool:
        """Remember that the result is there; return False when the video is cancelled, or tried again."""
        return await self._note(video, Seen("ready", facts.modified))

    async def note_failed(self, video: Video, facts: ObjectFacts, body: bytes) -> bool:
        """Remember that the video failed, and why; return as `note_ready` does."""
        error = _error_of(body)
        outcome: Outcome = "cancelled" if error and error.code == "cancelled" else "failed"
        return await self._note(video, Seen(outcome, facts.modified, error))

    async def _note(self, video: Video, seen: Seen) -> bool:
        if video.outcome in ("ready", seen.outcome):
            return True
        began = video.sent_at or video.created_at
        at = max(seen.at, began)  # S3 tells whole seconds, by a clock of its own
        is_new = await self._outbox.set_outcome(
            video.id, seen.outcome, attempt=video.attempt, at=at, error=seen.error
        )
        if is_new:
            logger.info(
                "video state changed",
                extra={
                    "video_id": video.id,
                    "before": video.client_status,
                    "state": seen.outcome,
                    "seconds": round((at - began).total_seconds(), 3),
                    "code": seen.error.code if seen.error else None,
                },
            )
            return True
        now = await self._outbox.get(video.id)
        return now is not None and now.attempt == video.attempt and now.outcome in ("ready", seen.outcome)


def _error_of(body: bytes) -> Failure | None:
    try:
        return msgspec.json.decode(body, type=_FailedDocument).error
    except msgspec.DecodeError:
        return None
