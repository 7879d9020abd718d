"""Videos whose every box is known, ready in an API that stands alone: file, record and result."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import msgspec
import numpy as np

from app.clients.s3.storage import open_storage
from app.decoding.picture import Picture
from app.decoding.process import create_limits
from app.decoding.reader import VideoReader
from app.domain.documents import ready_document
from app.domain.messages import Detection, FrameResult, ModelFacts, VideoFacts
from app.domain.objects import (
    detection_object,
    input_object,
    marks,
)
from app.domain.options import Options, listed
from app.domain.renderings import LEASE, RenderingKind, RenderingState, rendering_object, state_object
from app.settings import Settings
from tests.support.examples import MODEL
from tests.support.listed_videos import ListedVideos

SQUARE = (40, 220, 90)
"""Blue, green, red of the square that `tests.support.clips.paint` draws."""

NEAR = 60
"""By how much a codec may change a colour."""

SURE = 40
"""By how much it changes the square's, but at its edge."""


@dataclass(frozen=True)
class Looked:
    """What is known of a clip, in the frame of reference of results: read by Kadr's own reader."""

    facts: VideoFacts
    rows: list[FrameResult]
    pictures: dict[int, Picture]


def look_at(clip: Path, *, stride: int = 5) -> Looked:
    """Find the painted square in every n-th frame of a clip of `tests.support.clips`, where it is upright."""
    rows, pictures = [], {}
    with clip.open("rb", buffering=0) as video:
        reader = VideoReader(video, stride=stride, limits=create_limits(Settings()))
        for sample in reader.sampled():
            picture = sample.picture().copy()
            pictures[sample.number] = picture
            found = Detection("square", box_of(picture), 0.9)
            rows.append(FrameResult(sample.number, sample.time, [found]))
        return Looked(reader.facts, rows, pictures)


def box_of(picture: Picture) -> tuple[int, int, int, int]:
    """Return where the square is: left, top, right, bottom in pixels."""
    distance = np.abs(picture.astype(int) - SQUARE).max(axis=2)
    # The largest patch: of the ramp behind it some pixels differ by 65, by less when a codec has had them.
    mask = (distance < SURE).astype(np.uint8)
    _, _, facts, _ = cv2.connectedComponentsWithStats(mask)
    left, top, width, height, _ = facts[1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))].tolist()
    return left, top, left + width, top + height


@dataclass(frozen=True)
class ShownVideos:
    """Puts videos that are ready into an API.

    Attributes:
        servers: lead to its Mongo and S3.
        listed: puts them into its list.
    """

    servers: Settings
    listed: ListedVideos

    async def add(
        self,
        rows: Sequence[FrameResult],
        facts: VideoFacts,
        *,
        clip: Path | None = None,
        name: str = "street.mp4",
        stride: int = 5,
        other_models: Sequence[ModelFacts] = (),
    ) -> str:
        """Add a video with this result, and return its id.

        Args:
            rows: of the result.
            facts: of the video.
            clip: its file; none when not said.
            name: as its client has called it.
            stride: every how manieth frame was looked at.
            other_models: that have looked at some of its frames, beside that of the examples.
        """
        video_id = await self.listed.add(name, "ready")
        body = b"".join([piece async for piece in _document(video_id, rows, facts, stride, other_models)])
        async with open_storage(self.servers) as storage:
            if clip is not None:
                body_of_clip = await asyncio.to_thread(clip.read_bytes)
                await storage.put("videos", input_object(video_id), body_of_clip, content_type="video/mp4")
            await storage.put(
                "videos",
                detection_object(video_id),
                body,
                content_type="application/json",
                metadata=marks(1),
            )
        return video_id

    async def begin_rendering(self, video_id: str, kind: RenderingKind, done: int, total: int) -> None:
        """Let a rendering be under way."""
        until = datetime.now(UTC) + LEASE
        state = RenderingState("making", until, frames_done=done, frames_total=total)
        async with open_storage(self.servers) as storage:
            await storage.put(
                "videos",
                state_object(video_id, kind),
                msgspec.json.encode(state),
                content_type="application/json",
            )

    async def finish_rendering(self, video_id: str, kind: RenderingKind, clip: Path) -> None:
        """Let a rendering be there."""
        body = await asyncio.to_thread(clip.read_bytes)
        async with open_storage(self.servers) as storage:
            await storage.put("videos", rendering_object(video_id, kind), body, content_type="video/mp4")


async def _document(
    video_id: str,
    rows: Sequence[FrameResult],
    facts: VideoFacts,
    stride: int,
    other_models: Sequence[ModelFacts],
) -> AsyncIterator[bytes]:
    async def pieces() -> AsyncIterator[list[bytes]]:
        for start in range(0, len(rows), 1000):
            yield [msgspec.json.encode(row) for row in rows[start : start + 1000]]

    options = listed(Options(vid_stride=stride))
    async for piece in ready_document(
        video_id, video=facts, model=MODEL, options=options, rows=pieces(), other_models=other_models
    ):
        yield piece
