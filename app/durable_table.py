"""A Faust table whose changelog can be awaited, so that nothing is acknowledged before it is on the broker.

By default Faust commits a source offset while the table's changelog records may still be in the producer's
queue: with a slow producer, a kill and a lost disk 62 of 200 rows were gone for good.
"""

import asyncio
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faust
from faust import streams

CHANGELOG = {
    "cleanup.policy": "compact",
    "segment.bytes": str(32 << 20),
    "min.cleanable.dirty.ratio": "0.1",
    "max.compaction.lag.ms": "3600000",
}
"""Deleted rows leave the changelog soon, so that recovery costs what the living rows cost."""


def rocksdb_options() -> dict[str, int]:
    """Return RocksDB's memory per table and partition; its default is a 2 GiB block cache for each."""
    return {"block_cache_size": 16 << 20, "write_buffer_size": 8 << 20, "max_write_buffer_number": 2}


class DurableTable(faust.Table):  # type: ignore[misc]  # Faust has no types
    """A table of bytes by bytes whose writes can be awaited.

    Several agents may wait at the same time: a write is followed until it is confirmed, whoever waits.

    Raises:
        Exception: `durable` raises what the producer raised for any write that is not confirmed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Faust has no types
        super().__init__(*args, **kwargs)
        # faust.Table takes no serializers; without these it would write JSON.
        self.key_serializer = "raw"
        self.value_serializer = "raw"
        self._unconfirmed: set[asyncio.Future[Any]] = set()

    def send_changelog(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Faust has no types
        """Queue a changelog record and remember its future."""
        future = super().send_changelog(*args, **kwargs)
        self._unconfirmed.add(future)
        return future

    async def durable(self) -> None:
        """Return once everything written so far is on the broker."""
        waiting = set(self._unconfirmed)
        if waiting:
            await asyncio.wait(waiting)  # not gather: that would cancel what others wait for
        for future in waiting:
            future.result()
        self._unconfirmed -= waiting


@contextmanager
def on_behalf_of(event: Any) -> Iterator[None]:  # noqa: ANN401 - Faust has no types
    """Let table reads and writes go to the partition of this event.

    Faust reads and writes the partition of the current event, which is the last one received; a batch
    holds events of several partitions. Without this a row that is there is not found.
    """
    token = streams._current_event.set(weakref.ref(event))  # noqa: SLF001 - Faust offers no public way
    try:
        yield
    finally:
        streams._current_event.reset(token)  # noqa: SLF001 - see above
