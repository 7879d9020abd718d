"""What v0.1 has written, as the code of today says it: one builder per message, record and document.

The files in `tests/data/wire/v0.1` were written once and are never written again: they are what may still
lie in a topic, a table, a database or a bucket when this code reads it. A new release adds a folder.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from app.domain.messages import (
    Detection,
    Failure,
    FrameResult,
    FrameSampled,
    FramesDetected,
    FramesMissing,
    Message,
    ModelFacts,
    Options,
    SplitEnded,
    VideoAsked,
    VideoEnded,
    VideoFacts,
)
from app.domain.records import Record
from tables.videos import Head

FOLDER: Final = Path(__file__).parents[1] / "data" / "wire" / "v0.1"
VIDEO_ID: Final = "0d9f7b3e-6a51-4b0e-9d5c-2f1a7c8e4b60"
OPTIONS: Final = Options(conf=0.3, iou=0.5, vid_stride=2, max_det=50)
VIDEO: Final = VideoFacts(512, 288, 29.97, 10.01, 300, 150, truncated=True)
MODEL: Final = ModelFacts("demo.pt", "5e88489804", "openvino", demo=True)
FAILURE: Final = Failure("frames_lost", "Some frames were lost on the way and could not be found again.")
OBJECT: Final = f"input/{VIDEO_ID}.mp4"


def asked() -> VideoAsked:
    return VideoAsked(VIDEO_ID, "retry", 2, "videos", OBJECT, "video", input_owned=True, options=OPTIONS)


def sampled() -> FrameSampled:
    return FrameSampled(VIDEO_ID, 2, 14, 0.467, 512, 288, "/9j/4AAQSkZJRg==", OPTIONS)


def detected() -> FramesDetected:
    cat = Detection(class_="cat", box=(10, 20, 110, 220), conf=0.8765)
    frames = [FrameResult(14, 0.467, [cat]), FrameResult(16, error=Failure("undecodable", "No picture."))]
    return FramesDetected(VIDEO_ID, 2, MODEL, frames, 2)


def split_ended() -> SplitEnded:
    return SplitEnded(
        VIDEO_ID,
        "checked",
        2,
        bucket="videos",
        object=OBJECT,
        input_owned=True,
        options=OPTIONS,
        video=VIDEO,
        error=FAILURE,
        round=3,
    )


def frames_missing() -> FramesMissing:
    return FramesMissing(VIDEO_ID, 2, [14, 16], 3)


def video_ended() -> VideoEnded:
    return VideoEnded(VIDEO_ID, "complete", 2)


def head() -> Head:
    return Head(
        attempt=2,
        state="failed",
        vid_stride=2,
        total=150,
        chunks=1,
        bucket="videos",
        object=OBJECT,
        input_owned=True,
        model=MODEL,
        video=VIDEO,
        error=FAILURE,
        changed_at=1764000000.25,
    )


def record() -> Record:
    now = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    return Record(
        video_id=VIDEO_ID,
        attempt=2,
        status="processing",
        created_at=now,
        updated_at=now,
        bucket="videos",
        object=OBJECT,
        input_owned=True,
        options=OPTIONS,
        total_frames=150,
        received_frames=120,
        split_frames=150,
        split_ended=True,
        split_tries=1,
        split_owner="here:1:abc",
        split_lease_until=now,
        checks=1,
        only=[14, 16],
        video=VIDEO,
        error=FAILURE,
    )


MESSAGES: Final[dict[str, Callable[[], Message]]] = {
    "outbox_events": asked,
    "inference_tasks": sampled,
    "inference_results": detected,
    "video_splits": split_ended,
    "video_gaps": frames_missing,
    "video_results": video_ended,
}
"""By topic: what was recorded from it."""

KEPT: Final[dict[str, Callable[[], Struct]]] = {"table_videos_head": head, "runner_predictions": record}
"""Table values and records."""


def read(name: str) -> bytes:
    """What was recorded."""
    return (FOLDER / f"{name}.json").read_bytes()
