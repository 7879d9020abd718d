"""Asks again for everything that Kafka held when it lost its data, from what main_db knows."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar

from app.clients.main_db.video_outbox import Cursor, Deletion, Video, VideoOutbox, open_video_outbox
from app.clients.s3.storage import Storage, open_storage
from app.domain.objects import (
    deleted_object,
    detection_object,
    failed_object,
    is_of_attempt,
)
from app.settings import Settings

_Asked = TypeVar("_Asked", Video, Deletion)
_Found: TypeAlias = Literal["asked", "cancelled", "done", "moved"]

PER_ROUND: Final = 100
"""Documents read at once; the others wait in Mongo, however many there are."""

AT_ONCE: Final = 8
"""Questions to S3 at a time, as many as its client has threads for."""


@dataclass(frozen=True)
class Recovered:
    """What was found.

    Attributes:
        videos: that are asked for again.
        deletions: that are asked for again.
        done: whose end lies in S3; the API will see it, or has seen it.
        waiting: that were not published yet, and will be without our doing.
        cancellations: that are asked for again.
    """

    videos: int
    deletions: int
    done: int
    waiting: int
    cancellations: int = 0

    def sentence(self, *, is_dry_run: bool) -> str:
        """Return what a person is told."""
        parts = [_count(self.videos, "video"), _count(self.deletions, "deletion")]
        if self.cancellations:
            parts.append(_count(self.cancellations, "cancellation"))
        asked = f"{', '.join(parts[:-1])} and {parts[-1]}"
        doing = "would be asked for again" if is_dry_run else "asked for again"
        return f"{asked} {doing}, {self.done} found done, {self.waiting} waiting to be published"


@dataclass(frozen=True)
class Recovery:
    """Asks again for what was published and has not come to an end.

    Each video gets a new attempt, which supersedes what is left of the one before. Nothing that has ended
    is begun again, and nothing is asked for that still waits to be published. So it may be repeated, and
    may run while the API and the workers do.

    Args:
        outbox: what was asked for.
        storage: what came of it.
        is_dry_run: whether nothing is to be changed.
    """

    outbox: VideoOutbox
    storage: Storage
    is_dry_run: bool = False

    async def run(self) -> Recovered:
        """Ask again for everything.

        Raises:
            Unavailable: Mongo or S3 does not answer; what was asked for until then stays so.
        """
        waiting = await self.outbox.waiting()
        videos = await _each(self.outbox.without_outcome, self._recover_video)
        deletions = await _each(self.outbox.unconfirmed_deletions, self._recover_deletion)
        done = videos["done"] + deletions["done"]
        return Recovered(videos["asked"], deletions["asked"], done, waiting, deletions["cancelled"])

    async def _recover_video(self, video: Video) -> _Found:
        for name in (detection_object(video.id), failed_object(video.id)):
            facts = await self.storage.stat(video.bucket, name)
            if facts is not None and is_of_attempt(facts.metadata, video.attempt):
                return "done"
        return "asked" if self.is_dry_run or await self.outbox.ask_again(video) else "moved"

    async def _recover_deletion(self, deletion: Deletion) -> _Found:
        is_cancel = deletion.kind == "cancel"  # a confirmed one has no command any more
        name = deleted_object(deletion.video_id)
        if not is_cancel and await self.storage.stat(deletion.bucket, name) is not None:
            return "done"
        if not self.is_dry_run and not await self.outbox.delete_again(deletion):
            return "moved"
        return "cancelled" if is_cancel else "asked"


async def recover(settings: Settings, *, is_dry_run: bool) -> Recovered:
    """Ask again for everything that has not come to an end, on the servers that the settings name.

    Raises:
        Unavailable: Mongo or S3 does not answer.
    """
    async with open_video_outbox(settings) as outbox, open_storage(settings) as storage:
        return await Recovery(outbox, storage, is_dry_run=is_dry_run).run()


async def _each(
    more: Callable[..., Awaitable[list[_Asked]]], look: Callable[[_Asked], Awaitable[_Found]]
) -> Counter[_Found]:
    """Look at every document, some at a time; return how many of them were found how."""
    found: Counter[_Found] = Counter()
    lane = asyncio.Semaphore(AT_ONCE)

    async def look_in_lane(document: _Asked) -> _Found:
        async with lane:
            return await look(document)

    after: Cursor | None = None
    while some := await more(limit=PER_ROUND, after=after):
        found.update(await asyncio.gather(*map(look_in_lane, some)))
        after = some[-1].created_at, some[-1].id
    return found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
