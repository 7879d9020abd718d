"""Which request made which video: `main_db.idempotency`, one document per key that a client has given.

held ──recorded──> recorded ──settled──> settled
  └──released, or its lease is over──> free

Who holds a key alone may make a video of it. What is recorded is everything that the video's document needs:
so whoever comes after a crash finishes what was begun, and it is the same video, whoever writes its document.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from app.clients.mongo import Document, Documents, Mongo
from app.errors import Conflict, RetryLater

DATABASE: Final = "main_db"

KEPT_FOR: Final = timedelta(days=7)
"""Since the key was first used: as long as a client may try again."""

LEASE: Final = timedelta(seconds=30)
"""How long a key stays held by a process that has died."""


@dataclass(frozen=True)
class Hold:
    """A key that is ours until the lease ends."""

    key: str
    token: str


@dataclass(frozen=True)
class Recorded:
    """What was made with a key.

    Attributes:
        key: as it is kept.
        fingerprint: of the request.
        video: what its document is made of, as `VideoOutbox.accept` takes it.
        is_settled: whether its document was there.
    """

    key: str
    fingerprint: str
    video: Document = field(default_factory=dict)
    is_settled: bool = False


class KeyHeld(RetryLater):
    """Another request with this key is under way."""


def _now() -> datetime:
    return datetime.now(UTC)


class IdempotencyKeys:
    """The keys. Every method raises `Unavailable` when Mongo does not answer.

    Args:
        keys: the collection `idempotency`.
        now: the clock.
        lease: for how long a key is held without being renewed.
    """

    def __init__(
        self, keys: Documents, *, now: Callable[[], datetime] = _now, lease: timedelta = LEASE
    ) -> None:
        self._keys = keys
        self._now = now
        self._lease = lease

    async def prepare(self) -> None:
        """Create the index: what is over is found by its time."""
        await self._keys.ensure_index([("expires_at", 1)])

    async def take(self, key: str, *, owner: str | None) -> Hold | Recorded:
        """Take a key, or return what was made with it.

        Args:
            key: as the client sent it.
            owner: id of the API key; each has keys of its own, and so have those without one.

        Raises:
            KeyHeld: somebody else has it in hand.
        """
        hold = Hold(f"{owner or ''}/{key}", str(uuid4()))
        with suppress(Conflict):
            await self._keys.insert({"_id": hold.key} | self._held_by(hold))
            return hold
        found = await self._keys.find_one({"_id": hold.key})
        if found is None:  # given back meanwhile
            raise KeyHeld(key)
        if found.get("token") == hold.token:  # the driver has repeated an insert that Mongo had done
            return hold
        if guard := self._free_with(found):
            if await self._take_over(hold, guard):
                return hold
        elif found["status"] != "held":
            return _to_recorded(found)
        raise KeyHeld(key)

    @asynccontextmanager
    async def holding(self, hold: Hold) -> AsyncIterator[None]:
        """Hold a key throughout the block; where that fails, the key is free again."""
        renewing = asyncio.create_task(self._renew(hold))
        try:
            yield
        except BaseException:
            with suppress(RetryLater):  # the lease ends by itself
                await self._keys.delete(_mine(hold))
            raise
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])

    async def record(self, hold: Hold, recorded: Recorded) -> None:
        """Keep what is made with a key, before its document is written.

        Raises:
            Conflict: the lease has ended, and somebody else has the key.
        """
        change = {
            "$set": {"status": "recorded", "fingerprint": recorded.fingerprint, "video": recorded.video},
            "$unset": {"token": "", "lease_until": ""},
        }
        if not await self._keys.update(_mine(hold), change):
            raise Conflict(hold.key)

    async def settle(self, key: str, video_id: str) -> None:
        """Remember that the document of what was made is there."""
        match = {"_id": key, "status": "recorded", "video.video_id": video_id}
        await self._keys.update(match, {"$set": {"status": "settled"}})

    async def void(self, recorded: Recorded) -> None:
        """Set a key free of which the input was lost before there was a document."""
        match = {"_id": recorded.key, "status": "recorded"}
        await self._keys.delete(match | {"video.video_id": recorded.video["video_id"]})

    async def forget_expired(self) -> int:
        """Remove the keys whose time is over; return how many."""
        return await self._keys.delete({"expires_at": {"$lte": self._now()}})

    def _free_with(self, found: Document) -> Document | None:
        """Return what a document says that makes its key free; None when it is not."""
        names: tuple[str, ...] = ()
        if found["expires_at"] <= self._now():
            names = ("status", "expires_at")
        elif found["status"] == "held" and found["lease_until"] <= self._now():
            names = ("status", "token", "lease_until")
        return {name: found[name] for name in names} or None

    async def _take_over(self, hold: Hold, guard: Document) -> bool:
        """The guarded update of several who try succeeds for one of them."""
        change = {"$set": self._held_by(hold), "$unset": {"fingerprint": "", "video": ""}}
        return await self._keys.update({"_id": hold.key} | guard, change)

    def _held_by(self, hold: Hold) -> Document:
        now = self._now()
        return {
            "status": "held",
            "token": hold.token,
            "lease_until": now + self._lease,
            "created_at": now,
            "expires_at": now + KEPT_FOR,
        }

    async def _renew(self, hold: Hold) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            with suppress(RetryLater):
                await self._keys.update(_mine(hold), {"$set": {"lease_until": self._now() + self._lease}})


def idempotency_keys(mongo: Mongo) -> IdempotencyKeys:
    """Return the keys in this server."""
    return IdempotencyKeys(mongo.collection(DATABASE, "idempotency"))


def _mine(hold: Hold) -> Document:
    return {"_id": hold.key, "status": "held", "token": hold.token}


def _to_recorded(document: Document) -> Recorded:
    return Recorded(
        document["_id"], document["fingerprint"], document["video"], document["status"] == "settled"
    )
