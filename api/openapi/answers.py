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
    """A video that is in the object storage already: its name, and no other way to it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"bucket": "videos", "object": "archive/street.mp4", "media_type": "video"}]
        },
    )

    bucket: str = Field(description="One of the buckets that the operator allows.")
    object: str = Field(min_length=1, max_length=1024, description="The object's name in the bucket; no URL.")
    media_type: Literal["video"] = "video"


class Operation(BaseModel):
    """A video and how far it is."""

    video_id: str = Field(examples=[EVENT_ID])
    status_code: Literal["new", "sent", "ready", "failed"] = Field(examples=["ready"])
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
    truncated: bool = Field(default=False, description="Whether the file breaks off before its end.")
    truncated_at: float | None = Field(
        None, description="Seconds up to which there was anything to look at; absent if the file is whole."
    )
    first_frame: int | None = Field(
        None, description="Number of the first frame that was looked at; absent where that is frame 0."
    )


class LookedWith(BaseModel):
    """The model that looked."""

    name: str = Field(examples=["best.pt"])
    sha256: str = Field(
        description="Of its weights.",
        examples=["31e20dde3def09e2cf938c7be6fe23d9150bbbe503982af13345706515f2ef95"],
    )
    backend: str = Field(examples=["openvino f32"])
    demo: bool = False


class Preparation(BaseModel):
    """What was done to each frame before the model saw it."""

    blur: int = Field(examples=[3], description="Side of the Gaussian kernel in pixels; 1 is none.")
    alpha: float = Field(examples=[1.3])
    beta: float = Field(examples=[5.0])


class LookedFor(BaseModel):
    """The options that a result was made with, defaults too."""

    conf: float = Field(examples=[0.25])
    iou: float = Field(examples=[0.45])
    vid_stride: int = Field(examples=[5])
    max_det: int = Field(examples=[300])
    classes: list[str | int] | None = Field(examples=[None], description="Null is all.")
    imgsz: int = Field(examples=[640])
    preprocess: Preparation | Literal[False] = Field(description="False where nothing was done.")
    start: float | None = Field(examples=[None], description="Seconds; null is the beginning.")
    end: float | None = Field(examples=[None], description="Seconds; null is the video's end.")


class Looked(BaseModel):
    """What stands before the rows of everything that is made of a result."""

    status: Literal["ready"]
    event_id: str = Field(examples=[EVENT_ID])
    video: LookedAt
    model: LookedWith
    other_models: list[LookedWith] | None = Field(
        None,
        description="Those that looked at some of the frames, too: inference was given another one "
        "meanwhile, or workers run it in different ways. Mostly absent.",
    )


class Ready(Looked):
    """What was found; every sampled frame is there, in order."""

    options: LookedFor | None = Field(None, description="Absent in results of Kadr 0.1.")
    prediction: list[Frame]


class FollowedObject(FoundObject):
    """An object that was found in a frame, and maybe followed."""

    track: int | None = Field(
        None, description="The track that it is part of; there where `tracks` was asked for.", examples=[7]
    )


class DetectionFrame(BaseModel):
    """A frame that was looked at, with the objects that were asked for."""

    frame: int = Field(description="Its number in the video, counted from 0.", examples=[0])
    time: float | None = Field(description="Seconds, from the container's timestamps.", examples=[0.0])
    error: FrameError | None = Field(None, description="Why the frame could not be looked at.")
    objects: list[FollowedObject] = Field(description="Empty where nothing was found.")


class FollowedWith(BaseModel):
    """How objects were followed."""

    name: str = Field(examples=["ByteTrack"])
    version: str = Field(description="Of the library `trackers`.", examples=["2.6.1"])
    frame_rate: float = Field(description="Frames looked at per second of video.", examples=[5.0])
    lost_track_buffer: int = Field(examples=[30])
    track_activation_threshold: float = Field(examples=[0.7])
    high_conf_det_threshold: float = Field(examples=[0.6])
    minimum_consecutive_frames: int = Field(examples=[2])
    minimum_iou_threshold: float = Field(examples=[0.1])


class DetectionsPage(Looked):
    """Some frames of a result, which is otherwise as `GET /api/result_video/{event_id}` gives it."""

    tracker: FollowedWith | None = Field(None, description="There where `tracks` was asked for.")
    prediction: list[DetectionFrame] = Field(description="In order; fewer than `limit`, or none, is no end.")
    next_cursor: str | None = Field(None, description="Where the next page begins; absent on the last one.")


class FollowedTrack(BaseModel):
    """An object that was followed: seconds and numbers of the first and the last frame that show it."""

    track: int = Field(examples=[7])
    name: str = Field(alias="class", examples=["car"])
    start: float | None = Field(examples=[1.2])
    end: float | None = Field(examples=[9.6])
    first_frame: int = Field(examples=[30])
    last_frame: int = Field(examples=[240])
    frames: int = Field(description="How many frames show it.", examples=[41])
    conf: float = Field(description="Highest confidence.", examples=[0.9312])


class TracksPage(Looked):
    """Some tracks, in the order in which they begin."""

    tracker: FollowedWith
    tracks: list[FollowedTrack]
    next_cursor: str | None = Field(None, description="Where the next page begins; absent on the last one.")


class SummarySegment(BaseModel):
    """A span of time in which a class is to be seen: seconds of its first and of its last frame."""

    start: float = Field(examples=[1.2])
    end: float = Field(examples=[9.6])
    conf: float = Field(description="Highest confidence.", examples=[0.9312])


class SummaryOfClass(BaseModel):
    """What there is of one class."""

    name: str = Field(alias="class", examples=["car"])
    detections: int = Field(examples=[87])
    frames: int = Field(description="In how many frames.", examples=[41])
    first: float = Field(description="Seconds of the first of them.", examples=[1.2])
    last: float = Field(examples=[9.6])
    most_at_once: int = Field(description="Most of them in one frame.", examples=[3])
    conf: float = Field(description="Highest confidence.", examples=[0.9312])
    segments: list[SummarySegment]


class Summary(BaseModel):
    """What is in a video, and when."""

    event_id: str = Field(examples=[EVENT_ID])
    gap: float = Field(description="Seconds; segments that are no further apart are one.", examples=[1.0])
    interval: float = Field(description="Seconds from one frame looked at to the next.", examples=[0.2])
    looked_at: int = Field(description="Frames that were looked at.", examples=[60])
    not_looked_at: int = Field(description="Frames that could not be; the result says why.", examples=[0])
    classes: list[SummaryOfClass] = Field(description="In alphabetical order.")


class Computing(BaseModel):
    """It is not there yet; it is being computed, and then kept."""

    status: Literal["computing"]


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
