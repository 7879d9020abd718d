"""A backup as docs/operations.md describes it, without the tools that it names: main_db, then all objects."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from app.clients.s3.storage import ObjectFacts, open_storage
from tests.support.pipeline import Pipeline

MAIN_DB = "main_db"
DATABASES = (MAIN_DB, "runner_db")


@dataclass
class Backup:
    """What was kept.

    Attributes:
        documents: of main_db, by collection.
        objects: with what is known of each, by bucket and name.
    """

    documents: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    objects: dict[tuple[str, str], tuple[ObjectFacts, bytes]] = field(default_factory=dict)

    @classmethod
    def take(cls, kadr: Pipeline) -> "Backup":
        """Take one of a Kadr that runs; as `mongodump`, then as `rclone sync --metadata`."""
        database = kadr.mongo[MAIN_DB]
        documents = {name: list(database[name].find()) for name in database.list_collection_names()}
        return cls(documents, asyncio.run(_read(kadr)))

    def restore(self, kadr: Pipeline) -> None:
        """Write it into empty servers."""
        for name, documents in self.documents.items():
            if documents:
                kadr.mongo[MAIN_DB][name].insert_many(documents)
        asyncio.run(_write(kadr, self.objects))


def lose_everything(kadr: Pipeline) -> None:
    """Remove both databases and every object."""
    for name in DATABASES:
        kadr.mongo.drop_database(name)
    asyncio.run(_remove(kadr))


async def _read(kadr: Pipeline) -> dict[tuple[str, str], tuple[ObjectFacts, bytes]]:
    found = {}
    async with open_storage(kadr.settings) as storage:
        for bucket in kadr.settings.buckets:
            async for item in storage.names(bucket, ""):
                async with storage.stream(bucket, item.name) as (facts, chunks):
                    found[bucket, item.name] = (facts, b"".join([chunk async for chunk in chunks]))
    return found


async def _write(kadr: Pipeline, objects: dict[tuple[str, str], tuple[ObjectFacts, bytes]]) -> None:
    async with open_storage(kadr.settings) as storage:
        for (bucket, name), (facts, data) in objects.items():
            await storage.put(bucket, name, data, content_type=facts.content_type, metadata=facts.metadata)


async def _remove(kadr: Pipeline) -> None:
    async with open_storage(kadr.settings) as storage:
        for bucket in kadr.settings.buckets:
            names = [item.name async for item in storage.names(bucket, "")]
            for name in names:
                await storage.delete(bucket, name)
