"""Documents of MongoDB, written durably, with the library's errors in our words."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import pymongo
from pydantic import SecretStr
from pymongo import AsyncMongoClient, ReturnDocument
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    DocumentTooLarge,
    DuplicateKeyError,
    InvalidName,
    InvalidOperation,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)
from pymongo.uri_parser import parse_uri

from app.clients.presence import Presence
from app.errors import Conflict, Misconfigured

Document: TypeAlias = dict[str, Any]
Filter: TypeAlias = Mapping[str, Any]
Keys: TypeAlias = Sequence[tuple[str, int]]

ANSWER_WITHIN: Final = timedelta(seconds=2.5)
"""A server that is away must not hold a client's request: the API promises an answer in 3 seconds."""

INDEX_WITHIN: Final = timedelta(minutes=5)
"""Building an index reads the whole collection."""

DUPLICATE_KEY: Final = 11000

OUR_MISTAKES: Final = frozenset({2, 9, 14, 67, 85, 86})
"""BadValue, FailedToParse, TypeMismatch, CannotCreateIndex, IndexOptionsConflict and
IndexKeySpecsConflict (MongoDB's error_codes.yml): asking again would never help."""


class Documents:
    """One collection. Every method raises `Unavailable` when the server does not do its work.

    Times that are read are aware and in UTC. A write is durable (majority, journal) when it returns.
    """

    def __init__(self, collection: AsyncCollection[Document], presence: Presence) -> None:
        self._collection = collection
        self._presence = presence

    async def find_one(self, match: Filter, projection: Sequence[str] | None = None) -> Document | None:
        """Return the first document that matches."""
        with _translated(self._presence):
            return await self._collection.find_one(match, projection)

    async def find(
        self,
        match: Filter,
        *,
        projection: Sequence[str] | None = None,
        sort: Keys | None = None,
        limit: int = 0,
    ) -> list[Document]:
        """Return the documents that match; a limit of 0 is none."""
        with _translated(self._presence):
            return await self._collection.find(match, projection, sort=sort, limit=limit).to_list()

    async def insert(self, document: Document) -> None:
        """Add a document.

        Raises:
            Conflict: one with its `_id`, or with a key that is unique, exists already.
        """
        with _translated(self._presence):
            await self._collection.insert_one(document)

    async def insert_missing(self, documents: Sequence[Document]) -> int:
        """Add those documents whose `_id` is not there yet; return how many."""
        with _translated(self._presence):
            try:
                return len((await self._collection.insert_many(documents, ordered=False)).inserted_ids)
            except BulkWriteError as error:
                failed = error.details["writeErrors"]
                if any(item["code"] != DUPLICATE_KEY for item in failed):
                    raise
                return len(documents) - len(failed)

    async def update(self, match: Filter, change: Filter, *, upsert: bool = False) -> bool:
        """Change the one document that matches; return whether anything was changed or added.

        Raises:
            Conflict: it was to be added, and a document with its `_id` exists that does not match.
        """
        with _translated(self._presence):
            result = await self._collection.update_one(match, change, upsert=upsert)
            return bool(result.modified_count) or result.upserted_id is not None

    async def update_and_get(self, match: Filter, change: Filter) -> Document | None:
        """Change the one document that matches and return it as it is afterwards."""
        with _translated(self._presence):
            found: Document | None = await self._collection.find_one_and_update(
                match, change, return_document=ReturnDocument.AFTER
            )
            return found

    async def update_many(self, match: Filter, change: Filter) -> int:
        """Change every document that matches; return how many were changed."""
        with _translated(self._presence):
            return (await self._collection.update_many(match, change)).modified_count

    async def delete(self, match: Filter) -> int:
        """Remove every document that matches; return how many there were."""
        with _translated(self._presence):
            return (await self._collection.delete_many(match)).deleted_count

    async def count(self, match: Filter) -> int:
        """Return how many documents match."""
        with _translated(self._presence):
            return await self._collection.count_documents(match)

    async def existing_indexes(self) -> set[tuple[tuple[str, int], ...]]:
        """Return the keys of each index that there is."""
        with _translated(self._presence):
            found = await self._collection.index_information()
        return {tuple((name, int(way)) for name, way in each["key"]) for each in found.values()}

    async def ensure_index(
        self, keys: Keys, *, partial: Filter | None = None, is_unique: bool = False
    ) -> None:
        """Create an index if it is not there yet.

        Args:
            keys: (field, 1 or -1), in order.
            partial: only documents that match this are in the index.
            is_unique: no two documents may have the same keys.
        """
        options: dict[str, Any] = {"partialFilterExpression": partial} if partial else {}
        with _translated(self._presence), pymongo.timeout(INDEX_WITHIN.total_seconds()):
            await self._collection.create_index(keys, unique=is_unique, **options)


