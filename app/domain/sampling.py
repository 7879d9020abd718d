"""Which frames of a video are looked at: every `vid_stride`-th, counted from frame 0.

A sampled frame's index is its number divided by the stride, also where a window begins later than the video.
"""

import math
from typing import Final, NamedTuple


class Window(NamedTuple):
    """The part of a video that is looked at: frames whose time t, in seconds, is `start <= t < end`.

    Attributes:
        start: seconds from the container's first timestamp.
        end: seconds; infinite where the video's own end is meant.
    """

    start: float = 0.0
    end: float = math.inf

    def holds(self, time: float) -> bool:
        """Return whether a frame of this time is looked at."""
        return self.start <= time < self.end

    def count_frames(self, frames: int, rate: float, vid_stride: int) -> int:
        """Return how many frames are looked at of so many at a constant rate: an estimate.

        Args:
            frames: of the whole video.
            rate: frames per second.
            vid_stride: every how manieth is looked at.
        """
        first, past = (min(frames, _ceil(border * rate, frames)) for border in self)
        return max(0, count_sampled(past, vid_stride) - count_sampled(first, vid_stride))


WHOLE: Final = Window()
"""Nothing is left out."""

ROUNDING: Final = 1e-6
"""How far a border may lie beyond a frame by arithmetic alone, in frames."""


def count_sampled(frames: int, vid_stride: int) -> int:
    """Return how many of `frames` frames are looked at: ceil(frames / vid_stride)."""
    return -(-frames // vid_stride)


def frame_number(index: int, vid_stride: int) -> int:
    """Return the source number of the sampled frame with this index."""
    return index * vid_stride


def sample_index(frame: int, vid_stride: int) -> int:
    """Return the index of a sampled frame among the sampled frames.

    Raises:
        ValueError: the frame is not one that is sampled.
    """
    index, rest = divmod(frame, vid_stride)
    if rest:
        message = f"frame {frame} is not sampled at a stride of {vid_stride}"
        raise ValueError(message)
    return index


def _ceil(border: float, most: int) -> int:
    """Return the number of the first frame from a border on, `most` where it is beyond all of them."""
    return most if border >= most else math.ceil(border - ROUNDING)
