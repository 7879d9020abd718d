"""The API's keys: `main_db.api_keys`. Of a key its digest is kept, never the key."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.clients.mongo import Document, Documents, Mongo, open_mongo
from app.domain.api_keys import ApiKey, Quotas, Scope, digest_of, draw_key, in_order
from app.settings import Settings

DATABASE: Final = "main_db"

USE_NOTED_EVERY: Final = timedelta(minutes=1)
"""A write for each request would cost more than the request."""


def _now() -> datetime:
    return datetime.now(UTC)


class ApiKeys:
    """The keys. Every method raises `Unavailable` when Mongo does not answer.

    Args:
        keys: the collection `api_keys`.
        now: the clock.
    """

    def __init__(self, keys: Documents, *, now: Callable[[], datetime] = _now) -> None:
        self._keys = keys
        self._now = now

    async def create(self, name: str, scopes: Collection[Scope], quotas: Quotas) -> tuple[ApiKey, str]:
        """Make a key; return what is known of it, and the key, which nobody can ever read again."""
        key_id, text = draw_key()
        document: Document = {
            "_id": key_id,
            "name": name,
            "hash": digest_of(text),
            "scopes": in_order(scopes),
            "quotas": {"max_waiting": quotas.max_waiting, "bytes_per_day": quotas.bytes_per_day},
            "created_at": self._now(),
            "last_used_at": None,
            "revoked_at": None,
        }
        await self._keys.insert(document)
        return _to_key(document), text

    async def get(self, key_id: str) -> ApiKey | None:
        """Return a key, a revoked one too; None when there is none with this id."""
        document = await self._keys.find_one({"_id": key_id})
        return _to_key(document) if document else None

    async def all(self) -> list[ApiKey]:
        """Return every key, oldest first."""
        return [_to_key(each) for each in await self._keys.find({}, sort=[("created_at", 1), ("_id", 1)])]

    async def revoke(self, key_id: str) -> bool:
        """Make a key useless for ever; return whether there was one that was good."""
        change = {"$set": {"revoked_at": self._now()}}
        return await self._keys.update({"_id": key_id, "revoked_at": None}, change)

    async def note_use(self, key: ApiKey) -> None:
        """Remember that a key was used now, unless that was noted within the last minute."""
        now = self._now()
        if key.last_used_at is None or key.last_used_at <= now - USE_NOTED_EVERY:
            change = {"$set": {"last_used_at": now}}
            await self._keys.update({"_id": key.id, "last_used_at": key.last_used_at}, change)


@asynccontextmanager
async def open_api_keys(settings: Settings) -> AsyncIterator[ApiKeys]:
    """Yield the keys in the server that the settings name; it connects when it is first used."""
    async with open_mongo(settings.mongo_uri) as mongo:
        yield api_keys(mongo)


def api_keys(mongo: Mongo) -> ApiKeys:
    """Return the keys in this server."""
    return ApiKeys(mongo.collection(DATABASE, "api_keys"))


def _to_key(document: Document) -> ApiKey:
    quotas: dict[str, Any] = document.get("quotas") or {}
    return ApiKey(
        id=document["_id"],
        name=document["name"],
        digest=document["hash"],
        scopes=frozenset(document["scopes"]),
        quotas=Quotas(quotas.get("max_waiting"), quotas.get("bytes_per_day")),
        created_at=document["created_at"],
        last_used_at=document.get("last_used_at"),
        revoked_at=document.get("revoked_at"),
    )
