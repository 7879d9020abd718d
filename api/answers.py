"""What the calls answer, for the OpenAPI document.

The answers themselves are written without these models: a result is streamed as it lies in S3, and a list
of a thousand videos is encoded by msgspec. A test holds the two together.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

EVENT_ID = "3f2b8c1e-6f0a-4c55-9d1e-0c8d0a4b7f11"


class Accepted(BaseModel):
    """A video was accepted; `event_id` is what to ask for it with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok", "event_id": EVENT_ID}]})

    status: Literal["ok"]
    event_id: str


class Requested(BaseModel):
    """A video that is in the object storage already."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"bucket": "videos", "object": "archive/street.mp4", "media_type": "video"}]
        }
    )

    bucket: str = Field(description="One of the buckets that the operator allows.")
    object: str = Field(min_length=1, max_length=1024, description="The object's name within the bucket.")
    media_type: Literal["video"] = "video"


class Operation(BaseModel):
    """A video and how far it is."""

    video_id: str = Field(examples=[EVENT_ID])
    status_code: Literal["new", "sent", "ready", "failed"]
    status_description: str = Field(
        description="In the language of `Accept-Language` (ru, en).",
        examples=["Результат сохранён в S3 и готов к забору"],
    )


class Operations(BaseModel):
    """Videos, newest first."""

    operations: list[Operation]
    total: int = Field(description="How many videos there are in all.", examples=[1])
    next_cursor: str | None = Field(None, description="Where the next page begins; absent on the last one.")


class Cleaned(BaseModel):
    """Everything was deleted."""

    status: Literal["ok"]
    deleted: int = Field(description="How many videos there were.", examples=[12])


class FoundObject(BaseModel):
    """An object that was found in a frame."""

    name: str = Field(alias="class", examples=["car"])
    box: list[int] = Field(
        description="left, top, right, bottom; pixels of the source frame", examples=[[100, 200, 300, 400]]
    )
    conf: float = Field(description="0 to 1, four decimals", examples=[0.8712])


class FrameError(BaseModel):
    """Why something has no result."""

    code: str = Field(examples=["not_a_video"])
    message: str = Field(examples=["The file is not a video in a format that Kadr reads."])


class Frame(BaseModel):
    """A frame that was looked at."""

    frame: int = Field(description="Its number in the video, counted from 0.", examples=[0])
    time: float | None = Field(description="Seconds, from the container's timestamps.", examples=[0.0])
    objects: list[FoundObject] = Field(description="Empty where nothing was found.")
    error: FrameError | None = Field(None, description="Why the frame could not be looked at.")


class LookedAt(BaseModel):
    """Facts of the video: size in pixels as a player shows it, duration in seconds."""

    width: int = Field(examples=[1920])
    height: int = Field(examples=[1080])
    fps: float = Field(examples=[25.0])
    duration: float = Field(examples=[12.0])
    frames: int = Field(examples=[300])
    sampled: int = Field(examples=[60])
    truncated: bool = False


class LookedWith(BaseModel):
    """The model that looked."""

    name: str = Field(examples=["best.pt"])
    sha256: str
    backend: str = Field(examples=["openvino"])
    demo: bool = False


class Ready(BaseModel):
    """What was found; every sampled frame is there, in order."""

    status: Literal["ready"]
    event_id: str = Field(examples=[EVENT_ID])
    video: LookedAt
    model: LookedWith
    prediction: list[Frame]


class Waiting(BaseModel):
    """The result is not there yet."""

    status: Literal["new", "sent"]
    event_id: str = Field(examples=[EVENT_ID])


class Failed(BaseModel):
    """There will be no result, and why."""

    status: Literal["failed"]
    event_id: str = Field(examples=[EVENT_ID])
    error: FrameError


class Health(BaseModel):
    """Whether the service lives, and whether what it needs answers."""

    status: Literal["ok"]
    service: Literal["api"]
    version: str = Field(examples=["0.1.0"])
    live: bool = Field(examples=[True])
    ready: bool = Field(examples=[True])
    checks: dict[str, str] = Field(examples=[{"mongo": "ok", "s3": "ok"}])
