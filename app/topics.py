"""The contract between the stages: one line per topic."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic

from app.domain.messages import (
    FrameSampled,
    FramesDetected,
    FramesMissing,
    M,
    SplitEnded,
    VideoAsked,
    VideoEnded,
)
from app.settings import Settings


class Spread(StrEnum):
    """Over how many partitions a topic is spread."""

    VIDEOS = "videos"
    TASKS = "tasks"
    ONE = "one"

    def partitions(self, settings: Settings) -> int:
        """Return the number of partitions."""
        return {"videos": settings.video_partitions, "tasks": settings.task_partitions, "one": 1}[self.value]


STREAM: Final = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""Nothing unread is ever removed: the broker keeps everything until we trim what was committed."""

PICTURES: Final = STREAM | {"segment.bytes": str(16 << 20)}
"""Trimming frees whole segments only; small ones keep the disk used for pictures small."""

KEPT: Final = {"cleanup.policy": "compact"}
"""What was set aside stays until it is sent again."""


@dataclass(frozen=True)
class Contract(Generic[M]):
    """A topic: its name, the message it carries, what its key is, and how it is kept."""

    name: str
    message: type[M]
    spread: Spread = Spread.VIDEOS
    config: dict[str, str] = field(default_factory=lambda: dict(STREAM))


OUTBOX_EVENTS = Contract("outbox_events", VideoAsked)
INFERENCE_TASKS = Contract("inference_tasks", FrameSampled, Spread.TASKS, dict(PICTURES))
INFERENCE_RESULTS = Contract("inference_results", FramesDetected)
VIDEO_SPLITS = Contract("video_splits", SplitEnded)
VIDEO_GAPS = Contract("video_gaps", FramesMissing)
VIDEO_RESULTS = Contract("video_results", VideoEnded)

STREAMS: Final = (OUTBOX_EVENTS, INFERENCE_TASKS, INFERENCE_RESULTS, VIDEO_SPLITS, VIDEO_GAPS, VIDEO_RESULTS)

STRIDE_HEADER: Final = "vid_stride"
"""Says of a task, outside its body, how its video is sampled: needed when the body cannot be read."""

REJECTED: Final = "rejected"
"""Original bytes of what could not be processed; the reason is in the headers."""


def required_topics(settings: Settings) -> dict[str, tuple[int, dict[str, str]]]:
    """Return every topic of the contract with its partitions and configuration."""
    topics = {topic.name: (topic.spread.partitions(settings), topic.config) for topic in STREAMS}
    return topics | {REJECTED: (1, KEPT)}
