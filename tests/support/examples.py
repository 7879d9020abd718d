"""One builder per message; a test names only the fields that matter to it."""

from msgspec import UNSET

from app.domain.messages import (
    Detection,
    Failure,
    FrameResult,
    FrameSampled,
    FramesDetected,
    FramesMissing,
    ModelFacts,
    Options,
    SplitEnded,
    VideoAsked,
    VideoEnded,
    VideoFacts,
)

MODEL = ModelFacts("demo.pt", "5e884898", "openvino", demo=True)
CAT = Detection(class_="cat", box=(10, 20, 110, 220), conf=0.8765)


def facts(sampled: int = 3, *, vid_stride: int = 5, first: int = 0) -> VideoFacts:
    """A video with so many sampled frames, the first of which has this index."""
    frames = max(0, (first + sampled - 1) * vid_stride + 1)
    begins = first * vid_stride or UNSET
    return VideoFacts(512, 288, 25.0, frames / 25, frames, sampled, first_frame=begins)


def asked(video_id: str = "a", kind: str = "submitted", **changes: object) -> VideoAsked:
    """What a client asked for."""
    given = {"bucket": "videos", "object": f"input/{video_id}.mp4", "input_owned": True} | changes
    return VideoAsked(video_id, kind, **given)  # type: ignore[arg-type]  # fields of the message


def frame_sampled(video_id: str = "a", frame: int = 0, *, vid_stride: int = 5) -> FrameSampled:
    """A picture that is to be looked at."""
    options = Options(vid_stride=vid_stride)
    return FrameSampled(video_id, 1, frame, frame / 25, 512, 288, "/9j/", options)


def frames_detected(
    video_id: str = "a", *frames: int, attempt: int = 1, vid_stride: int = 5
) -> FramesDetected:
    """Frames with a cat in each."""
    found = [FrameResult(frame, frame / 25, [CAT]) for frame in frames]
    return FramesDetected(video_id, attempt, MODEL, found, vid_stride)


def split_ended(
    video_id: str = "a", kind: str = "split", sampled: int | None = 3, **changes: object
) -> SplitEnded:
    """How splitting ended."""
    given = {
        "attempt": 1,
        "bucket": "videos",
        "object": f"input/{video_id}.mp4",
        "input_owned": True,
        "video": None if sampled is None else facts(sampled),
    } | changes
    return SplitEnded(video_id, kind, **given)  # type: ignore[arg-type]  # fields of the message


def frames_missing(video_id: str = "a", *frames: int) -> FramesMissing:
    """Frames that never arrived."""
    return FramesMissing(video_id, 1, list(frames))


def video_ended(video_id: str = "a", kind: str = "complete") -> VideoEnded:
    """What the S3 outbox acts on."""
    return VideoEnded(video_id, kind, 1)  # type: ignore[arg-type]  # a kind


def frame_failed(frame: int = 0) -> FrameResult:
    """A frame that could not be looked at."""
    return FrameResult(frame, error=Failure("undecodable", "The picture cannot be decoded."))
