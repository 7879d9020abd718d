"""Files of videos, kept for a moment for whoever asks next: looking through a video asks for many frames."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.clients.s3.storage import Storage
from app.errors import Missing
from app.work_folder import WorkFolder

KEPT_FOR: Final = 30.0
"""Seconds for which a file is kept that nobody uses."""

MOST_KEPT: Final = 2
"""Files that are kept unused at a time; splitting needs the disk as well."""


@dataclass(frozen=True)
class Input:
    """A file that was fetched; its size is in bytes."""

    path: Path
    size: int


@dataclass(eq=False)
class _Kept:
    """One file: being fetched, used, or kept.

    Attributes:
        places: what removes it.
        users: how many use it, or wait for it.
        ending: when it goes unless somebody uses it.
    """

    fetching: asyncio.Task[Input]
    places: ExitStack
    users: int = 0
    ending: asyncio.TimerHandle | None = field(default=None, repr=False)


class Inputs:
    """Fetches inputs into the work folder. Open it with `open_inputs`.

    Args:
        storage: where they are.
        work_folder: where they lie.
    """

    def __init__(self, storage: Storage, work_folder: WorkFolder) -> None:
        self._storage = storage
        self._work_folder = work_folder
        self._kept: dict[tuple[str, str], _Kept] = {}

    @asynccontextmanager
    async def file(self, bucket: str, name: str) -> AsyncIterator[Input]:
        """Yield the file of an object; one that somebody else fetches is waited for.

        Whoever gives up waiting leaves the file to those who come next.

        Raises:
            Missing: it is not there.
            Unavailable: S3 does not answer, or the disk has no room.
        """
        key = (bucket, name)
        kept = self._kept.get(key) or self._begin(key)
        kept.users += 1
        if kept.ending is not None:
            kept.ending.cancel()
            kept.ending = None
        try:
            yield await asyncio.shield(kept.fetching)
        finally:
            kept.users -= 1
            if not kept.users:
                self._keep_for_a_moment(key, kept)

    def _begin(self, key: tuple[str, str]) -> _Kept:
        places = ExitStack()
        kept = _Kept(asyncio.create_task(self._fetch(key, places), name="fetch input"), places)
        kept.fetching.add_done_callback(lambda task: self._forget_failed(key, kept, task))
        self._kept[key] = kept
        return kept

    async def _fetch(self, key: tuple[str, str], places: ExitStack) -> Input:
        bucket, name = key
        facts = await self._storage.stat(bucket, name)
        if facts is None:
            raise Missing(f"{bucket}/{name}")
        path = places.enter_context(self._work_folder.place())
        with self._work_folder.filling(path, facts.size):
            await self._storage.download(bucket, name, path)
        return Input(path, facts.size)

    def _forget_failed(self, key: tuple[str, str], kept: _Kept, task: asyncio.Task[Input]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._drop(key, kept)

    def _keep_for_a_moment(self, key: tuple[str, str], kept: _Kept) -> None:
        if self._kept.get(key) is not kept:
            return
        self._kept[key] = self._kept.pop(key)  # the one that was used last
        unused = [each for each in self._kept.items() if not each[1].users and each[1].fetching.done()]
        for old in unused[: max(0, len(unused) - MOST_KEPT)]:
            self._drop(*old)
        loop = asyncio.get_running_loop()
        kept.ending = loop.call_later(KEPT_FOR, self._drop_unused, key, kept)

    def _drop_unused(self, key: tuple[str, str], kept: _Kept) -> None:
        if not kept.fetching.done():
            self._keep_for_a_moment(key, kept)
        elif not kept.users:
            self._drop(key, kept)

    def _drop(self, key: tuple[str, str], kept: _Kept) -> None:
        if self._kept.get(key) is kept:
            del self._kept[key]
        if kept.ending is not None:
            kept.ending.cancel()
        kept.places.close()

    async def close(self) -> None:
        """Give up what is fetched and remove everything."""
        for key, kept in list(self._kept.items()):
            kept.fetching.cancel()
            await asyncio.wait([kept.fetching])
            self._drop(key, kept)


@asynccontextmanager
async def open_inputs(storage: Storage, work_folder: WorkFolder) -> AsyncIterator[Inputs]:
    """Yield what fetches inputs; nothing of them is left behind the block."""
    inputs = Inputs(storage, work_folder)
    try:
        yield inputs
    finally:
        await inputs.close()
