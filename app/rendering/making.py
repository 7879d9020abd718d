"""One rendering: fetched, made, kept in S3."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.clients.s3.storage import Storage
from app.decoding.studio import Studio
from app.domain.messages import VideoFacts
from app.domain.objects import (
    OURS,
    detection_object,
)
from app.domain.renderings import MEDIA_TYPE, RenderingAsked, rendering_object
from app.errors import Conflict, Missing, RetryLater, Unavailable
from app.rendering.findings import open_findings
from app.rendering.inputs import Inputs
from app.rendering.notes import Notes
from app.work_folder import WorkFolder

logger = logging.getLogger(__name__)

RENEW_EVERY: Final = 5.0
"""Seconds between two notes of how far it is; a deleted video's rendering ends this long after, at most."""

LEAST_ROOM: Final = 256 << 20
ROOM_PER_BYTE: Final = 4
"""Bytes that a rendering may have, and for each byte of the source: H.264 made in haste is larger than what
newer codecs, or patient encoders, made of the same pictures."""


@dataclass
class Progress:
    """How many frames are made, and how many there are."""

    done: int = 0
    total: int | None = None

    def note(self, frames: int) -> None:
        """Note how many are made."""
        self.done = frames


class Deleted(Conflict):
    """The video was deleted meanwhile."""

    def __init__(self, video_id: str) -> None:
        super().__init__(f"{video_id} was deleted")


class Maker:
    """Makes renderings.

    Args:
        storage: where they are kept.
        inputs: files of videos.
        studio: makes videos.
        work_folder: where they are made.
        notes: where it is said how far they are.
        most: bytes that a rendering may have.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        inputs: Inputs,
        studio: Studio,
        work_folder: WorkFolder,
        notes: Notes,
        most: int,
    ) -> None:
        self.notes = notes
        self._storage = storage
        self._inputs = inputs
        self._studio = studio
        self._work_folder = work_folder
        self._most = most

    async def make(self, asked: RenderingAsked, progress: Progress) -> None:
        """Make a rendering unless it is there, or another runner makes it.

        Two runners may begin at the same moment; then it is made twice, and the same both times.

        Raises:
            Deleted: the video was deleted meanwhile.
            Rejected: it cannot be made.
            DecoderCrashed: making it has ended its child.
            RetryLater: a server is away, or the disk is full.
        """
        if await self.notes.is_made_elsewhere(asked):
            return
        started = time.monotonic()
        size, facts = await self._make_noted(asked, progress)
        if not await self.notes.finish(asked):
            raise Deleted(asked.video_id)
        fields = {"video_id": asked.video_id, "kind": asked.kind, "bytes": size, "frames": facts.frames}
        seconds = round(time.monotonic() - started, 3)
        logger.info("rendering made", extra=fields | {"seconds": seconds})

    async def _make_noted(self, asked: RenderingAsked, progress: Progress) -> tuple[int, VideoFacts]:
        """Say meanwhile how far it is; end it when the video is deleted."""
        await self._note(asked, progress)
        work = asyncio.create_task(self._make(asked, progress), name="make rendering")
        try:
            while not (await asyncio.wait([work], timeout=RENEW_EVERY))[0]:
                with suppress(RetryLater):  # it may run out, and another runner begin
                    await self._note(asked, progress)
            return work.result()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _note(self, asked: RenderingAsked, progress: Progress) -> None:
        if not await self.notes.write(asked, self.notes.making(progress.done, progress.total)):
            raise Deleted(asked.video_id)

    async def _make(self, asked: RenderingAsked, progress: Progress) -> tuple[int, VideoFacts]:
        async with AsyncExitStack() as opened:
            result = await self._result(asked, progress, opened) if asked.kind == "annotated" else None
            source = await opened.enter_async_context(self._inputs.file(asked.bucket, asked.object))
            target = opened.enter_context(self._work_folder.place())
            most = min(self._most, max(LEAST_ROOM, ROOM_PER_BYTE * source.size))
            # Not kept free for hours: what is to be split has the first claim to the disk.
            self._work_folder.require(most)
            facts = await self._studio.video(
                source.path, asked.kind, target=target, most=most, result=result, on_progress=progress.note
            )
            name = rendering_object(asked.video_id, asked.kind)
            size = await self._storage.put_stream(
                asked.bucket, name, _pieces(target), content_type=MEDIA_TYPE, metadata=OURS
            )
            return size, facts

    async def _result(self, asked: RenderingAsked, progress: Progress, opened: AsyncExitStack) -> Path:
        findings = await open_findings(self._storage, asked.bucket, asked.video_id)
        if findings is None:
            raise Missing(f"The result of {asked.video_id}")
        progress.total = (await findings.facts()).frames
        path = opened.enter_context(self._work_folder.place())
        with self._work_folder.filling(path, findings.size):
            await self._storage.download(asked.bucket, detection_object(asked.video_id), path)
        return path


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    """Yield a file piece by piece; read in a thread, because a disk may be slow."""
    try:
        with path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, 1 << 20):
                yield piece
    except OSError as error:
        raise Unavailable("the work folder", error) from error
