"""Sessions of browsers: `main_db.sessions`. Each stands for a key, which the browser need not keep."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from app.clients.mongo import Documents, Mongo
from app.domain.api_keys import SECRET_BYTES, digest_of

DATABASE: Final = "main_db"

KEPT_FOR: Final = timedelta(days=7)
"""Since it began, whether it is used or not: as long as somebody who has left a browser open may be away."""


def _now() -> datetime:
    return datetime.now(UTC)


class Sessions:
    """The sessions. Every method raises `Unavailable` when Mongo does not answer.

    Args:
        sessions: the collection `sessions`.
        now: the clock.
    """

    def __init__(self, sessions: Documents, *, now: Callable[[], datetime] = _now) -> None:
        self._sessions = sessions
        self._now = now

    async def prepare(self) -> None:
        """Create the index: what is over is found by its time."""
        await self._sessions.ensure_index([("expires_at", 1)])

    async def begin(self, key_id: str) -> str:
        """Begin a session of a key; return its token, of which only the digest is kept."""
        token, now = secrets.token_hex(SECRET_BYTES), self._now()
        await self._sessions.insert(
            {"_id": digest_of(token), "key_id": key_id, "created_at": now, "expires_at": now + KEPT_FOR}
        )
        return token

    async def key_of(self, token: str) -> str | None:
        """Return the id of the key that a session stands for; None when there is none, or it is over."""
        found = await self._sessions.find_one({"_id": digest_of(token)})
        if found is None or found["expires_at"] <= self._now():
            return None
        key_id: str = found["key_id"]
        return key_id

    async def end(self, token: str) -> None:
        """End a session, if there is one."""
        await self._sessions.delete({"_id": digest_of(token)})

    async def forget_expired(self) -> int:
        """Remove the sessions whose time is over; return how many."""
        return await self._sessions.delete({"expires_at": {"$lte": self._now()}})


def sessions(mongo: Mongo) -> Sessions:
    """Return the sessions in this server."""
    return Sessions(mongo.collection(DATABASE, "sessions"))
