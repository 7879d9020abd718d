"""What an outbox worker does with the documents of `main_db`: it takes them under a lease, and marks them.

A claim is a lease on a document; the guarded updates of two workers succeed for one of them. So two outbox
workers need not know of each other, and a dead one blocks nothing.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from app.clients.main_db.endings import end
from app.clients.main_db.video_records import Claimed, to_claimed
from app.clients.mongo import Documents
from app.domain.messages import Failure
from app.errors import Conflict

DOUBLINGS: Final = 10
"""After ten times without an outcome a video is published again at a constant interval."""

ERROR_LENGTH: Final = 500
"""Characters of an error that are kept; a document is read often."""


class Claims:
    """What is to be published, and by whom.

    Every method raises `Unavailable` when Mongo does not answer.

    Args:
        videos: the collection `outbox`.
        commands: the collection `commands`.
        lease: for how long a claim holds.
        now: the clock, in whole milliseconds as Mongo keeps them.
    """

    def __init__(
        self, *, videos: Documents, commands: Documents, lease: timedelta, now: Callable[[], datetime]
    ) -> None:
        self._videos = videos
        self._commands = commands
        self._lease = lease
        self._now = now

    async def take(self, *, limit: int = 50) -> list[Claimed]:
        """Take what is new and nobody has taken, oldest first.

        Commands have half of it at most, so that new videos do not wait for a cleanup of thousands.
        """
        commands = await self._claim(self._commands, {"status": "new"}, limit=max(1, limit // 2))
        match = {"status": "new", "deleted_at": None}
        return commands + await self._claim(self._videos, match, limit=limit - len(commands))

    async def take_overdue(self, after: timedelta, *, limit: int = 50) -> list[Claimed]:
        """Take what was published, but of which nothing came.

        Args:
            after: how long ago it was published, doubled with each time it was published again.
            limit: how many at most.
        """
        due = _published_before(self._now(), after)
        match: dict[str, Any] = {"status": "sent", "outcome": None, "deleted_at": None, "$or": due}
        videos = await self._claim(self._videos, match, limit=limit, order="published_at")
        commands: list[Claimed] = []
        for kind in ("delete", "cancel"):
            match = {"status": "sent", "kind": kind, "$or": due}
            rest = limit - len(videos) - len(commands)
            commands += await self._claim(self._commands, match, limit=rest, order="published_at")
        return videos + [each for each in commands if not await self._is_over(each)]

    async def oldest_new(self) -> datetime | None:
        """Return when the first video was accepted of those that are not published; None if there is none."""
        match = {"status": "new", "deleted_at": None}
        found = await self._videos.find(match, projection=["created_at"], sort=[("created_at", 1)], limit=1)
        return found[0]["created_at"] if found else None

    async def _is_over(self, command: Claimed) -> bool:
        """Drop a command that has nothing to wait for any more.

        A deletion may be asked for again while the video is forgotten. Of that video the pipeline knows only
        that it is deleted, so that it would never confirm it again. What was cancelled may be tried again, or
        confirmed, by somebody who dies before the command is gone.
        """
        match: dict[str, Any] = {"_id": command.asked.video_id}
        if command.asked.kind == "cancel":
            match |= {"attempt": command.asked.attempt, "unconfirmed": True}
        if await self._videos.find_one(match, ["_id"]):
            return False
        await self._commands.delete({"_id": command.key})
        return True

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
            seen["outcome"] = document.get("outcome")  # it may be cancelled meanwhile
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
            {"_id": claimed.key, "status": "new", "attempt": claimed.asked.attempt},
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

    async def refuse(self, claimed: Claimed, error: Failure) -> bool:
        """Let a video fail that cannot even be published; return False when it was published before.

        It counts as sent, because nobody is to publish it any more. A command has nobody who waits for it:
        it stays as `refused` for an operator.
        """
        match = {"_id": claimed.key, "status": "new", "attempt": claimed.asked.attempt}
        if claimed.is_command:
            facts = {"status": "refused", "last_error": error.message[:ERROR_LENGTH]}
            return await self._commands.update(match, {"$set": facts, "$unset": {"lease_until": ""}})
        return await end(
            self._videos,
            match,
            "failed",
            at=self._now(),
            error=error,
            fields={"status": "sent"},
            without=["lease_until"],
        )

    async def free(self, keys: Collection[str]) -> None:
        """Let anybody take at once what a worker had in hand when it died.

        Whoever has taken one of them meanwhile loses it, or both publish it, which does no harm.
        """
        for documents in (self._videos, self._commands):
            await documents.update_many({"_id": {"$in": list(keys)}}, {"$unset": {"lease_until": ""}})

    async def release(self, claimed: Claimed) -> None:
        """Let anybody take it again."""
        await self._where(claimed).update(_held(claimed), {"$unset": {"lease_until": ""}})

    def _where(self, claimed: Claimed) -> Documents:
        return self._commands if claimed.is_command else self._videos


def _held(claimed: Claimed) -> dict[str, Any]:
    return {"_id": claimed.key, "lease_until": claimed.lease_until}


def _published_before(now: datetime, after: timedelta) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = [
        {"redrives": count, "published_at": {"$lte": now - after * 2**count}} for count in range(DOUBLINGS)
    ]
    last = {"redrives": {"$gte": DOUBLINGS}, "published_at": {"$lte": now - after * 2**DOUBLINGS}}
    return [*rules, last]
