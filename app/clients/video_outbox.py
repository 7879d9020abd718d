"""What was asked for which video, and what came of it: `main_db.outbox` and `main_db.commands`.

One document is the atom. The API adds documents, an outbox worker claims those that are `new`,
publishes them and marks them `sent`. From the moment a video is deleted every question is answered as
if its id were unknown; its document goes when the pipeline has confirmed that everything is gone.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from app.clients.mongo import Document, Documents, Mongo, open_mongo
from app.clients.video_records import (
    Claimed,
    Cursor,
    Outcome,
    Page,
    Video,
    delete_command,
    to_claimed,
    to_video,
)
from app.domain.messages import Failure, Options
from app.errors import Conflict
from app.settings import Settings

__all__ = [
    "Claimed",
    "Cursor",
    "Outcome",
    "Page",
    "Video",
    "VideoOutbox",
    "open_video_outbox",
    "video_outbox",
]

DATABASE: Final = "main_db"

DELETE_AT_ONCE: Final = 500
"""Videos per round of a cleanup: few enough that one write fits into a request's time limit."""

DOUBLINGS: Final = 10
"""After ten times without an outcome a video is published again at a constant interval."""

ERROR_LENGTH: Final = 500
"""Characters of an error that are kept; a document is read often."""


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
        self._lease = lease
        self._clock = now

    def _now(self) -> datetime:
        """The time as Mongo keeps it, in whole milliseconds, so that what we wrote is what we find."""
        now = self._clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    async def prepare(self) -> None:
        """Create the indexes: one for each question below."""
        await self._videos.ensure_index([("deleted_at", 1), ("created_at", -1), ("_id", -1)])
        await self._videos.ensure_index([("status", 1), ("deleted_at", 1), ("created_at", 1)])
        await self._videos.ensure_index([("outcome", 1), ("status", 1), ("published_at", 1)])
        await self._videos.ensure_index([("outcome", 1), ("status", 1), ("created_at", 1), ("_id", 1)])
        await self._commands.ensure_index([("status", 1), ("created_at", 1)])
        await self._commands.ensure_index([("status", 1), ("kind", 1), ("published_at", 1)])
        await self._commands.ensure_index([("video_id", 1)])

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
        idempotency_key: str | None = None,
    ) -> Video:
        """Remember that a video is to be looked at; durable when this returns.

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
        known = {"filename": filename, "idempotency_key": idempotency_key}
        document |= {name: value for name, value in known.items() if value is not None}
        await self._videos.insert(document)
        return to_video(document)

    async def get(self, video_id: str) -> Video | None:
        """Return a video; None when it is unknown or deleted."""
        document = await self._videos.find_one({"_id": video_id, "deleted_at": None})
        return to_video(document) if document else None

    async def is_known(self, video_id: str) -> bool:
        """Return whether there is a document with this id, deleted ones included."""
        return await self._videos.find_one({"_id": video_id}, ["_id"]) is not None

    async def newest(self, *, limit: int, after: Cursor | None = None) -> Page:
        """Return some videos, newest first.

        Args:
            limit: how many at most.
            after: where the page before ended.
        """
        match: dict[str, Any] = {"deleted_at": None}
        if after is not None:
            match |= _beyond(after, "$lt")
        order = [("created_at", -1), ("_id", -1)]
        found = [to_video(item) for item in await self._videos.find(match, sort=order, limit=limit + 1)]
        last = found[limit - 1] if len(found) > limit else None
        return Page(found[:limit], (last.created_at, last.id) if last else None)

    async def total(self) -> int:
        """Return how many videos there are."""
        return await self._videos.count({"deleted_at": None})

    async def delete_one(self, video_id: str) -> bool:
        """Make a video unknown and ask the pipeline to remove it; return whether there was one."""
        document = await self._videos.find_one({"_id": video_id, "deleted_at": None})
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
        await self._commands.insert_missing([delete_command(document, now) for document in documents])
        return await self._videos.update_many(
            {"_id": {"$in": [document["_id"] for document in documents]}, "deleted_at": None},
            {"$set": {"deleted_at": now}},
        )

    # What came of it

    async def set_outcome(
        self, video_id: str, outcome: Outcome, *, at: datetime, error: Failure | None = None
    ) -> bool:
        """Remember what was seen in S3; return False when that was known, or the video is not.

        Args:
            video_id: whose outcome it is.
            outcome: what was seen.
            at: when it was written.
            error: why it failed.
        """
        facts = {"outcome": outcome, "outcome_at": at, "error": msgspec.to_builtins(error)}
        return await self._videos.update(
            {"_id": video_id, "outcome": None, "deleted_at": None},
            {"$set": {name: value for name, value in facts.items() if value is not None}},
        )

    async def without_outcome(self, *, limit: int, after: Cursor | None = None) -> list[Video]:
        """Return published videos of which nothing is known yet, oldest first."""
        match: dict[str, Any] = {"outcome": None, "status": "sent", "deleted_at": None}
        if after is not None:
            match |= _beyond(after, "$gt")
        order = [("created_at", 1), ("_id", 1)]
        return [to_video(item) for item in await self._videos.find(match, sort=order, limit=limit)]

    async def forget(self, video_id: str) -> None:
        """Remove a video and its commands, because the pipeline has confirmed that everything is gone."""
        await self._videos.delete({"_id": video_id})
        await self._commands.delete({"video_id": video_id})

    # What an outbox worker does

    async def claim(self, *, limit: int = 50) -> list[Claimed]:
        """Take what is new and nobody has taken, oldest first.

        Commands have half of it at most, so that new videos do not wait for a cleanup of thousands.
        """
        commands = await self._claim(self._commands, {"status": "new"}, limit=max(1, limit // 2))
        match = {"status": "new", "deleted_at": None}
        return commands + await self._claim(self._videos, match, limit=limit - len(commands))

    async def due_for_redrive(self, after: timedelta, *, limit: int = 50) -> list[Claimed]:
        """Take what was published, but of which nothing came.

        Args:
            after: how long ago it was published, doubled with each time it was published again.
            limit: how many at most.
        """
        due = _published_before(self._now(), after)
        match = {"status": "sent", "outcome": None, "deleted_at": None, "$or": due}
        videos = await self._claim(self._videos, match, limit=limit, order="published_at")
        deletes = {"status": "sent", "kind": "delete", "$or": due}
        rest = limit - len(videos)
        return videos + await self._claim(self._commands, deletes, limit=rest, order="published_at")

    async def _claim(
        self, documents: Documents, match: dict[str, Any], *, limit: int, order: str = "created_at"
    ) -> list[Claimed]:
        """A claim is a lease: the guarded update of two workers succeeds for one of them."""
        if limit <= 0:
            return []
        now = self._now()
        is_free = {"$or": [{"lease_until": None}, {"lease_until": {"$lte": now}}]}
        found = await documents.find({"$and": [match, is_free]}, sort=[(order, 1)], limit=limit)
        until = now + self._lease
        claimed = []
        for document in found:
            seen = {"_id": document["_id"], "status": document["status"]}
            seen["lease_until"] = document.get("lease_until")
            if await documents.update(seen, {"$set": {"lease_until": until}, "$inc": {"tries": 1}}):
                claimed.append(to_claimed(document, until, is_command=documents is self._commands))
        return claimed

    async def renew(self, claimed: Claimed) -> Claimed:
        """Hold a claim for another lease.

        Raises:
            Conflict: somebody else holds it, or it was published.
        """
        until = self._now() + self._lease
        if until == claimed.lease_until:
            return claimed
        if not await self._where(claimed).update(_held(claimed), {"$set": {"lease_until": until}}):
            raise Conflict(claimed.key)
        return replace(claimed, lease_until=until)

    async def mark_sent(self, claimed: Claimed) -> bool:
        """Note that the broker has it; return False when somebody else had noted that."""
        now = self._now()
        return await self._where(claimed).update(
            {"_id": claimed.key, "status": "new"},
            {
                "$set": {"status": "sent", "sent_at": now, "published_at": now},
                "$unset": {"lease_until": "", "last_error": ""},
            },
        )

    async def mark_redriven(self, claimed: Claimed) -> bool:
        """Note that the broker has it once more; return False when somebody else had noted that."""
        return await self._where(claimed).update(
            _held(claimed),
            {
                "$set": {"published_at": self._now()},
                "$inc": {"redrives": 1},
                "$unset": {"lease_until": "", "last_error": ""},
            },
        )

    async def note_error(self, claimed: Claimed, error: str) -> None:
        """Keep why it could not be published."""
        await self._where(claimed).update(_held(claimed), {"$set": {"last_error": error[:ERROR_LENGTH]}})

    async def release(self, claimed: Claimed) -> None:
        """Let anybody take it again."""
        await self._where(claimed).update(_held(claimed), {"$unset": {"lease_until": ""}})

    def _where(self, claimed: Claimed) -> Documents:
        return self._commands if claimed.is_command else self._videos


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


def _held(claimed: Claimed) -> dict[str, Any]:
    return {"_id": claimed.key, "lease_until": claimed.lease_until}


def _beyond(cursor: Cursor, operator: Literal["$lt", "$gt"]) -> dict[str, Any]:
    at, key = cursor
    return {"$or": [{"created_at": {operator: at}}, {"created_at": at, "_id": {operator: key}}]}


def _published_before(now: datetime, after: timedelta) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = [
        {"redrives": count, "published_at": {"$lte": now - after * 2**count}} for count in range(DOUBLINGS)
    ]
    last = {"redrives": {"$gte": DOUBLINGS}, "published_at": {"$lte": now - after * 2**DOUBLINGS}}
    return [*rules, last]
