"""RocksDB as Faust uses it, with its refusals in our words.

A full disk is no fault of the message in hand. RocksDB tells it by an exception of no class of its own, and
goes on by itself some 5 s after there is room again; after other errors of the disk it refuses every write
until the store is opened anew.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from faust.stores import rocksdb
from faust.streams import current_event

from app.errors import RetryLater, StartAgain, Unavailable

SERVICE: Final = "the table folder"

ROOM: Final = 32 << 20
"""Bytes free: what RocksDB writes at once for eight stores (2 MiB of rows, twice)."""

REFUSES_FOR: Final = 30.0
"""Seconds for which a store may refuse although there is room; RocksDB looks every 5 s."""


class TableStore(rocksdb.Store):  # type: ignore[misc]  # Faust has no types
    """The stores of one table, one for each partition.

    Every read and write raises `Unavailable` when the disk, or the store, does not do its work, and a write
    `StartAgain` when the store still refuses although the disk would do it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Faust has no types
        super().__init__(*args, **kwargs)
        self._refuses_since: dict[int, float] = {}

    def set_persisted_offset(self, tp: Any, offset: int) -> None:  # noqa: ANN401 - as above
        """Remember up to where the store holds its changelog, at best: an older offset only costs time."""
        with suppress(RetryLater), _translated():
            super().set_persisted_offset(tp, offset)

    def apply_changelog_batch(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as above
        """Write rows that come from the changelog."""
        with _translated():
            super().apply_changelog_batch(*args, **kwargs)

    def _open_for_partition(self, partition: int) -> Any:  # noqa: ANN401 - as above
        with _translated():
            return super()._open_for_partition(partition)

    def _get(self, key: bytes) -> Any:  # noqa: ANN401 - as above
        with _translated():
            return super()._get(key)

    def _contains(self, key: bytes) -> Any:  # noqa: ANN401 - as above
        with _translated():
            return super()._contains(key)

    def _iteritems(self) -> Iterator[Any]:
        with _translated():
            yield from super()._iteritems()

    def _set(self, key: bytes, value: bytes | None) -> None:
        with self._writing():
            super()._set(key, value)

    def _del(self, key: bytes) -> None:
        # Faust's own deletes a key that it has not read lately in every partition.
        with self._writing() as partition:
            self._db_for_partition(partition).delete(key)

    @contextmanager
    def _writing(self) -> Iterator[int]:
        partition: int = current_event().message.partition
        try:
            with _translated():
                yield partition
        except Unavailable as error:
            if not _has_room(self.path):
                self._refuses_since.pop(partition, None)
            elif time.monotonic() - self._refuses_since.setdefault(partition, time.monotonic()) > REFUSES_FOR:
                raise StartAgain(f"there is room, but {error}") from error
            raise
        else:
            self._refuses_since.pop(partition, None)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # rocksdict raises `Exception` itself for whatever RocksDB says, and nothing else does.
        if type(error) is Exception or isinstance(error, OSError):
            raise Unavailable(SERVICE, error) from error
        raise


def _has_room(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
        return shutil.disk_usage(folder).free >= ROOM
    except OSError:
        return False
