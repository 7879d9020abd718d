"""What was asked for which video, and what came of it: `main_db.outbox` and `main_db.commands`.

One document is the atom. The API adds documents, an outbox worker claims those that are `new`,
publishes them and marks them `sent`. From the moment a video is deleted every question is answered as
if its id were unknown; its document goes when the pipeline has confirmed that everything is gone.
"""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from app.clients.main_db.claims import Claims
from app.clients.main_db.endings import Endings, end
from app.clients.main_db.retirements import Retirements
from app.clients.main_db.video_pages import VideoPages, Wanted, find_beyond
from app.clients.main_db.video_records import (
    Cursor,
    Deletion,
    Page,
    Video,
    command,
    to_deletion,
    to_video,
)
from app.clients.main_db.withdrawals import Withdrawals
from app.clients.mongo import Document, Documents, Mongo, open_mongo
from app.domain.messages import Failure, Options
from app.domain.states import Outcome
from app.failpoints import failpoint
from app.settings import Settings

__all__ = [
    "Cursor",
    "Deletion",
    "Outcome",
    "Page",
    "Video",
    "VideoOutbox",
    "Wanted",
    "open_video_outbox",
    "video_outbox",
]

DATABASE: Final = "main_db"

DELETE_AT_ONCE: Final = 500
"""Videos per round of a cleanup: few enough that one write fits into a request's time limit."""


def _now() -> datetime:
    return datetime.now(UTC)


