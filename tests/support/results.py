"""The role `results` in memory: its tables, the stage that gathers and the stage that writes."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from agents.result_aggregator import Aggregator
from agents.s3_outbox import S3Outbox
from app.domain.messages import FramesDetected, Message, SplitEnded, VideoEnded
from app.streaming.durable_table import on_behalf_of
from app.topics import INFERENCE_RESULTS, VIDEO_RESULTS, VIDEO_SPLITS
from app.worker import Worker
from tables.frames import Frames
from tables.videos import Videos
from tests.support.streams import KeptPublisher, delivered
from tests.support.workers import MemoryTable, MemoryWorker


class Results:
    """Both stages, on one pair of tables."""

    def __init__(self) -> None:
        self.worker = MemoryWorker()
        worker = cast("Worker[Any]", self.worker)
        self.frames, self.videos = Frames(worker), Videos(worker)
        self.publisher = KeptPublisher()
        self.aggregator = Aggregator(worker, self.frames, self.videos, self.publisher)
        self.outbox = S3Outbox(worker, self.frames, self.videos, self.publisher)
        self._acted = 0

    async def receive(self, messages: Sequence[Message]) -> None:
        """Let the aggregator handle messages, one by one as they come."""
        for message in messages:
            if isinstance(message, FramesDetected):
                await self.gather(message)
            elif isinstance(message, SplitEnded):
                await self.end_split(message)

    async def gather(self, *messages: FramesDetected) -> None:
        """Let the aggregator handle one batch."""
        batch = delivered(INFERENCE_RESULTS, *messages)
        with on_behalf_of(batch[-1].event):  # the current one is the last that was received
            await self.aggregator.gather(batch)

    async def end_split(self, message: SplitEnded) -> None:
        """Let the aggregator handle the end of a split."""
        batch = delivered(VIDEO_SPLITS, message)
        with on_behalf_of(batch[-1].event):
            await self.aggregator.end_splits(batch)

    async def act(self, *messages: VideoEnded) -> None:
        """Let the S3 outbox handle these, or what the aggregator has published since the last time."""
        ended = self.publisher.of(VIDEO_RESULTS)
        new, self._acted = ended[self._acted :], len(ended)
        for message in messages or new:
            batch = delivered(VIDEO_RESULTS, message)
            with on_behalf_of(batch[-1].event):
                await self.outbox.act(batch)

    def announced(self) -> list[VideoEnded]:
        return self.publisher.of(VIDEO_RESULTS)

    def document(self, name: str) -> Any:  # noqa: ANN401  # JSON holds anything
        return msgspec.json.decode(self.worker.s3.objects("videos")[name])

    @property
    def rows(self) -> MemoryTable:
        return cast("MemoryTable", self.frames.table)

    @property
    def heads(self) -> MemoryTable:
        return cast("MemoryTable", self.videos.table)
