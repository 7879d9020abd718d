"""Videos that are taken back: cancelled, and perhaps tried again afterwards.

A video is cancelled by one guarded update of its document, from which on it is cancelled for everybody who
asks. That nothing more happens to it is the pipeline's to do: a command says so, and is published again
until the reason lies in S3. Whoever dies between the two leaves a document that is `unconfirmed` and has no
command; `remind` gives it one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from app.clients.main_db.endings import end
from app.clients.main_db.video_records import Video, command, command_id, to_video
from app.clients.mongo import Document, Documents
from app.domain.failures import failure
from app.failpoints import failpoint

HISTORY: Final = 10
"""Earlier attempts that are remembered: a document is read often."""

OF_AN_ATTEMPT: Final = (
    *("outcome", "outcome_at", "error", "unconfirmed"),
    *("sent_at", "published_at", "lease_until", "last_error"),
)
"""Fields that the next attempt begins without."""


class Withdrawals:
    """Cancels videos and tries them again.

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
        """Create the index for what is not confirmed: it holds nothing else."""
        await self._videos.ensure_index([("unconfirmed", 1), ("_id", 1)], partial={"unconfirmed": True})

    async def cancel(self, video: Video) -> Video | None:
        """Make a video cancelled and ask the pipeline to stop; return it as it is then.

        It counts as sent, because nobody is to publish it any more.

        Returns:
            None when this attempt has ended meanwhile, or the video was deleted.
        """
        now = self._now()
        match = {"_id": video.id, "attempt": video.attempt, "outcome": None, "deleted_at": None}
        document = await self._videos.find_one(match)
        error, fields = failure("cancelled"), {"status": "sent", "unconfirmed": True}
        without = ("lease_until", "last_error")
        if document is None or not await end(
            self._videos, match, "cancelled", at=now, error=error, fields=fields, without=without
        ):
            return None
        open_ = {name: value for name, value in document.items() if name not in without}
        failpoint("cancel.marked", video.id)
        await self._commands.insert_missing([command(document, "cancel", now)])
        return replace(to_video(open_ | fields), outcome="cancelled", outcome_at=now, error=error)

    async def unconfirmed(self, *, limit: int, after: str = "") -> list[Video]:
        """Return cancelled videos of which the pipeline has not said that it is done, by their ids."""
        match: dict[str, Any] = {"unconfirmed": True, "deleted_at": None, "_id": {"$gt": after}}
        found = await self._videos.find(match, sort=[("_id", 1)], limit=limit)
        return [to_video(document) for document in found]

    async def remind(self, videos: Sequence[Video]) -> int:
        """Give a command to each cancelled video that has none; return how many there were."""
        if not videos:
            return 0
        ids = [command_id(video.id, video.attempt, "cancel") for video in videos]
        found = await self._commands.find({"_id": {"$in": ids}}, projection=["_id"])
        known = {document["_id"] for document in found}
        left = [video.id for video, key in zip(videos, ids, strict=True) if key not in known]
        if not left:
            return 0
        match = {"_id": {"$in": left}, "unconfirmed": True, "deleted_at": None}
        documents = await self._videos.find(match)
        now = self._now()
        if not documents:
            return 0
        return await self._commands.insert_missing([command(each, "cancel", now) for each in documents])

    async def confirm(self, video: Video) -> bool:
        """Note that nothing more happens to a cancelled video; return whether that is new."""
        await self._commands.delete({"_id": command_id(video.id, video.attempt, "cancel")})
        failpoint("cancel.confirmed", video.id)
        match = {"_id": video.id, "attempt": video.attempt, "unconfirmed": True}
        return await self._videos.update(match, {"$unset": {"unconfirmed": ""}})

    async def retry(self, video: Video) -> Video | None:
        """Let a video that failed or was cancelled be published anew, as its next attempt.

        Whatever is still on its way of an attempt before gives way to it.

        Returns:
            The video as it is then; None when it has moved meanwhile.
        """
        match = {"_id": video.id, "attempt": video.attempt, "deleted_at": None}
        document = await self._videos.find_one(match | {"outcome": {"$in": ["failed", "cancelled"]}})
        if document is None:
            return None
        fields = {"status": "new", "attempt": video.attempt + 1, "tries": 0, "redrives": 0}
        fields["history"] = [*document.get("history", []), _ended(document)][-HISTORY:]
        change = {"$set": fields, "$unset": dict.fromkeys(OF_AN_ATTEMPT, "")}
        after = await self._videos.update_and_get(match | {"outcome": document["outcome"]}, change)
        if after is None:
            return None
        failpoint("retry.marked", video.id)
        # Also without this nobody heeds it: what is asked of an older attempt changes nothing.
        await self._commands.delete({"_id": command_id(video.id, video.attempt, "cancel")})
        return to_video(after)


def _ended(document: Document) -> Document:
    names = ("attempt", "outcome", "outcome_at", "sent_at", "error")
    return {name: document[name] for name in names if name in document}
