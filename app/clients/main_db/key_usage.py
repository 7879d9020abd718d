"""What each API key has used of what it may: `main_db.api_usage`, one document per key with a quota.

A video is charged to its key before its document is written, in one step that only succeeds when nobody
else has charged anything meanwhile. Whoever dies between the two leaves bytes that are counted although
the video is not there, and a place that is free again after `RESERVED_FOR`.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.mongo import Document, Documents, Mongo
from app.domain.api_keys import ApiKey, Quotas
from app.errors import Conflict, Rejected, Unavailable

DATABASE: Final = "main_db"

RESERVED_FOR: Final = timedelta(minutes=1)
"""Between the charge and the video's document lies one write of 2.5 s at most, or the end of a process."""

TRIES: Final = 50
"""Charges of one key at the same time: each round, one of them succeeds."""

LONGEST_PAUSE: Final = 0.05
"""Seconds between two tries, at most."""

PLACE_FREE_AFTER: Final = timedelta(seconds=30)
"""When to ask again where too many videos wait: about as long as a short one takes."""


class OverQuota(Rejected):
    """A key has used what it may, for now.

    Args:
        reason: a sentence for people.
        again_in: when it is worth to ask again.
    """

    def __init__(self, reason: str, *, again_in: timedelta) -> None:
        self.again_in = again_in
        super().__init__("over_quota", reason)


@dataclass(frozen=True)
class _Used:
    """What a key has used; `reserved` are videos that were charged and may not have a document yet."""

    turn: int
    day: str
    bytes: int
    reserved: dict[str, datetime]


def _now() -> datetime:
    return datetime.now(UTC)


class KeyUsage:
    """What keys have used. Every method raises `Unavailable` when Mongo does not answer.

    Args:
        usage: the collection `api_usage`.
        outbox: knows which videos wait.
        now: the clock.
    """

    def __init__(self, usage: Documents, outbox: VideoOutbox, *, now: Callable[[], datetime] = _now) -> None:
        self._usage = usage
        self._outbox = outbox
        self._now = now

    async def room(self, key: ApiKey | None) -> int | None:
        """Return how many bytes a key may still upload today; None when nothing bounds that.

        Raises:
            OverQuota: none, or too many of its videos wait.
        """
        if key is None or key.quotas == Quotas():
            return None
        used = await self._read(key.id)
        await self._check_places(key, await self._reservations(used))
        if key.quotas.bytes_per_day is None:
            return None
        left = key.quotas.bytes_per_day - used.bytes
        if left <= 0:
            raise self.too_many_bytes(key)
        return left

    async def charge(self, key: ApiKey | None, video_id: str, size: int) -> None:
        """Charge a video to its key; the same video again costs nothing.

        Args:
            key: whose it is; None for a video without a key.
            video_id: whose document is written next; of a further attempt, `id/attempt`.
            size: in bytes.

        Raises:
            OverQuota: it would be more than the key may use; nothing was charged.
        """
        if key is None or key.quotas == Quotas():
            return
        for _ in range(TRIES):
            used = await self._read(key.id)
            if video_id in used.reserved:
                return
            reserved = await self._reservations(used)
            await self._check_places(key, reserved)
            total = used.bytes + size
            if key.quotas.bytes_per_day is not None and total > key.quotas.bytes_per_day:
                raise self.too_many_bytes(key)
            after = _Used(used.turn + 1, used.day, total, reserved | {video_id: self._now()})
            if await self._replace(key.id, used, after):
                return
            await asyncio.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311 - spreads the tries
        raise Unavailable("Mongo", f"{TRIES} others were faster")

    async def check_pending(self, key: ApiKey, *, videos: int, size: int) -> None:
        """Return if uploads that are under way, and one more, would still fit.

        Args:
            key: whose they are.
            videos: how many are under way.
            size: bytes of all of them, and of the new one.

        Raises:
            OverQuota: they would not.
        """
        room = await self.room(key)
        if room is not None and size > room:
            raise self.too_many_bytes(key)
        most = key.quotas.max_waiting
        if most is not None and videos + len(await self._outbox.unfinished_of(key.id, limit=most)) >= most:
            raise _too_many_videos(most)

    def too_many_bytes(self, key: ApiKey) -> OverQuota:
        """Return the error for a key that has used its bytes of today."""
        now = self._now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        reason = f"This key may upload {key.quotas.bytes_per_day} bytes per day (UTC)."
        return OverQuota(reason, again_in=midnight - now)

    async def _reservations(self, used: _Used) -> dict[str, datetime]:
        """Return those that still count: recent, and without a document."""
        fresh = self._now() - RESERVED_FOR
        recent = {video_id: at for video_id, at in used.reserved.items() if at > fresh}
        settled = await self._outbox.settled(recent.keys()) if recent else set()
        return {video_id: at for video_id, at in recent.items() if video_id not in settled}

    async def _check_places(self, key: ApiKey, reserved: dict[str, datetime]) -> None:
        """Return if there is a place for one more video.

        One that got its document since the reservations were read is counted once all the same: by its id.
        """
        most = key.quotas.max_waiting
        if most is None:
            return
        waiting = await self._outbox.unfinished_of(key.id, limit=most)
        if len(waiting | {name.partition("/")[0] for name in reserved}) >= most:
            raise _too_many_videos(most)

    async def _read(self, key_id: str) -> _Used:
        today = self._now().date().isoformat()
        document = await self._usage.find_one({"_id": key_id})
        if document is None:
            return _Used(0, today, 0, {})
        is_today = document["day"] == today
        return _Used(document["turn"], today, document["bytes"] if is_today else 0, document["reserved"])

    async def _replace(self, key_id: str, before: _Used, after: _Used) -> bool:
        """Write what is used, unless somebody else has written meanwhile."""
        fields: dict[str, Any] = {
            "turn": after.turn,
            "day": after.day,
            "bytes": after.bytes,
            "reserved": after.reserved,
        }
        if before.turn == 0:
            document: Document = {"_id": key_id} | fields
            try:
                await self._usage.insert(document)
            except Conflict:
                return False
            return True
        return await self._usage.update({"_id": key_id, "turn": before.turn}, {"$set": fields})


def key_usage(mongo: Mongo, outbox: VideoOutbox) -> KeyUsage:
    """Return what keys have used, in this server."""
    return KeyUsage(mongo.collection(DATABASE, "api_usage"), outbox)


def _too_many_videos(most: int) -> OverQuota:
    return OverQuota(f"This key may have {most} videos waiting for a result.", again_in=PLACE_FREE_AFTER)
