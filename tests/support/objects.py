"""What lies in S3, looked up from a test that waits for nothing else."""

import asyncio

from app.clients.s3.storage import open_storage
from app.settings import Settings


def names_below(settings: Settings, prefix: str) -> set[str]:
    """Return the names of the objects, in every bucket of ours, that begin so."""

    async def look() -> set[str]:
        async with open_storage(settings) as storage:
            return {item.name for bucket in settings.buckets async for item in storage.names(bucket, prefix)}

    return asyncio.run(look())
