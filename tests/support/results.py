"""The role `results` in memory: its tables, the stage that gathers and the stage that writes."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from agents.result_aggregator import Aggregator
from agents.s3_outbox import S3Outbox
from app.delivery import Delivered
from app.domain.messages import FramesDetected, Message, SplitEnded, VideoEnded
from app.topics import INFERENCE_RESULTS, VIDEO_RESULTS, VIDEO_SPLITS, Contract
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
        self.outbox = S3Outbox(worker, self.frames, self.videos)
        self._acted = 0

    async def receive(self, messages: Sequence[Message]) -> None:
        """Let the aggregator handle messages, in batches of one topic as they come."""
        for message in messages:
            if isinstance(message, FramesDetected):
                await self.aggregator.gather(delivered(INFERENCE_RESULTS, message))
            elif isinstance(message, SplitEnded):
                await self.aggregator.end_splits(delivered(VIDEO_SPLITS, message))

    async def act(self) -> None:
        """Let the S3 outbox handle what the aggregator has published since the last time."""
        ended = self.publisher.of(VIDEO_RESULTS)
        new, self._acted = ended[self._acted :], len(ended)
        for message in new:
            await self.outbox.act(delivered(VIDEO_RESULTS, message))

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


def one(contract: Contract[Any], message: Message) -> Sequence[Delivered[Any]]:
    """One message, as a handler gets it."""
    return delivered(contract, message)
