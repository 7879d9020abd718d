"""The facts that travel between the stages, and how they are written as JSON.

Every message is a typed fact in the past tense, made only of what JSON keeps. Readers ignore fields they
do not know, and every field that was added later has a default, so that old and new workers run side by
side. Boxes are `[left, top, right, bottom]` in whole pixels of the source frame as a player shows it
(rotation applied, origin at the top left); times are seconds from the container's first timestamp.
"""

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from app.domain.options import Options, Preprocess
from app.errors import Malformed

__all__ = [
    "Detection",
    "Failure",
    "FrameNumber",
    "FrameResult",
    "FrameSampled",
    "FramesDetected",
    "FramesMissing",
    "M",
    "Message",
    "ModelFacts",
    "Options",
    "Preprocess",
    "SplitEnded",
    "VideoAsked",
    "VideoEnded",
    "VideoFacts",
    "VideoId",
    "decode",
    "encode",
]

VideoId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z._-]+$")]
Attempt = Annotated[int, Meta(ge=1)]
FrameNumber = Annotated[int, Meta(ge=0, lt=100_000_000)]


class Failure(Struct, frozen=True):
    """Why a video, or one frame of it, has no result: a stable code and a sentence for people."""

    code: str
    message: str


class VideoFacts(Struct, frozen=True):
    """What decoding found out about a video.

    Where a client has given an `end` that lies before the video's own, reading stops there: `frames` and
    `duration` then say how far the video was read, up to the last frame that was looked at, and `truncated`
    says nothing of what follows. A `start` changes neither: what lies before it counts.

    Attributes:
        width: of the first frame that was looked at, as a player shows it, in pixels.
        height: of that frame, in pixels.
        fps: frames per second, the average over the video.
        duration: seconds from the first timestamp to the end of the last frame that was read.
        frames: frames that were decoded or skipped exactly, counted from frame 0.
        sampled: frames that were looked at: of the window, every `vid_stride`-th.
        truncated: whether the file breaks off before its end, or before the window's.
        truncated_at: seconds up to which it could be looked at, if it breaks off; absent otherwise.
        first_frame: number of the first frame that was looked at; absent where that is frame 0.
    """

    width: int
    height: int
    fps: float
    duration: float
    frames: int
    sampled: int
    truncated: bool = False
    truncated_at: float | UnsetType = UNSET
    first_frame: FrameNumber | UnsetType = UNSET


class ModelFacts(Struct, frozen=True):
    """The model that looked.

    Attributes:
        name: the file's name without its ending.
        sha256: of the weights.
        backend: what runs it, such as `openvino f32`.
        demo: whether it is the project's own demo model.
        note: what a reader of its results has to know; absent mostly.
    """

    name: str
    sha256: str
    backend: str
    demo: bool = False
    note: str | UnsetType = UNSET


class VideoAsked(Struct, frozen=True):
    """Something was asked for a video (topic `outbox_events`, key: the video's id)."""

    video_id: VideoId
    kind: Literal["submitted", "cancel", "delete", "retry"] = "submitted"
    attempt: Attempt = 1
    bucket: str = ""
    object: str = ""
    media_type: str = "video"
    input_owned: bool = False
    options: Options = Options()


class FrameSampled(Struct, frozen=True):
    """A frame was taken from a video (topic `inference_tasks`, key `{video id}/{attempt}/{frame}`).

    Attributes:
        frame: its number in the source, counted from 0.
        time: seconds from the container's first timestamp.
        width: of the source frame, in pixels.
        height: of the source frame, in pixels.
        image: base64 of a JPEG, preprocessed as the options say, longest side at most their `imgsz`.
    """

    video_id: VideoId
    attempt: Attempt
    frame: FrameNumber
    time: float
    width: Annotated[int, Meta(ge=1)]
    height: Annotated[int, Meta(ge=1)]
    image: str
    options: Options = Options()


class Detection(Struct, frozen=True):
    """An object found in a frame: class name, bounding box (source pixels), confidence (4 decimals)."""

    class_: str = msgspec.field(name="class")
    box: tuple[int, int, int, int]
    conf: float


class FrameResult(Struct, frozen=True):
    """What was found in one frame, or why it could not be looked at.

    Attributes:
        frame: its number in the source, counted from 0.
        time: seconds from the container's first timestamp; null when the task could not be read.
        objects: what was found, most confident first; empty when nothing was, or on an error.
        error: why the frame could not be looked at; absent otherwise.
    """

    frame: FrameNumber
    time: float | None = None
    objects: list[Detection] = msgspec.field(default_factory=list)
    error: Failure | UnsetType = UNSET


class FramesDetected(Struct, frozen=True):
    """Frames of one video were looked at (topic `inference_results`, key: the video's id)."""

    video_id: VideoId
    attempt: Attempt
    model: ModelFacts
    frames: list[FrameResult]
    vid_stride: Annotated[int, Meta(ge=1)] = 5


class SplitEnded(Struct, frozen=True):
    """How splitting a video ended (topic `video_splits`, key: the video's id).

    `checked` repeats what is known of a split that has ended and asks to look for missing frames.
    """

    video_id: VideoId
    kind: Literal["split", "checked", "failed", "cancelled", "deleted"]
    attempt: Attempt
    bucket: str = ""
    object: str = ""
    input_owned: bool = False
    options: Options = Options()
    video: VideoFacts | None = None
    error: Failure | None = None
    round: int = 0


class FramesMissing(Struct, frozen=True):
    """Frames of a split that ended never arrived (topic `video_gaps`, key: the video's id)."""

    video_id: VideoId
    attempt: Attempt
    frames: list[FrameNumber]
    round: int = 1


class VideoEnded(Struct, frozen=True):
    """A video is complete, failed, cancelled or deleted, or its tombstone expired (topic `video_results`)."""

    video_id: VideoId
    kind: Literal["complete", "failed", "cancelled", "deleted", "expired"]
    attempt: Attempt


Message = VideoAsked | FrameSampled | FramesDetected | SplitEnded | FramesMissing | VideoEnded
M = TypeVar("M", bound=Message)

_encoder = msgspec.json.Encoder()


def encode(message: Struct) -> bytes:
    """Return the message as compact JSON."""
    return _encoder.encode(message)


def decode(data: bytes | None, as_type: type[M]) -> M:
    """Return the message that `data` holds.

    Raises:
        Malformed: it is not JSON, lacks a field, or a field is out of its bounds.
    """
    if data is None:
        raise Malformed(as_type.__name__, "the message has no value")
    try:
        return msgspec.json.decode(data, type=as_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(as_type.__name__, error) from error
