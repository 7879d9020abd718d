"""Uploads that go to S3 without us and are not videos yet: `main_db.uploads`.

open <──complete──> completing ──> a video (the record goes)
  └────────────┬────────┘
               └──aborted, refused or expired──> given up ──> nothing (parts, object and record go)

Who moves a record on is the one whose guarded update succeeds: an upload that a sweep has given up is never
completed, and one that is being completed does not expire.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from app.clients.mongo import Document, Documents, Mongo
from app.clients.s3.storage import UploadKey
from app.domain.objects import (
    input_object,
)
from app.domain.options import Options

DATABASE: Final = "main_db"

EXPIRES_AFTER: Final = timedelta(hours=24)
"""Since it was begun, or since URLs of more parts were asked for."""

HELD_FOR: Final = timedelta(minutes=10)
"""How long completing may take at least; a server puts 10,000 parts together in less."""


@dataclass(frozen=True)
class DirectUpload:
    """An upload that goes to S3 without us.

    Attributes:
        id: of the upload, and of the video that it will be.
        size: in bytes, as it was announced and is signed.
        s3_upload: the server's name of an upload in parts; None for a single request.
        part_size: bytes of each part but the last; 0 for a single request.
        owner: id of the API key; None where there was none.
        options: what is chosen for the video; None in records of version 0.2 and before.
        tags: words to find the video by.
        webhook: address that is told what came of it.
    """

    id: str
    bucket: str
    size: int
    filename: str | None
    s3_upload: str | None
    part_size: int
    owner: str | None
    created_at: datetime
    expires_at: datetime
    options: Options | None = None
    tags: tuple[str, ...] = ()
    webhook: str | None = None

    @property
    def object(self) -> str:
        """The name of its object."""
        return input_object(self.id)

    @property
    def key(self) -> UploadKey | None:
        """What the server calls an upload in parts."""
        return UploadKey(self.bucket, self.object, self.s3_upload) if self.s3_upload else None

    @property
    def part_count(self) -> int:
        """How many parts there will be; 0 for a single request."""
        return -(-self.size // self.part_size) if self.part_size else 0

    def size_of(self, number: int) -> int:
        """Return the bytes of a part, counted from 1."""
        return min(self.part_size, self.size - (number - 1) * self.part_size)


def _now() -> datetime:
    return datetime.now(UTC)


class DirectUploads:
    """The uploads. Every method raises `Unavailable` when Mongo does not answer.

    Args:
        uploads: the collection `uploads`.
        now: the clock.
    """

    def __init__(self, uploads: Documents, *, now: Callable[[], datetime] = _now) -> None:
        self._uploads = uploads
        self.now = now

    async def prepare(self) -> None:
        """Create the indexes: one for each question below."""
        await self._uploads.ensure_index([("expires_at", 1)])
        await self._uploads.ensure_index([("owner", 1), ("status", 1)])

    async def begin(self, upload: DirectUpload) -> None:
        """Remember an upload; durable when this returns."""
        document: Document = {
            "_id": upload.id,
            "status": "open",
            "bucket": upload.bucket,
            "size": upload.size,
            "filename": upload.filename,
            "s3_upload": upload.s3_upload,
            "part_size": upload.part_size,
            "owner": upload.owner,
            "created_at": upload.created_at,
            "expires_at": upload.expires_at,
            "options": msgspec.to_builtins(upload.options),
            "tags": list(upload.tags),
            "webhook": upload.webhook,
        }
        await self._uploads.insert(document)

    async def get(self, upload_id: str, *, owner: str | None = None) -> DirectUpload | None:
        """Return an upload that is not over; one of this owner where one is named."""
        document = await self._uploads.find_one(self._going_on(upload_id) | _of(owner))
        return _to_upload(document) if document else None

    async def pending_of(self, owner: str) -> list[DirectUpload]:
        """Return the uploads of an owner that are not over."""
        match = {"owner": owner, "status": {"$in": ["open", "completing"]}, "expires_at": {"$gt": self.now()}}
        return [_to_upload(document) for document in await self._uploads.find(match)]

    async def renew(self, upload_id: str) -> bool:
        """Let the time of an upload begin anew; return False when it is over."""
        change = {"$set": {"expires_at": self.now() + EXPIRES_AFTER}}
        return await self._uploads.update_and_get(self._going_on(upload_id), change) is not None

    async def hold(self, upload: DirectUpload) -> bool:
        """Begin to complete an upload; return False when it is over. May be repeated."""
        until = max(upload.expires_at, self.now() + HELD_FOR)
        change = {"$set": {"status": "completing", "expires_at": until}}
        return await self._uploads.update_and_get(self._going_on(upload.id), change) is not None

    async def release(self, upload_id: str) -> None:
        """Let an upload that could not be completed be open again."""
        await self._uploads.update({"_id": upload_id, "status": "completing"}, {"$set": {"status": "open"}})

    async def abort(self, upload_id: str) -> bool:
        """Give up an upload that nobody completes; return False when somebody does, or it is over."""
        match = self._going_on(upload_id) | {"status": "open"}
        return await self._uploads.update(match, self._given_up())

    async def refuse(self, upload_id: str) -> None:
        """Give up an upload that was to be completed and is not what was announced."""
        await self._uploads.update({"_id": upload_id, "status": "completing"}, self._given_up())

    async def expire(self, upload_id: str) -> bool:
        """Give up an upload whose time is over; return False when it is not, or there is none."""
        match = {"_id": upload_id, "expires_at": {"$lte": self.now()}}
        change = {"$set": {"status": "given up"}}
        return await self._uploads.update_and_get(match, change) is not None

    async def expired(self, *, limit: int) -> list[DirectUpload]:
        """Return uploads whose time is over, longest first."""
        match = {"expires_at": {"$lte": self.now()}}
        found = await self._uploads.find(match, sort=[("expires_at", 1)], limit=limit)
        return [_to_upload(document) for document in found]

    async def forget(self, upload_id: str) -> None:
        """Remove the record of an upload."""
        await self._uploads.delete({"_id": upload_id})

    def _going_on(self, upload_id: str) -> Document:
        return {
            "_id": upload_id,
            "status": {"$in": ["open", "completing"]},
            "expires_at": {"$gt": self.now()},
        }

    def _given_up(self) -> Document:
        return {"$set": {"status": "given up", "expires_at": self.now()}}


def direct_uploads(mongo: Mongo) -> DirectUploads:
    """Return the uploads in this server."""
    return DirectUploads(mongo.collection(DATABASE, "uploads"))


def _of(owner: str | None) -> Document:
    return {} if owner is None else {"owner": owner}


def _to_upload(document: Document) -> DirectUpload:
    return DirectUpload(
        id=document["_id"],
        bucket=document["bucket"],
        size=document["size"],
        filename=document["filename"],
        s3_upload=document["s3_upload"],
        part_size=document["part_size"],
        owner=document["owner"],
        created_at=document["created_at"],
        expires_at=document["expires_at"],
        options=msgspec.convert(document.get("options"), Options | None),
        tags=tuple(document.get("tags", ())),
        webhook=document.get("webhook"),
    )
