"""What `/api/v1` answers about a video: the body, and its models for the OpenAPI document.

Bodies are written by msgspec without the models; a test holds the two together.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from pydantic import BaseModel, Field

from api.cursors import write_cursor
from api.intake.options import PreprocessChoice
from api.lifecycle.looks import Look
from api.openapi.answers import EVENT_ID, FrameError
from app.clients.main_db.video_outbox import Page, Video
from app.domain.options import listed as listed_options
from app.domain.states import Stage, State

CREATED = "2026-10-05T12:00:00.021000Z"
SENT = "2026-10-05T12:00:00.102000Z"


class ChosenOptions(BaseModel):
    """The options of a video, those that nobody chose too."""

    conf: float = Field(examples=[0.25])
    iou: float = Field(examples=[0.45])
    vid_stride: int = Field(examples=[5])
    max_det: int = Field(examples=[300])
    classes: list[int | str] | None = Field(examples=[["car", "person"]])
    imgsz: int = Field(examples=[640])
    preprocess: PreprocessChoice
    start: float | None
    end: float | None


class ListedVideo(BaseModel):
    """A video, as `main_db` knows it."""

    id: str = Field(examples=[EVENT_ID])
    status: State = Field(
        description="`queued` until it is published, then `processing` until it has ended.",
        examples=["processing"],
    )
    stage: Stage | None = Field(
        description="Where a video in work is; null where it has ended, or nobody knows.",
        examples=["detecting"],
    )
    filename: str | None = Field(description="As its client has called it.", examples=["street.mp4"])
    tags: list[str] = Field(examples=[["street"]])
    attempt: int = Field(description="Counted from 1; each retry is one more.", examples=[1])
    options: ChosenOptions
    bucket: str = Field(examples=["videos"])
    object: str = Field(examples=[f"input/{EVENT_ID}.mp4"])
    created_at: datetime = Field(examples=[CREATED])
    sent_at: datetime | None = Field(
        description="When the pipeline had it; null while it is queued.", examples=[SENT]
    )
    ended_at: datetime | None = Field(description="When it was ready, failed or cancelled.")
    error: FrameError | None = Field(description="Why it has failed.", examples=[None])


class VideoList(BaseModel):
    """Some videos, newest first."""

    videos: list[ListedVideo]
    next_cursor: str | None = Field(
        description="Where the next page begins; null on the last one. A page before it may be short."
    )


class ShownProgress(BaseModel):
    """How far a video is. All but `known` is absent while the runner does not answer."""

    known: bool = Field(description="Whether the runner has answered.", examples=[True])
    frames_done: int | None = Field(None, description="Sampled frames that were looked at.", examples=[120])
    frames_total: int | None = Field(
        None,
        description="Sampled frames of the video: as its container says until it is decoded; null before.",
        examples=[600],
    )
    frames_split: int | None = Field(
        None, description="Sampled frames that are decoded and on their way, or done.", examples=[150]
    )
    fps: float | None = Field(None, description="Sampled frames per second of late.", examples=[48.2])
    eta_seconds: float | None = Field(
        None, description="Until every frame is looked at; null as long as nobody knows.", examples=[10.0]
    )
    queue_position: int | None = Field(
        None,
        description="Videos that wait and are before it; 0 where it is open. 1000 is 1000 or more.",
        examples=[0],
    )


class ShownTimes(BaseModel):
    """When each stage was reached; null where it was not, or nobody knows."""

    created: datetime = Field(examples=[CREATED])
    sent: datetime | None = Field(description="It was published.", examples=[SENT])
    accepted: datetime | None = Field(
        description="A runner has recorded it.", examples=["2026-10-05T12:00:00.314000Z"]
    )
    decoding: datetime | None = Field(
        description="Its first frame was about to be decoded.", examples=["2026-10-05T12:00:00.402000Z"]
    )
    decoded: datetime | None = Field(description="All its frames were on their way.")
    detected: datetime | None = Field(description="All its frames were looked at.")
    ready: datetime | None = Field(description="Its result was stored.")


class ShownVideo(ListedVideo):
    """A video and how far it is."""

    progress: ShownProgress
    times: ShownTimes


def listed(video: Video) -> dict[str, Any]:
    """Return what a list says of a video."""
    return _of(video, "queued" if video.state == "queued" else None)


def listing(page: Page) -> dict[str, Any]:
    """Return a page of a list."""
    return {
        "videos": [listed(video) for video in page.videos],
        "next_cursor": None if page.next is None else write_cursor(page.next),
    }


def shown(look: Look) -> dict[str, Any]:
    """Return all that is known of a video."""
    return _of(look.video, look.stage) | {"progress": progress_of(look), "times": _times(look)}


def progress_of(look: Look) -> dict[str, Any]:
    """Return how far a video is, `{"known": false}` where the runner has not answered."""
    if not look.is_known:
        return {"known": False}
    found = look.progress
    return {
        "known": True,
        "frames_done": found.frames_done if found else 0,
        "frames_total": found.total if found else None,
        "frames_split": found.frames_split if found else 0,
        "fps": None if look.fps is None else round(look.fps, 1),
        "eta_seconds": None if look.eta_seconds is None else round(look.eta_seconds, 1),
        "queue_position": found.queue_position if found else None,
    }


def _of(video: Video, stage: Stage | None) -> dict[str, Any]:
    return {
        "id": video.id,
        "status": video.state,
        "stage": stage,
        "filename": video.filename,
        "tags": list(video.tags),
        "attempt": video.attempt,
        "options": listed_options(video.options),
        "bucket": video.bucket,
        "object": video.object,
        "created_at": _text(video.created_at),
        "sent_at": _text(video.sent_at),
        "ended_at": _text(video.outcome_at),
        "error": None if video.error is None else msgspec.to_builtins(video.error),
    }


def _times(look: Look) -> dict[str, str | None]:
    video, found = look.video, look.progress
    stages: Sequence[str] = ("accepted", "decoding", "decoded", "detected", "ready")
    times = {stage: None if found is None else getattr(found.times, stage) for stage in stages}
    if video.outcome == "ready" and times["ready"] is None:
        times["ready"] = _text(video.outcome_at)
    return {"created": _text(video.created_at), "sent": _text(video.sent_at), **times}


def _text(time: datetime | None) -> str | None:
    """Return a time as RFC 3339 has it, in UTC."""
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")
