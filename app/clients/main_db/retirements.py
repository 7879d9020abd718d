"""Videos whose time is over: marked as deleted, and the pipeline asked to remove them.

Unlike a deletion that a client asks for, this one must not win against a retry. So the mark comes first,
in an update that looks once more whether the video has ended long enough ago, and the command afterwards.
Whoever dies between the two leaves a video that is `retired`; the next round of anybody gives it its command.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final

from app.clients.main_db.video_records import Video, command, to_video
from app.clients.mongo import Document, Documents
from app.failpoints import failpoint

AT_ONCE: Final = 100
"""Videos per question: few enough that one write fits into the time limit of a call."""


class Retirements:
    """Deletes what has ended long ago. Several processes may do so at the same time.

    Every method raises `Unavailable` when Mongo does not answer.

    Args:
        videos: the collection `outbox`.
        commands: the collection `commands`.
        now: the clock, in whole milliseconds as Mongo keeps them.
    """

    def __init__(self, *, videos: Documents, commands: Documents, now: Callable[[], datetime]) -> None:
        self._videos = videos
        self._commands = commands
        self._now = now

    async def prepare(self) -> None:
        """Create the indexes: by the time of the end, and of those that wait for their command."""
        await self._videos.ensure_index(
            [("deleted_at", 1), ("outcome_at", 1)], partial={"outcome_at": {"$exists": True}}
        )
        await self._videos.ensure_index([("retired", 1)], partial={"retired": True})

    async def ended(self, *, after: datetime, before: datetime) -> list[Video]:
        """Return some of the videos that ended between two times, the earliest first."""
        match = {"deleted_at": None, "outcome_at": {"$gt": after, "$lt": before}}
        found = await self._videos.find(match, sort=[("outcome_at", 1)], limit=AT_ONCE)
        return [to_video(document) for document in found]

    async def retire(self, video_ids: Collection[str], *, before: datetime) -> int:
        """Make videos unknown that still have ended before a time; return how many these were."""
        match = {"_id": {"$in": list(video_ids)}, "deleted_at": None, "outcome_at": {"$lt": before}}
        count = await self._videos.update_many(match, {"$set": {"deleted_at": self._now(), "retired": True}})
        failpoint("retention.marked")
        return count

    async def ask(self) -> int:
        """Ask the pipeline to remove retired videos; return how many it had not been asked for."""
        count = 0
        while documents := await self._videos.find({"retired": True}, limit=AT_ONCE):
            count += await self._ask(documents)
        return count

    async def _ask(self, documents: list[Document]) -> int:
        now = self._now()
        asked = await self._commands.insert_missing([command(each, "delete", now) for each in documents])
        failpoint("retention.asked")
        ids = [document["_id"] for document in documents]
        await self._videos.update_many({"_id": {"$in": ids}}, {"$unset": {"retired": ""}})
        return asked