class VideoOutbox:
    """What was asked for which video.

    Every method raises `Unavailable` when Mongo does not answer.

    Args:
        videos: the collection `outbox`.
        commands: the collection `commands`.
        lease: for how long a claim holds.
        now: the clock.
    """

    def __init__(
        self,
        *,
        videos: Documents,
        commands: Documents,
        lease: timedelta,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._videos = videos
        self._commands = commands
        self._clock = now
        self.claims = Claims(videos=videos, commands=commands, lease=lease, now=self._now)
        self.withdrawals = Withdrawals(videos=videos, commands=commands, now=self._now)
        self.retirements = Retirements(videos=videos, commands=commands, now=self._now)
        self.pages = VideoPages(videos, now=self._now)
        self.endings = Endings(videos)

    def _now(self) -> datetime:
        """The time as Mongo keeps it, in whole milliseconds, so that what we wrote is what we find."""
        now = self._clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    async def prepare(self) -> None:
        """Create the indexes: one for each question below."""
        await self.pages.prepare()
        await self._videos.ensure_index([("status", 1), ("deleted_at", 1), ("created_at", 1)])
        await self._videos.ensure_index([("outcome", 1), ("status", 1), ("published_at", 1)])
        await self._commands.ensure_index([("status", 1), ("created_at", 1), ("_id", 1)])
        await self._commands.ensure_index([("status", 1), ("kind", 1), ("published_at", 1)])
        await self._commands.ensure_index([("video_id", 1)])
        await self.withdrawals.prepare()
        await self.retirements.prepare()
        await self.endings.prepare()

    # What clients ask for

    async def accept(
        self,
        *,
        video_id: str,
        bucket: str,
        object_name: str,
        input_owned: bool,
        media_type: str = "video",
        options: Options | None = None,
        filename: str | None = None,
        owner: str | None = None,
        webhook: str | None = None,
        tags: Sequence[str] = (),
    ) -> Video:
        """Remember that a video is to be looked at; durable when this returns.

        The owner is the id of the API key that it was asked for with, where there was one; the webhook a URL
        that is told of its end.

        Raises:
            Conflict: there is a video with this id.
        """
        payload = {"bucket": bucket, "object": object_name, "media_type": media_type}
        document: Document = {
            "_id": video_id,
            "status": "new",
            "payload": payload | ({"options": msgspec.to_builtins(options)} if options else {}),
            "attempt": 1,
            "input_owned": input_owned,
            "created_at": self._now(),
            "tries": 0,
            "redrives": 0,
        }
        known = {"filename": filename, "owner": owner, "tags": list(tags) or None}
        document |= {name: value for name, value in known.items() if value is not None}
        if webhook is not None:
            document["webhook"] = {"url": webhook}
        await self._videos.insert(document)
        return to_video(document)

    async def get(self, video_id: str, *, owner: str | None = None) -> Video | None:
        """Return a video; None when it is unknown or deleted, or not of this owner where one is named."""
        document = await self._videos.find_one({"_id": video_id, "deleted_at": None} | _of(owner))
        return to_video(document) if document else None

    async def is_known(self, video_id: str) -> bool:
        """Return whether there is a document with this id, deleted ones included."""
        return await self._videos.find_one({"_id": video_id}, ["_id"]) is not None

    async def is_deleted(self, video_id: str) -> bool:
        """Return whether a video was deleted, and the pipeline has not confirmed that yet."""
        return (
            await self._videos.find_one({"_id": video_id, "deleted_at": {"$ne": None}}, ["_id"]) is not None
        )

    async def known(self, video_ids: Collection[str]) -> set[str]:
        """Return those ids of which there is a document, deleted ones included."""
        found = await self._videos.find({"_id": {"$in": list(video_ids)}}, projection=["_id"])
        return {document["_id"] for document in found}

    async def settled(self, names: Collection[str]) -> set[str]:
        """Return those of these attempts, named `id` or `id/attempt`, that their documents have come to."""
        wanted = {name: name.partition("/") for name in names}
        ids = list({video_id for video_id, _, _ in wanted.values()})
        found = await self._videos.find({"_id": {"$in": ids}}, projection=["_id", "attempt"])
        reached = {document["_id"]: document.get("attempt", 1) for document in found}
        return {
            name
            for name, (video_id, _, attempt) in wanted.items()
            if reached.get(video_id, 0) >= int(attempt or 1)
        }

    async def newest(self, *, limit: int, after: Cursor | None = None, owner: str | None = None) -> Page:
        """Return some videos, newest first.

        Args:
            limit: how many at most.
            after: where the page before ended.
            owner: whose videos; everybody's when it is None.
        """
        match: dict[str, Any] = {"deleted_at": None} | _of(owner)
        documents = await find_beyond(self._videos, match, after, limit=limit + 1, direction=-1)
        found = [to_video(each) for each in documents]
        last = found[limit - 1] if len(found) > limit else None
        return Page(found[:limit], (last.created_at, last.id) if last else None)

    async def total(self, *, owner: str | None = None) -> int:
        """Return how many videos there are, of this owner where one is named."""
        return await self._videos.count({"deleted_at": None} | _of(owner))

    async def unfinished_of(self, owner: str, *, limit: int) -> set[str]:
        """Return the ids of videos of an owner that have neither a result nor a failure yet."""
        match = {"owner": owner, "outcome": None, "deleted_at": None}
        return {each["_id"] for each in await self._videos.find(match, projection=["_id"], limit=limit)}

    async def delete_one(self, video_id: str, *, owner: str | None = None) -> bool:
        """Make a video unknown and ask the pipeline to remove it; return whether there was one.

        Where an owner is named, others' videos are unknown.
        """
        document = await self._videos.find_one({"_id": video_id, "deleted_at": None} | _of(owner))
        return document is not None and await self._delete([document]) == 1

    async def delete_all(self) -> int:
        """Make every video unknown that exists now and ask the pipeline to remove them; return how many."""
        match = {"deleted_at": None, "created_at": {"$lte": self._now()}}
        count = 0
        while documents := await self._videos.find(match, limit=DELETE_AT_ONCE):
            count += await self._delete(documents)
        return count

    async def _delete(self, documents: Sequence[Document]) -> int:
        """First the commands, then the marks: a crash in between leaves videos that go a little later."""
        now = self._now()
        await self._commands.insert_missing([command(document, "delete", now) for document in documents])
        failpoint("deletion.asked")
        return await self._videos.update_many(
            {"_id": {"$in": [document["_id"] for document in documents]}, "deleted_at": None},
            {"$set": {"deleted_at": now}},
        )

    # What came of it

    async def set_outcome(
        self,
        video_id: str,
        outcome: Outcome,
        *,
        attempt: int,
        at: datetime,
        error: Failure | None = None,
    ) -> bool:
        """Remember what was seen in S3; return False when that was known, or the video is not.

        A result wins over a failure: what kills the outbox worker may have been published all the same. It
        does not win over a cancellation, which somebody was told.

        Args:
            video_id: whose outcome it is.
            outcome: what was seen.
            attempt: of which it is what came; nothing is changed when the video is at another one.
            at: when it was written.
            error: why it failed.
        """
        earlier = {"$in": [None, "failed"]} if outcome == "ready" else None
        match = {"_id": video_id, "attempt": attempt, "outcome": earlier, "deleted_at": None}
        return await end(self._videos, match, outcome, at=at, error=error)

    async def without_outcome(self, *, limit: int, after: Cursor | None = None) -> list[Video]:
        """Return published videos of which nothing is known yet, oldest first."""
        match = {"outcome": None, "status": "sent", "deleted_at": None}
        documents = await find_beyond(self._videos, match, after, limit=limit, direction=1)
        return [to_video(each) for each in documents]

    async def forget(self, video_id: str) -> bool:
        """Remove a video and its commands, because the pipeline has confirmed that everything is gone.

        Returns:
            Whether there was one; another process of the API may have been first.
        """
        # The commands first: if this process dies in between, the next one finds the video still.
        await self._commands.delete({"video_id": video_id})
        return await self._videos.delete({"_id": video_id}) > 0

    # What an operator does when Kafka has lost what was published

    async def waiting(self) -> int:
        """Return how many videos and commands are still to be published: none of them is lost."""
        videos = await self._videos.count({"status": "new", "deleted_at": None})
        return videos + await self._commands.count({"status": "new"})

    async def ask_again(self, video: Video) -> bool:
        """Let a video be published anew, as its next attempt; return False when it has moved meanwhile.

        Whatever is still on its way of an attempt before gives way to it.
        """
        match = {"_id": video.id, "status": "sent", "attempt": video.attempt}
        match |= {"outcome": None, "deleted_at": None}
        fields = {"status": "new", "attempt": video.attempt + 1, "redrives": 0}
        return await self._videos.update(match, _unclaimed(fields))

    async def unconfirmed_deletions(self, *, limit: int, after: Cursor | None = None) -> list[Deletion]:
        """Return published deletions and cancellations that the pipeline has not confirmed, oldest first."""
        documents = await find_beyond(self._commands, {"status": "sent"}, after, limit=limit, direction=1)
        return [to_deletion(each) for each in documents]

    async def delete_again(self, deletion: Deletion) -> bool:
        """Let a command be published anew; return False when it is done, or to be published anyway."""
        match = {"_id": deletion.id, "status": "sent"}
        return await self._commands.update(match, _unclaimed({"status": "new", "redrives": 0}))


@asynccontextmanager
async def open_video_outbox(settings: Settings) -> AsyncIterator[VideoOutbox]:
    """Yield the outbox in the server that the settings name; it connects when it is first used."""
    async with open_mongo(settings.mongo_uri) as mongo:
        yield video_outbox(mongo, settings)


def video_outbox(mongo: Mongo, settings: Settings) -> VideoOutbox:
    """Return the outbox in this server."""
    return VideoOutbox(
        videos=mongo.collection(DATABASE, "outbox"),
        commands=mongo.collection(DATABASE, "commands"),
        lease=settings.outbox_lease,
    )


def _of(owner: str | None) -> dict[str, Any]:
    return {} if owner is None else {"owner": owner}


def _unclaimed(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the change that sets these fields and voids the claim of whoever publishes it again just now."""
    return {"$set": fields, "$unset": {"lease_until": "", "last_error": ""}}
