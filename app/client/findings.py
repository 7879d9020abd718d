"""What Kadr says of what is in a video. Boxes are left, top, right, bottom, in pixels of the source frame."""

from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

from app.domain.messages import Failure, FrameResult, ModelFacts, VideoFacts

Format: TypeAlias = Literal["json", "jsonl", "csv", "coco", "yolo", "mot", "vtt", "parquet"]
"""The forms in which a result can be had."""


ENDINGS: Final[dict[Format, str]] = {
    "json": ".json",
    "jsonl": ".jsonl",
    "csv": ".csv",
    "coco": ".coco.json",
    "yolo": ".yolo.zip",
    "mot": ".mot.txt",
    "vtt": ".vtt",
    "parquet": ".parquet",
}
"""How the names of such files end."""

BINARY: Final = frozenset({"yolo", "parquet"})
"""Those that are no text."""


class Result(Struct, frozen=True):
    """A whole result, as Kadr keeps it.

    Attributes:
        model: that looked, the first one if there were several.
        other_models: that looked at some of the frames, too: inference was given another one meanwhile, or
            workers run it in different ways.
    """

    event_id: str
    video: VideoFacts
    model: ModelFacts
    prediction: list[FrameResult]
    other_models: list[ModelFacts] = []

    @property
    def objects(self) -> int:
        """How many objects were found in all frames."""
        return sum(len(frame.objects) for frame in self.prediction)

    @property
    def frame_errors(self) -> int:
        """How many frames could not be looked at."""
        return sum(frame.error is not UNSET for frame in self.prediction)


class FoundObject(Struct, frozen=True):
    """An object in a frame.

    Attributes:
        class_: name of its class.
        box: pixels of the source frame.
        conf: confidence, 0 to 1.
        track: number of the track that it is part of; None when of none, absent where none were asked for.
    """

    class_: str = msgspec.field(name="class")
    box: tuple[int, int, int, int]
    conf: float
    track: int | UnsetType | None = UNSET


class FrameFound(Struct, frozen=True):
    """A frame that was looked at.

    Attributes:
        frame: its number in the video, counted from 0.
        time: seconds from the container's first timestamp.
        objects: most confident first.
        error: why it could not be looked at.
    """

    frame: int
    time: float | None = None
    objects: list[FoundObject] = []
    error: Failure | UnsetType = UNSET


class DetectionPage(Struct, frozen=True):
    """Some frames, in order."""

    prediction: list[FrameFound]
    next_cursor: str | None = None


class Segment(Struct, frozen=True):
    """A span of time in which a class is to be seen: seconds of its first and of its last frame."""

    start: float
    end: float
    conf: float


class ClassSummary(Struct, frozen=True):
    """What there is of one class.

    Attributes:
        detections: how often it was found.
        frames: in how many frames.
        first: seconds of the first of them.
        last: seconds of the last one.
        most_at_once: most of them in one frame.
        conf: highest confidence.
    """

    class_: str = msgspec.field(name="class")
    detections: int
    frames: int
    first: float | None
    last: float | None
    most_at_once: int
    conf: float
    segments: list[Segment] = []


class Summary(Struct, frozen=True):
    """What is in a video, and when.

    Attributes:
        gap: seconds; sights of a class that are no further apart are one segment.
        interval: seconds from one frame that was looked at to the next.
        looked_at: frames that were looked at.
        not_looked_at: frames that could not be.
    """

    event_id: str
    gap: float
    interval: float
    looked_at: int
    not_looked_at: int
    classes: list[ClassSummary]


class Track(Struct, frozen=True):
    """An object that was followed: seconds and numbers of the first and of the last frame that show it."""

    track: int
    class_: str = msgspec.field(name="class")
    start: float | None
    end: float | None
    first_frame: int
    last_frame: int
    frames: int
    conf: float


class TrackPage(Struct, frozen=True):
    """Some tracks, in the order in which they begin."""

    tracks: list[Track]
    next_cursor: str | None = None
