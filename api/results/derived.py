"""What is computed from a result once, and kept beside it in S3: summaries and tracks.

A child computes, one for what takes seconds and one for what takes minutes; others wait for their turn.
Several APIs may compute the same at the same time: they write the same.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import Response

from api.openapi.answers import Computing
from api.problems import Busy
from api.transport.json_response import JsonResponse
from app.clients.main_db.video_outbox import Video, VideoOutbox
from app.clients.s3.storage import ObjectFacts, Storage
from app.domain.objects import (
    OURS,
    derived_object,
    detection_object,
)
from app.errors import KadrError, Missing
from app.exports.orders import Derived, Order
from app.exports.process import ExportFailed, open_export

logger = logging.getLogger(__name__)

NAMES: Final[Mapping[Derived, str]] = {
    "summary": "summary.v1.jsonl",
    "tracked": "tracked.v1.json",
    "tracks": "tracks.v1.json",
}
"""The objects. Whoever changes what is in one, or how it is computed, gives it a new version here."""

SOURCES: Final[Mapping[Derived, Derived | None]] = {"summary": None, "tracked": None, "tracks": "tracked"}
"""What each is computed from; None for the result."""

CPU_SECONDS: Final[Mapping[Derived, int]] = {"summary": 1800, "tracked": 6 * 3600, "tracks": 1800}
"""Processor time after which it is given up. Tracking takes some 0.06 ms an object."""

MEMORY: Final = 1 << 30
"""Bytes of data that such a child may have."""

OF: Final = "kadr-of"
"""S3 metadata: which result it was computed from."""

WITHIN: Final = 2.0
"""Seconds that a request waits for it: a short video's is there by then."""

RETRY_AFTER: Final = "2"
"""Seconds after which it is worth to ask again."""

MOST_WAITING: Final = 100
"""Results that are to be computed, at most."""

FAILED_FOR: Final = 60.0
"""Seconds for which what could not be computed is not tried again."""


COMPUTING: Final[dict[str, Any]] = {
    "model": Computing,
    "description": "It is computed; to be asked for again after `Retry-After` seconds.",
}
"""The same, for the OpenAPI document."""


@dataclass(frozen=True)
class _Lane:
    """What is computed one after the other."""

    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))


class Derivations:
    """Computes what is asked for, unless it is there.

    Args:
        storage: where it is kept.
        outbox: says whether its video is still there.
    """

    def __init__(self, storage: Storage, outbox: VideoOutbox) -> None:
        self._storage = storage
        self._outbox = outbox
        self._quick, self._slow = _Lane(), _Lane()
        self._under_way: dict[tuple[str, Derived], asyncio.Task[None]] = {}
        self._failed: dict[tuple[str, Derived], tuple[float, ExportFailed]] = {}

    async def find(self, video: Video, result: ObjectFacts, what: Derived) -> ObjectFacts | None:
        """Return what is known of it when it is there, or soon is; None while it is computed.

        Raises:
            ExportFailed: it could not be computed, a moment ago.
            Busy: too many wait already.
            Unavailable: S3 does not answer.
        """
        found = await self._stat(video, what, version_of(result))
        if found is not None:
            return found
        task = self._under_way.get((video.id, what)) or self._begin(video, result, what)
        await asyncio.wait([task], timeout=WITHIN)
        if not task.done():
            return None
        task.result()
        return await self._stat(video, what, version_of(result))

    def _begin(self, video: Video, result: ObjectFacts, what: Derived) -> asyncio.Task[None]:
        key = (video.id, what)
        until, failed = self._failed.get(key, (0.0, None))
        if failed is not None and time.monotonic() < until:
            raise failed
        if len(self._under_way) >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} results are to be computed before this one")
        task = asyncio.create_task(self._compute(video, version_of(result), what), name=f"derive {what}")
        self._under_way[key] = task

        def note(done: asyncio.Task[None]) -> None:
            del self._under_way[key]
            if not done.cancelled():
                self._note(key, done.exception())

        task.add_done_callback(note)
        return task

    def _note(self, key: tuple[str, Derived], error: BaseException | None) -> None:
        now = time.monotonic()
        self._failed = {known: failed for known, failed in self._failed.items() if failed[0] > now}
        if isinstance(error, ExportFailed):
            self._failed[key] = now + FAILED_FOR, error
        facts = {"video_id": key[0], "what": key[1], "cause": str(error)}
        if isinstance(error, KadrError):
            logger.warning("not computed", extra=facts)
        elif error is not None:
            logger.error("not computed", extra=facts, exc_info=error)

    async def _compute(self, video: Video, version: str, what: Derived) -> None:
        lane = self._quick if what == "summary" else self._slow
        async with lane.turn:
            source = SOURCES[what]
            if source is not None:
                await self._write(video, version, source)
            await self._write(video, version, what)

    async def _write(self, video: Video, version: str, what: Derived) -> None:
        if await self._stat(video, what, version) is not None:
            return
        begun, source = time.monotonic(), SOURCES[what]
        read = detection_object(video.id) if source is None else derived_object(video.id, NAMES[source])
        name = derived_object(video.id, NAMES[what])
        order = Order(what, cpu_seconds=CPU_SECONDS[what], memory=MEMORY)
        async with (
            self._storage.stream(video.bucket, read) as (_, pieces),
            open_export(order, pieces) as written,
        ):
            size = await self._storage.put_stream(
                video.bucket, name, written, content_type="application/json", metadata={**OURS, OF: version}
            )
        if await self._outbox.get(video.id) is None:  # deleted meanwhile, perhaps before this was there
            await self._storage.delete(video.bucket, name)
            raise Missing(video.id)
        facts = {"video_id": video.id, "what": what, "bytes": size}
        logger.info("computed", extra={**facts, "seconds": round(time.monotonic() - begun, 3)})

    async def _stat(self, video: Video, what: Derived, version: str) -> ObjectFacts | None:
        facts = await self._storage.stat(video.bucket, derived_object(video.id, NAMES[what]))
        return facts if facts is not None and facts.metadata.get(OF) == version else None

    async def finish(self) -> None:
        """End what is under way; it is computed again when it is asked for again."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@asynccontextmanager
async def open_derivations(storage: Storage, outbox: VideoOutbox) -> AsyncIterator[Derivations]:
    """Yield what computes, and end it."""
    derivations = Derivations(storage, outbox)
    try:
        yield derivations
    finally:
        await derivations.finish()


def computing() -> Response:
    """Return what is answered meanwhile."""
    return JsonResponse({"status": "computing"}, 202, {"Retry-After": RETRY_AFTER})


def version_of(result: ObjectFacts) -> str:
    """Return what tells a result from another one of the same video."""
    return f"{result.size}-{int(result.modified.timestamp())}"
