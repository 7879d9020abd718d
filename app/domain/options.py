"""What a client may choose for one video; names and defaults as Ultralytics has them.

The options travel with every message of their video. One that is not named has its default, so that a message
of an older Kadr asks for what it always did.
"""

import math
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from app.domain.sampling import Window

DEFAULT_SIZE: Final = 640
"""What `imgsz` is where nobody has chosen; the operator's `IMGSZ` stands in for it (`input_size`)."""

ClassName = Annotated[str, Meta(min_length=1, max_length=100)]
ClassId = Annotated[int, Meta(ge=0, lt=100_000)]
Classes = Annotated[tuple[ClassName | ClassId, ...], Meta(min_length=1, max_length=1000)]


# Before the structs, whose defaults are made while the module is read.
def _insist_on_numbers(**values: float | None) -> None:
    """Refuse what JSON cannot say and a database can.

    Raises:
        ValueError: a value is infinite, or no number.
    """
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            message = f"{name} must be a finite number"
            raise ValueError(message)


class Preprocess(Struct, frozen=True, omit_defaults=True):
    """What is done to a frame before it is shrunk for the model: a blur, then alpha times a value plus beta.

    Attributes:
        blur: side of the Gaussian kernel in pixels of the source frame, odd; 1 is no blur.
        alpha: contrast.
        beta: brightness, of 255; what falls below 0 or above 255 is 0 or 255.

    Raises:
        ValueError: the side of the kernel is even, or a number is none.
    """

    blur: Annotated[int, Meta(ge=1, le=31)] = 3
    alpha: Annotated[float, Meta(ge=0, le=10)] = 1.3
    beta: Annotated[float, Meta(ge=-255, le=255)] = 5.0

    def __post_init__(self) -> None:
        """Insist on a kernel that has a middle."""
        if self.blur % 2 == 0:
            message = "blur must be odd"
            raise ValueError(message)
        _insist_on_numbers(alpha=self.alpha, beta=self.beta)


class Options(Struct, frozen=True, omit_defaults=True):
    """What a client may choose for one video.

    Attributes:
        conf: least confidence of a detection, 0 to 1.
        iou: IoU above which non-maximum suppression drops the weaker of two boxes of one class, 0 to 1.
        vid_stride: every how manieth frame is looked at, counted from frame 0.
        max_det: most detections in one frame, the most confident ones.
        classes: names or ids of the model's classes that are looked for; None is all. Others neither count
            towards `max_det` nor suppress any.
        imgsz: longest side of the model's input in pixels, a multiple of 32. The default leaves the choice to
            the operator.
        preprocess: what is done to each frame before; False is nothing. True is the default.
        start: seconds from the container's first timestamp; frames before are not looked at. None is 0.
        end: seconds; frames from there on are not looked at. None is the video's end.

    The frames that are looked at are those whose number in the source is a multiple of `vid_stride` and whose
    time t is `start <= t < end`: `start` moves no number, and the frames of a window are among the whole
    video's, with the same numbers and times.

    Raises:
        ValueError: `start` is not before `end`, or a number is none.
    """

    conf: Annotated[float, Meta(ge=0, le=1)] = 0.25
    iou: Annotated[float, Meta(ge=0, le=1)] = 0.45
    vid_stride: Annotated[int, Meta(ge=1)] = 5
    max_det: Annotated[int, Meta(ge=1, le=3000)] = 300
    classes: Classes | None = None
    imgsz: Annotated[int, Meta(ge=32, le=1280, multiple_of=32)] = DEFAULT_SIZE
    preprocess: Preprocess | bool = Preprocess()
    start: Annotated[float, Meta(ge=0)] | None = None
    end: Annotated[float, Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        """Insist on a window that is one."""
        if self.preprocess is True:
            msgspec.structs.force_setattr(self, "preprocess", Preprocess())
        _insist_on_numbers(conf=self.conf, iou=self.iou, start=self.start, end=self.end)
        if self.end is not None and (self.start or 0) >= self.end:
            message = "start must be less than end"
            raise ValueError(message)

    @property
    def preparation(self) -> Preprocess | None:
        """What is done to each frame before; None is nothing."""
        return self.preprocess if isinstance(self.preprocess, Preprocess) else None

    @property
    def window(self) -> Window:
        """The part of the video that is looked at."""
        return Window(self.start or 0.0, math.inf if self.end is None else self.end)


def input_size(options: Options, setting: int) -> int:
    """Return the longest side of the model's input in pixels.

    Args:
        options: of the video.
        setting: the operator's `IMGSZ`, which counts where the video's options leave it open. It may be more
            than a client may ask for.
    """
    return setting if options.imgsz == DEFAULT_SIZE else options.imgsz


def listed(options: Options, setting: int = DEFAULT_SIZE) -> dict[str, Any]:
    """Return every option with its value, defaults too, as JSON has them.

    Args:
        options: of a video.
        setting: the operator's `IMGSZ`.
    """
    values = {name: getattr(options, name) for name in Options.__struct_fields__}
    if (how := options.preparation) is not None:
        values["preprocess"] = {name: getattr(how, name) for name in Preprocess.__struct_fields__}
    values["classes"] = None if options.classes is None else list(options.classes)
    return values | {"imgsz": input_size(options, setting)}