@dataclass(frozen=True)
class MongoFacts:
    """A server as it describes itself.

    Attributes:
        version: its own.
        replica_set: its name; None where the server stands alone.
        now: its clock.
    """

    version: str
    replica_set: str | None
    now: datetime


class Mongo:
    """A server, or several that are one."""

    def __init__(self, client: AsyncMongoClient[Document], presence: Presence) -> None:
        self._client = client
        self._presence = presence

    def collection(self, database: str, name: str) -> Documents:
        """Return a collection; nothing is asked of the server."""
        return Documents(self._client[database][name], self._presence)

    async def ping(self) -> None:
        """Return if the server answers.

        Raises:
            Unavailable: it does not.
        """
        with _translated(self._presence):
            await self._client.admin.command("ping")

    async def describe(self) -> MongoFacts:
        """Return what the server says of itself."""
        with _translated(self._presence):
            built = await self._client.admin.command("buildInfo")
            hello = await self._client.admin.command("hello")
            now = hello["localTime"]
        return MongoFacts(
            built["version"], hello.get("setName"), now if now.tzinfo else now.replace(tzinfo=UTC)
        )


@asynccontextmanager
async def open_mongo(
    uri: SecretStr, *, service: str = "Mongo", answer_within: timedelta = ANSWER_WITHIN
) -> AsyncIterator[Mongo]:
    """Yield a client; it connects by itself, and again whenever it has to.

    Args:
        uri: where the servers are and who we are.
        service: how the server is named in errors and logs.
        answer_within: after this long an operation raises `Unavailable`.

    Raises:
        Misconfigured: the address cannot be read.
    """
    seconds = answer_within.total_seconds()
    try:
        client: AsyncMongoClient[Document] = AsyncMongoClient(
            uri.get_secret_value(),
            appname="kadr",
            tz_aware=True,
            tzinfo=UTC,
            uuidRepresentation="standard",
            w="majority",
            journal=True,
            timeoutMS=int(seconds * 1000),
            serverSelectionTimeoutMS=int(min(2.0, seconds) * 1000),
            connectTimeoutMS=int(min(2.0, seconds) * 1000),
        )
    except (InvalidURI, ConfigurationError, ValueError):
        # Without the library's error: what it quotes may be a piece of the password.
        raise Misconfigured(f"The address of {service} cannot be read: {_cause(uri)}") from None
    async with client:
        yield Mongo(client, Presence(service))


def _cause(uri: SecretStr) -> str:
    """Say what is wrong with an address, without quoting its user, its password or its options."""
    bare = re.sub("//.*@", "//", uri.get_secret_value(), flags=re.DOTALL).partition("?")[0]
    try:
        parse_uri(bare)
    except (InvalidURI, ConfigurationError, ValueError) as error:
        return str(error)
    return "each of :/?#[]@% in its user and password must be percent-encoded, and its options be known ones"


@contextmanager
def _translated(presence: Presence) -> Iterator[None]:
    begun = time.monotonic()
    try:
        with _cancellable():
            yield
    except DuplicateKeyError as error:
        presence.answered()
        raise Conflict(str(error)) from error
    except (DocumentTooLarge, InvalidName, InvalidOperation, ConfigurationError):
        raise  # our mistake: asking again would never help
    except PyMongoError as error:
        if isinstance(error, OperationFailure) and error.code in OUR_MISTAKES:
            raise
        raise presence.lost(error, begun=begun) from error
    else:
        presence.answered()


@contextmanager
def _cancellable() -> Iterator[None]:
    """Let a cancel end the body in any case, whatever comes of it.

    pymongo sends with `asyncio.wait_for`, which up to Python 3.11 forgets a cancel that comes together with
    what it waits for. Nobody cancels twice: work of which somebody believes that it has ended would go on.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
