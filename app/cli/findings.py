"""What a result says, by class: pure."""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Struct

from app.domain.messages import Detection, FrameResult, ModelFacts, VideoFacts
from app.errors import Malformed


class Result(Struct, frozen=True):
    """A result as the API answers with it."""

    event_id: str
    video: VideoFacts
    model: ModelFacts
    prediction: list[FrameResult]

    @property
    def objects(self) -> int:
        """How many objects were found in all frames."""
        return sum(len(frame.objects) for frame in self.prediction)

    @property
    def frame_errors(self) -> int:
        """How many frames could not be looked at."""
        return sum(frame.error is not UNSET for frame in self.prediction)


class ClassFound(Struct, frozen=True):
    """What was found of one class.

    Attributes:
        name: of the class.
        detections: in all frames.
        frames: in how many frames at least one was found.
        first: seconds of the first of them; None where the video does not say.
        last: seconds of the last of them.
        best: the highest confidence.
    """

    name: str
    detections: int
    frames: int
    first: float | None
    last: float | None
    best: float


def read_result(body: bytes) -> Result:
    """Read a result.

    Raises:
        Malformed: it is none.
    """
    try:
        return msgspec.json.decode(body, type=Result)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed("the result", error) from error


def summarise(frames: Iterable[FrameResult]) -> list[ClassFound]:
    """What was found, the most frequent class first."""
    found: dict[str, ClassFound] = {}
    for frame in frames:
        for name in sorted({detection.class_ for detection in frame.objects}):
            of_class = [each for each in frame.objects if each.class_ == name]
            found[name] = _add(found.get(name), frame, of_class)
    return sorted(found.values(), key=lambda each: (-each.detections, each.name))


def _add(before: ClassFound | None, frame: FrameResult, detections: list[Detection]) -> ClassFound:
    best = max(each.conf for each in detections)
    name = detections[0].class_
    if before is None:
        return ClassFound(name, len(detections), 1, frame.time, frame.time, best)
    times = [time for time in (before.first, before.last, frame.time) if time is not None]
    return ClassFound(
        name,
        before.detections + len(detections),
        before.frames + 1,
        min(times, default=None),
        max(times, default=None),
        max(before.best, best),
    )
