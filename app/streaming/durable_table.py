"""A Faust table whose changelog can be awaited, so that nothing is acknowledged before it is on the broker.

By default Faust commits a source offset while the table's changelog records may still be in the producer's
queue: with a slow producer, a kill and a lost disk 62 of 200 rows were gone for good.
"""

import asyncio
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faust
import rocksdict
from faust import streams
from faust.stores import rocksdb

from app.errors import Unavailable
from app.streaming.table_store import TableStore

CHANGELOG = {
    "cleanup.policy": "compact",
    "segment.bytes": str(32 << 20),
    "min.cleanable.dirty.ratio": "0.1",
    "max.compaction.lag.ms": "3600000",
}
"""Deleted rows leave the changelog soon, so that recovery costs what the living rows cost."""


def rocksdb_options() -> dict[str, int]:
    """Return RocksDB's memory per table and partition; its default is a 2 GiB block cache for each.

    Rows are read once, in order, when a result is written: a cache helps little. With 16 MiB of it, and
    buffers of 8 MiB, a worker grew by a sixth in two hours of video.
    """
    return {"block_cache_size": 2 << 20, "write_buffer_size": 2 << 20, "max_write_buffer_number": 2}


class DurableTable(faust.Table):  # type: ignore[misc]  # Faust has no types
    """A table of bytes by bytes whose writes can be awaited.

    Several agents may wait at the same time: a write is followed until it is confirmed, whoever waits.

    A write reaches the store before its changelog. Faust does it the other way round, and then notes that the
    store holds the changelog up to there, also when the store has refused the row.

    Raises:
        Unavailable: a read or a write, when the disk does not do its work.
        StartAgain: a write, when the store does not recover from that.
        Exception: `durable` raises what the producer raised for any write that is not confirmed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Faust has no types
        super().__init__(*args, **kwargs)
        # faust.Table takes no serializers; without these it would write JSON.
        self.key_serializer = "raw"
        self.value_serializer = "raw"
        self._unconfirmed: set[asyncio.Future[Any]] = set()

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.partition_for_key(key)  # refuses what is not done while an event is handled
        self.data[key] = value
        self.on_key_set(key, value)

    def __delitem__(self, key: bytes) -> None:
        self.partition_for_key(key)  # as above
        del self.data[key]
        self.on_key_del(key)

    def apply_changelog_batch(self, batch: Any) -> None:  # noqa: ANN401 - Faust has no types
        """Take rows from the changelog; stop the process when the disk does not take them."""
        try:
            super().apply_changelog_batch(batch)
        except Unavailable as error:  # Faust would go on without a word
            self._stopping = asyncio.ensure_future(self._stop(error))
            raise

    async def on_rebalance(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Faust has no types
        """Open the stores of new partitions; stop the process when the disk does not let us."""
        try:
            await super().on_rebalance(*args, **kwargs)
        except Unavailable as error:
            await self._stop(error)

    async def _stop(self, error: Unavailable) -> None:
        await self.app.stop_unsafe(f"{error}; this process tries again from its start", error)

    def send_changelog(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Faust has no types
        """Queue a changelog record and remember its future."""
        future = super().send_changelog(*args, **kwargs)
        self._unconfirmed.add(future)
        return future

    def _new_store_by_url(self, url: Any) -> TableStore:  # noqa: ANN401 - Faust has no types
        return TableStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
            value_type=self.value_type,
            loop=self.loop,
            options=self.options,
        )

    def stores(self) -> dict[int, Path]:
        """Return the folder of each partition of which a store lies on this disk."""
        start, end = f"{self.name}-", ".db"
        found = self.data.path.glob(f"{start}*{end}")
        return {int(path.name.removeprefix(start).removesuffix(end)): path for path in found}

    async def durable(self) -> None:
        """Return once everything written so far is on the broker."""
        waiting = set(self._unconfirmed)
        if waiting:
            await asyncio.wait(waiting)  # not gather: that would cancel what others wait for
        for future in waiting:
            future.result()
        self._unconfirmed -= waiting


def persisted_offset(store: Path) -> int | None:
    """Return the offset up to which a store that nobody writes to holds its changelog; None when of none."""
    # Not as Faust opens it: that takes the lock, and makes a store where there is none.
    access = rocksdict.AccessType.read_only()
    database = rocksdict.Rdict(str(store), rocksdict.Options(raw_mode=True), access_type=access)
    try:
        found = database.get(rocksdb.Store.offset_key)
    finally:
        database.close()
    return None if found is None else int(found)


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
