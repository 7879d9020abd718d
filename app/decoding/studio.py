"""The parent's side of renderings: one child for each picture or video that is made."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from app.decoding.conversation import Conversation, outcome_of
from app.decoding.handle import Child, DecoderCrashed
from app.decoding.process import create_limits
from app.decoding.protocol import Kind, Record
from app.decoding.rendering_orders import NO_ROOM, Anchor, RenderingOrder, write_rendering_order
from app.domain.messages import Detection, Failure, VideoFacts
from app.domain.renderings import RenderingKind
from app.errors import Unavailable, Undecodable
from app.settings import Settings

logger = logging.getLogger(__name__)

MODULE: Final = "app.decoding.rendering_child"

LONGEST: Final[dict[RenderingKind, int]] = {"annotated": 3840, "preview": 1280}
"""The longest side of each, in pixels: beyond 4K hardly any browser plays H.264; a preview is to be small."""

FRAME_NICENESS: Final = 5
VIDEO_NICENESS: Final = 15
"""Added to the runner's own: somebody waits for a frame; a video is made of what others leave, inference
included, which runs at 5."""

SERVICE: Final = "the work folder"


class Studio:
    """Makes pictures and videos; open it with `open_studio`.

    Args:
        settings: limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._limits = create_limits(settings)
        self._wall = settings.rendering_wall.total_seconds()
        self._frame_within = settings.frame_within.total_seconds()
        self._busy: set[Child] = set()

    async def frame(
        self, path: Path, number: int, *, anchor: Anchor | None, objects: Sequence[Detection]
    ) -> bytes:
        """Return a frame of a video as a JPEG.

        Args:
            path: of the video.
            number: of the frame in the source, counted from 0.
            anchor: a frame at or before it of which the time is known.
            objects: what is drawn into it.

        Raises:
            Undecodable: there is no such frame, it cannot be found in time, or the video is none.
            DecoderCrashed: the child ended without an answer.
        """
        limits = msgspec.structs.replace(self._limits, wall=self._frame_within)
        order = RenderingOrder("frame", limits, frame=number, anchor=anchor, objects=objects)
        pictures: list[bytes] = []

        def keep(record: Record) -> None:
            if record.kind is Kind.FRAME:
                pictures[:] = [record.value]

        async with self._working(order, FRAME_NICENESS, path) as talk:
            await _follow(talk, keep)
        if not pictures:
            raise DecoderCrashed("decoder_crashed", "ended without a picture")
        return pictures[0]

    async def video(
        self,
        path: Path,
        kind: RenderingKind,
        *,
        target: Path,
        most: int,
        result: Path | None,
        on_progress: Callable[[int], None],
    ) -> VideoFacts:
        """Write a video of a video.

        Args:
            path: of the source.
            kind: of what is made.
            target: where to; an empty file is made there.
            most: bytes that it may have.
            result: the document with the boxes, where they are drawn.
            on_progress: told how many frames are done, at most once a second.

        Raises:
            Undecodable: it cannot be made of this video, or within the limits.
            DecoderCrashed: the child ended without an answer.
            Unavailable: the disk is full.
        """
        limits = msgspec.structs.replace(self._limits, wall=self._wall, output=most)
        order = RenderingOrder(kind, limits, longest=LONGEST[kind])

        def tell(record: Record) -> None:
            if record.kind is Kind.ALIVE:
                on_progress(record.number)

        async with self._working(order, VIDEO_NICENESS, path, target, result) as talk:
            return await _follow(talk, tell)

    @asynccontextmanager
    async def _working(
        self, order: RenderingOrder, niceness: int, path: Path, *others: Path | None
    ) -> AsyncIterator[Conversation]:
        """Give an order to a child; it is gone when the block is left, in whatever way."""
        child = await Child.start(niceness, order.limits, MODULE)
        self._busy.add(child)
        try:
            with _opened(path, *others) as files:
                await child.give(write_rendering_order(order), *files)
            talk = Conversation(child, order.limits)
            watching = asyncio.create_task(talk.watch(), name="watch renderer")
            try:
                yield talk
            finally:
                watching.cancel()
        finally:
            child.kill()
            await asyncio.shield(asyncio.ensure_future(self._reap(child)))

    async def _reap(self, child: Child) -> None:
        await child.end()
        self._busy.discard(child)
        if child.last_words:
            logger.warning("renderer complained", extra={"output": child.last_words})

    async def close(self) -> None:
        """End every child."""
        await asyncio.gather(*(child.end() for child in list(self._busy)))


@asynccontextmanager
async def open_studio(settings: Settings) -> AsyncIterator[Studio]:
    """Open a studio; its children end with the block."""
    studio = Studio(settings)
    try:
        yield studio
    finally:
        await studio.close()


@contextmanager
def _opened(path: Path, target: Path | None = None, result: Path | None = None) -> Iterator[list[int]]:
    """Open the source and the result for reading, and an empty file for writing."""
    ways = [(path, os.O_RDONLY), (target, os.O_RDWR | os.O_CREAT | os.O_TRUNC), (result, os.O_RDONLY)]
    with ExitStack() as opened:
        files = []
        for each, flags in ways:
            if each is not None:
                try:
                    files.append(os.open(each, flags | os.O_CLOEXEC, 0o600))
                except OSError as error:
                    raise Unavailable(SERVICE, error) from error
                opened.callback(os.close, files[-1])
        yield files


async def _follow(talk: Conversation, on_record: Callable[[Record], None]) -> VideoFacts:
    """Listen to a child to the end; return the facts with which it ended.

    Raises:
        Undecodable: it ended with a reason, or was too late.
        Unavailable: the reason was the disk.
        DecoderCrashed: it ended without a word.
    """
    while (record := await talk.next()) is not None:
        if record.kind in (Kind.FACTS, Kind.FAILED):
            talk.outcome = outcome_of(record)
            break
        on_record(record)
    match talk.outcome:
        case VideoFacts() as facts:
            return facts
        case Failure(code, message) if code == NO_ROOM:
            raise Unavailable(SERVICE, message)
        case Failure(code, message):
            raise Undecodable(code, message)
        case None:
            raise DecoderCrashed("decoder_crashed", "ended without a word")
