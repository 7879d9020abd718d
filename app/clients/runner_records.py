"""What the runner knows of each video: `runner_db.runner_predictions`, read and written under guards.

(attempt, status) only moves forward: every update carries in its filter the states it may start from, so a
late write of a frozen process changes nothing.
"""

import itertools
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import msgspec

from app.clients.mongo import Document, Mongo, open_mongo
from app.domain.messages import Failure, VideoAsked, VideoFacts
from app.domain.progress import BEFORE, Status
from app.domain.records import Record, frames_left
from app.errors import Conflict
from app.settings import Settings

DATABASE: Final = "runner_db"
COLLECTION: Final = "runner_predictions"

COUNTED: Final = 1000
"""Videos that wait, which are counted at most: how many more there are changes nothing for who waits."""

OPEN: Final = {"$in": ["processing", "predictable"]}
"""States in which frames may be decoded: also when all had arrived, if rows were lost afterwards."""

SHORTEST_FIRST: Final = [("split_left", 1), ("created_at", 1)]
"""Those of which nothing is known come first; of equally long ones the oldest."""

WRITTEN_ONLY: Final = ("output_s3",)
"""Fields of a finished video that are there for people; nothing here reads them."""


class RunnerRecords:
    """The records. Open them with `open_runner_records`; every method may raise `Unavailable`.

    Args:
        mongo: the server.
        owner: who claims splits: unique for each process.
        lease: for how long a claim holds unless renewed.
    """

    def __init__(self, mongo: Mongo, owner: str, lease: timedelta) -> None:
        self._mongo = mongo
        self._documents = mongo.collection(DATABASE, COLLECTION)
        self._owner = owner
        self._lease = lease
        self._claims = itertools.count(1)

    async def ping(self) -> None:
        """Return if the server answers."""
        await self._mongo.ping()

    async def prepare(self) -> None:
        """Create the indexes for checks and claims: they hold only videos in work.

        The one in the order of claims lets MongoDB stop after the few that are asked for, however many wait.
        """
        await self._documents.ensure_index(
            [("status", 1), ("split_ended", 1), ("split_lease_until", 1)], partial={"status": "processing"}
        )
        await self._documents.ensure_index(
            [("status", 1), ("split_lease_until", 1)], partial={"split_ended": False}
        )
        await self._documents.ensure_index(SHORTEST_FIRST, partial={"split_ended": False})
        await self._documents.ensure_index(
            [("status", 1), ("split_owner", 1), ("decoding_at", 1), ("created_at", 1)],
            partial={"split_ended": False},
        )

    async def get(self, video_id: str) -> Record | None:
        """Return a record; None when there is none."""
        found = await self._documents.find_one({"_id": video_id})
        return None if found is None else _record(found)

    async def is_deleted(self, video_id: str) -> bool:
        """Return whether a video was deleted, as far as it has come to the runner."""
        found = await self._documents.find_one({"_id": video_id}, ["status"])
        return found is not None and found["status"] == "deleted"

    async def accept(self, asked: VideoAsked) -> bool:
        """Begin an attempt at a video; return False when this one, or a later one, is known already."""
        now = datetime.now(UTC)
        fresh = {
            "attempt": asked.attempt,
            "status": "processing",
            "bucket": asked.bucket,
            "object": asked.object,
            "input_owned": asked.input_owned,
            "options": msgspec.to_builtins(asked.options),
            "total_frames": None,
            "received_frames": 0,
            "split_frames": 0,
            "expected_frames": None,
            "split_left": 0,
            "split_ended": False,
            "split_tries": 0,
            "split_owner": None,
            "split_lease_until": now,
            "checks": 0,
            "only": None,
            "video": None,
            "error": None,
            "decoding_at": None,
            "decoded_at": None,
            "detected_at": None,
            "ready_at": None,
            "created_at": now,
            "updated_at": now,
        }
        match = {"_id": asked.video_id, "attempt": {"$lt": asked.attempt}, "status": {"$ne": "deleted"}}
        change = {"$set": fresh, "$unset": dict.fromkeys(WRITTEN_ONLY, "")}
        try:
            return await self._documents.update(match, change, upsert=True)
        except Conflict:
            return False

    async def advance(
        self, video_id: str, attempt: int, status: Status, *, error: Failure | None = None, **changes: object
    ) -> bool:
        """Move a record forward; return False when it is already there or further."""
        fields: Document = {"status": status, "updated_at": datetime.now(UTC), **changes}
        if status == "predictable":
            fields["detected_at"] = fields["updated_at"]
        if error is not None:
            fields["error"] = msgspec.to_builtins(error)
        match = {"_id": video_id, "attempt": attempt, "status": {"$in": list(BEFORE[status])}}
        return await self._documents.update(match, {"$set": fields})

    async def withdraw(self, asked: VideoAsked, status: Status, error: Failure | None) -> bool:
        """Cancel or delete a video, also one that was never accepted, so that a late submit finds it.

        A deletion takes everything from the record but its tombstone, whatever attempt it is at: a deleted
        id is never used again.
        """
        now = datetime.now(UTC)
        fields: Document = {"attempt": asked.attempt, "status": status, "updated_at": now}
        if error is not None:
            fields["error"] = msgspec.to_builtins(error)
        kept = {"_id", *fields, "created_at"}
        everything = {*Record.__struct_encode_fields__, *WRITTEN_ONLY}
        gone = everything - kept if status == "deleted" else {*WRITTEN_ONLY}
        change: Document = {"$set": fields, "$unset": dict.fromkeys(gone, "")}
        change["$setOnInsert"] = {"created_at": now}
        if status != "deleted":  # a record that is new here has to say which bucket the reason is written to
            place = {"bucket": asked.bucket, "object": asked.object, "input_owned": asked.input_owned}
            change["$setOnInsert"] |= place
        allowed: list[Document] = [
            {"attempt": {"$lte": asked.attempt}, "status": {"$in": list(BEFORE[status])}},
            {"attempt": {"$lt": asked.attempt}, "status": {"$ne": "deleted"}},
        ]
        try:
            return await self._documents.update({"_id": asked.video_id, "$or": allowed}, change, upsert=True)
        except Conflict:
            return status == "deleted" and await self._delete_later_attempt(asked, change)

    async def _delete_later_attempt(self, asked: VideoAsked, change: Document) -> bool:
        """Delete a video that was tried again at the moment in which somebody deleted it."""
        later = {"_id": asked.video_id, "attempt": {"$gt": asked.attempt}, "status": {"$ne": "deleted"}}
        fields = {name: value for name, value in change["$set"].items() if name != "attempt"}
        return await self._documents.update(later, {"$set": fields, "$unset": change["$unset"]})

    async def claim_splits(self, limit: int, *, first: str | None = None) -> list[Record]:
        """Take splits that nobody works on: those with the fewest frames left first, then the oldest.

        A suspect one is taken alone, so that no other is blamed for what it does. Each claim is one of its
        own: who held a split before has lost it, also when that was this very process.

        Args:
            limit: most to take.
            first: a video that this process has just accepted, to be tried before the others.
        """
        if limit <= 0:
            return []
        now = datetime.now(UTC)
        match = _waiting(now) if first is None else _waiting(now) | {"_id": first}
        waiting = await self._documents.find(match, sort=SHORTEST_FIRST, limit=4 * limit)
        claimed: list[Record] = []
        for document in waiting:
            is_suspect = _record(document).is_suspect
            if len(claimed) == limit or (is_suspect and claimed):
                break
            if record := await self._claim(document, now):
                claimed.append(record)
                if is_suspect:
                    break
        return claimed

    async def next_waiting(self) -> Record | None:
        """Return the next split to be claimed; None when none waits."""
        found = await self._documents.find(_waiting(datetime.now(UTC)), sort=SHORTEST_FIRST, limit=1)
        return _record(found[0]) if found else None

    async def unopened(self) -> list[datetime]:
        """Return when the videos that nobody has opened yet were accepted: the oldest `COUNTED`, in order."""
        match = {"status": "processing", "split_ended": False, "split_owner": None, "decoding_at": None}
        found = await self._documents.find(
            match, projection=["created_at"], sort=[("created_at", 1)], limit=COUNTED
        )
        return [each["created_at"] for each in found]

    async def _claim(self, document: Document, now: datetime) -> Record | None:
        match = {
            "_id": document["_id"],
            "attempt": document["attempt"],
            "status": OPEN,
            "split_ended": False,
            "split_lease_until": {"$lte": now},
        }
        claim = f"{self._owner}:{next(self._claims)}"
        change = {"$set": {"split_owner": claim, "split_lease_until": now + self._lease}}
        if not await self._documents.update(match, change):
            return None
        return msgspec.structs.replace(_record(document), claim=claim)

    async def renew_split(self, record: Record, split_frames: int, *, expected: int | None = None) -> bool:
        """Keep a split and note how far it is; False means that it is ours no longer.

        Who gets further has not been killed by the video: only deaths at one and the same place count.

        Args:
            record: as it was claimed.
            split_frames: how far it is.
            expected: sampled frames that the video has according to its file, where that is known.
        """
        now = datetime.now(UTC)
        fields = {"split_lease_until": now + self._lease, "split_frames": split_frames, "updated_at": now}
        fields |= _lengths(record, split_frames, expected)
        if split_frames > record.split_frames:
            fields["split_tries"] = 1
        return await self._documents.update(_held(record), {"$set": fields})

    async def count_try(self, record: Record) -> bool:
        """Count a decoding child before it is started, in case that it takes us with it."""
        change: Document = {"$inc": {"split_tries": 1}}
        if record.decoding_at is None:
            change["$set"] = {"decoding_at": datetime.now(UTC)}
        return await self._documents.update(_held(record), change)

    async def release_split(
        self,
        record: Record,
        split_frames: int,
        *,
        tries: int,
        expected: int | None = None,
        pause: timedelta = timedelta(),
    ) -> bool:
        """Give a split back, to be taken up from where it is.

        Args:
            record: as it was claimed.
            split_frames: how far it is.
            tries: children that have died at this place.
            expected: sampled frames that the video has according to its file.
            pause: for how long nobody is to take it up.
        """
        fields = {
            "split_owner": None,
            "split_lease_until": datetime.now(UTC) + pause,
            "split_frames": split_frames,
            "split_tries": tries,
        } | _lengths(record, split_frames, expected)
        return await self._documents.update(_held(record), {"$set": fields})

    async def end_split(self, record: Record, facts: VideoFacts) -> bool:
        """Note that every task of a video is on the broker."""
        now = datetime.now(UTC)
        fields = {
            "split_ended": True,
            "only": None,
            "split_frames": facts.sampled,
            "total_frames": facts.sampled,
            "video": msgspec.to_builtins(facts),
            "decoded_at": record.decoded_at or now,
            "updated_at": now,
        }
        return await self._documents.update(_held(record), {"$set": fields})

    async def reopen_split(self, video_id: str, attempt: int, frames: list[int]) -> bool:
        """Let these frames of a video whose split has ended be decoded once more."""
        match = {"_id": video_id, "attempt": attempt, "status": OPEN, "split_ended": True}
        now = datetime.now(UTC)
        fields: Document = {"split_ended": False, "only": frames, "split_owner": None, "split_tries": 0}
        fields["split_left"] = len(frames)
        change = {"$set": {**fields, "split_lease_until": now, "updated_at": now}}
        return await self._documents.update(match, change)

    async def note_received(self, video_id: str, attempt: int, frames: int) -> None:
        """Note how many frames the table holds; a smaller number than before changes nothing."""
        match = {
            "_id": video_id,
            "attempt": attempt,
            "status": "processing",
            "received_frames": {"$lt": frames},
        }
        change = {"$set": {"received_frames": frames, "checks": 0, "updated_at": datetime.now(UTC)}}
        await self._documents.update(match, change)

    async def stalled(self, since: datetime, limit: int) -> list[Record]:
        """Return videos whose split has ended and that have not moved since a time."""
        match = {"status": OPEN, "split_ended": True, "updated_at": {"$lt": since}}
        return [_record(each) for each in await self._documents.find(match, limit=limit)]

    async def count_check(self, record: Record) -> bool:
        """Note that missing frames of a stalled video are looked for; False when it has moved meanwhile."""
        match = {
            "_id": record.video_id,
            "attempt": record.attempt,
            "status": OPEN,
            "updated_at": record.updated_at,
        }
        change = {"$inc": {"checks": 1}, "$set": {"updated_at": datetime.now(UTC)}}
        return await self._documents.update(match, change)

    async def purge_tombstones(self, before: datetime) -> int:
        """Remove what is left of videos that were deleted before a time."""
        return await self._documents.delete({"status": "deleted", "updated_at": {"$lt": before}})


@asynccontextmanager
async def open_runner_records(settings: Settings) -> AsyncIterator[RunnerRecords]:
    """Connect to runner_db.

    Args:
        settings: where it is, and how long a lease holds.
    """
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
    async with open_mongo(settings.runner_mongo_uri) as mongo:
        records = RunnerRecords(mongo, owner, settings.split_lease)
        await records.prepare()
        yield records


def _lengths(record: Record, split_frames: int, expected: int | None) -> Document:
    """Return what is known of a video's length, once so many of its frames are split."""
    total = record.expected_frames if expected is None else expected
    left = len(record.only) if record.only else frames_left(split_frames, total)
    return {"split_left": left} | ({} if total is None else {"expected_frames": total})


def _waiting(now: datetime) -> Document:
    return {"status": OPEN, "split_ended": False, "split_lease_until": {"$lte": now}}


def _held(record: Record) -> Document:
    """Return what matches a split as long as the claim by which it was taken holds it."""
    return {
        "_id": record.video_id,
        "attempt": record.attempt,
        "status": OPEN,
        "split_owner": record.claim,
    }


def _record(document: Document) -> Record:
    return msgspec.convert(document, Record, strict=False)
