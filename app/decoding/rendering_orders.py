"""What a child is told that makes pictures and videos of a video.

With the order come open files: the video, for a whole video the file that it is written to, and the result
where boxes are drawn. The child answers with signs of life, for a single frame with `frame`, and at last with
`facts` or `failed`, as one that splits does (`app.decoding.protocol`).
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from app.decoding.protocol import Limits
from app.domain.messages import Detection

MOST_FILES: Final = 3
"""The video, the file to write, the result."""

NO_ROOM: Final = "no_room"
"""Code of a failure that is the disk's, not the video's."""


class Anchor(Struct, frozen=True):
    """A frame of which is known when it is shown, from a result.

    Attributes:
        frame: its number in the source.
        time: seconds from the container's first timestamp, as the result has it.
    """

    frame: int
    time: float


class RenderingOrder(Struct, frozen=True):
    """What is to be made.

    Attributes:
        kind: one frame as a JPEG, the whole video with its boxes, or without.
        limits: what it may cost.
        longest: the longest side of a picture of a video, in pixels; a larger one is shrunk.
        frame: the number of the one frame.
        anchor: a frame at or before it, from which it can be found faster.
        objects: what is drawn into the one frame.
    """

    kind: Literal["frame", "annotated", "preview"]
    limits: Limits
    longest: int = 0
    frame: int = 0
    anchor: Anchor | None = None
    objects: Sequence[Detection] = ()


def write_rendering_order(order: RenderingOrder) -> bytes:
    """Return the order as one line."""
    return msgspec.json.encode(order) + b"\n"


def read_rendering_order(line: bytes) -> RenderingOrder:
    """Return the order that a line holds."""
    return msgspec.json.decode(line, type=RenderingOrder)
