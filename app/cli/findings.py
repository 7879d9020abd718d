"""What a result says, by class: pure."""

from collections.abc import Iterable

from msgspec import Struct

from app.domain.messages import Detection, FrameResult


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
