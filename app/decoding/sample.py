"""A frame that is looked at, and its pixels once they are asked for."""

from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from app.decoding.container import AvFrame, refuse
from app.decoding.picture import Picture, Turn


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """A frame that was looked for.

    Attributes:
        index: its number by the stride.
        number: its number in the source, counted from 0.
        time: seconds from the container's first timestamp.
        width: of the frame as a player shows it, in pixels.
        height: of the frame as a player shows it, in pixels.
    """

    index: int
    number: int
    time: float
    width: int
    height: int
    _turn: Turn
    _frame: AvFrame
    _converter: VideoReformatter

    def picture(self) -> Picture:
        """Return the frame's pixels, upright; to be called in one thread only.

        Raises:
            Undecodable: the pixels are in a format that cannot be converted.
        """
        # FFmpeg's scaler knows the frame's own colour matrix, range, depth and alpha. Left alone, it
        # would start a thread per processor.
        try:
            converted = self._converter.reformat(self._frame, format="bgr24", threads=1)
        except (MemoryError, BlockingIOError):
            raise
        except av.FFmpegError as error:
            raise refuse("unsupported_codec", f"(pixels as {self._frame.format.name})") from error
        return self._turn.apply(np.asarray(converted.to_ndarray()))
