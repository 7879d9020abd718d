"""Pictures become a video that every browser plays: H.264, 4:2:0, its index at the front of an MP4."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, Final

import av

# PyAV imports these when it first needs them, which in the sandbox is too late.
import av.container.output
import av.video.codeccontext
import av.video.stream
import cv2
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from app.decoding.container import AvContainer, AvStream
from app.decoding.picture import Picture
from app.domain.renderings import rendering_failure
from app.errors import Undecodable

BT709: Final = 1
LIMITED: Final = 1
"""ITU-T H.273: primaries, transfer and matrix of high definition; and AVCOL_RANGE_MPEG of FFmpeg."""

FINEST: Final = 1_000_000
COARSEST: Final = 10_000
"""Units per second of the timestamps that are written. FFmpeg would make those of an MP4 finer than the
second by itself; below the first lies what nobody counts in."""

FALLBACK: Final = Fraction(1, 90_000)
"""Seconds per unit where the source counts finer than that: the clock of MPEG (ISO/IEC 13818-1)."""

OPTIONS: Final = {
    "preset": "veryfast",
    "crf": "23",
    # None is shown later than it is decoded: the timestamps are written as they are.
    "bf": "0",
}
"""x264's own default quality; `veryfast` takes a third of the time of its default preset."""

READ_FLAG: Final = 1
"""AVIO_FLAG_READ of FFmpeg."""


class DescriptorFile:
    """A file that is open already, with a position of its own.

    Args:
        descriptor: open for reading and writing.

    Attributes:
        error: why it could not be written, once that happened: FFmpeg tells it only at times.
    """

    name = ""

    def __init__(self, descriptor: int) -> None:
        self.error: OSError | None = None
        self._descriptor = descriptor
        self._position = 0

    def read(self, size: int) -> bytes:
        """Return up to so many bytes; none at the end."""
        data = os.pread(self._descriptor, size, self._position)
        self._position += len(data)
        return data

    def write(self, data: bytes) -> int:
        """Write all of it; return how much that is."""
        os.lseek(self._descriptor, self._position, os.SEEK_SET)
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                self.error = error
                raise
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; return where to."""
        ends = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size()}
        self._position = ends[whence] + offset
        return self._position

    def tell(self) -> int:
        """Return where the next byte is read or written."""
        return self._position

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size


class VideoWriter:
    """Encodes the frames of one video, in the caller's thread.

    Args:
        container: to write into.
        time_base: seconds per unit of the source's timestamps.
        longest: the longest side, in pixels; larger pictures are shrunk.
    """

    def __init__(self, container: AvContainer, *, time_base: Fraction, longest: int) -> None:
        self._container = container
        self._tick = tick_of(time_base)
        self._longest = longest
        self._converter = VideoReformatter()
        self._stream: AvStream | None = None
        self._size = (0, 0)
        self._last = -1

    def write(self, picture: Picture, seconds: float) -> None:
        """Encode a frame; one that has the time of the last one, or an earlier one, is shown right behind it.

        Args:
            picture: of any size; the first one decides what size all of them get.
            seconds: when it is shown.
        """
        if self._stream is None:
            self._stream = self._begin(picture)
        fitted = np.ascontiguousarray(fit(picture, self._size))
        frame = self._converter.reformat(
            av.VideoFrame.from_ndarray(fitted, format="bgr24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            threads=1,
        )
        self._last = max(self._last + 1, round(seconds / self._tick))
        frame.pts, frame.time_base = self._last, self._tick
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Encode what is held back."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))

    def _begin(self, picture: Picture) -> AvStream:
        height, width = picture.shape[:2]
        self._size = even_size(width, height, self._longest)
        stream = self._container.add_stream("libx264", options=OPTIONS)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = self._tick
        context.thread_count = 1
        context.color_range = LIMITED
        context.colorspace = context.color_primaries = context.color_trc = BT709
        stream.time_base = self._tick
        return stream


@contextmanager
def open_writer(descriptor: int, *, time_base: Fraction, longest: int) -> Iterator[VideoWriter]:
    """Write a video into an open file; it is whole when the block has ended without an error.

    Raises:
        Undecodable: the file gets larger than the limit of this process.
        OSError: the disk is full.
    """
    units = str(tick_of(time_base).denominator)
    options = {"movflags": "+faststart", "video_track_timescale": units, "movie_timescale": units}
    file = DescriptorFile(descriptor)

    def reopen(_url: str, flags: int, _options: dict[str, Any]) -> DescriptorFile:
        # To put the index first FFmpeg reads what it has written, through a second opening of the file.
        return DescriptorFile(descriptor) if flags == READ_FLAG else file

    try:
        with av.open(file, "w", format="mp4", io_open=reopen, options=options) as container:
            writer = VideoWriter(container, time_base=time_base, longest=longest)
            yield writer
            writer.finish()
    except (OSError, av.FFmpegError) as error:
        if file.error is None:
            raise
        if file.error.errno != errno.EFBIG:
            raise file.error from error
        failure = rendering_failure("rendering_too_large")
        raise Undecodable(failure.code, failure.message) from error


def tick_of(time_base: Fraction) -> Fraction:
    """Return seconds per unit of the timestamps that are written: every time of the source is a multiple.

    Args:
        time_base: seconds per unit of the source's timestamps.
    """
    units = time_base.denominator
    if units > FINEST:
        return FALLBACK
    while units < COARSEST:
        units *= 2
    return Fraction(1, units)


def even_size(width: int, height: int, longest: int) -> tuple[int, int]:
    """Return a video's width and height: even, which 4:2:0 asks for; never enlarged by more than that."""
    scale = min(1.0, longest / max(width, height))
    return _even(width * scale), _even(height * scale)


def _even(side: float) -> int:
    return max(2, (round(side) + 1) // 2 * 2)


def fit(picture: Picture, size: tuple[int, int]) -> Picture:
    """Return a picture at a video's size: shrunk, or with its last row and column once more.

    Args:
        picture: of any size.
        size: width and height in pixels.
    """
    height, width = picture.shape[:2]
    right, below = size[0] - width, size[1] - height
    if (right, below) == (0, 0):
        return picture
    if right in (0, 1) and below in (0, 1):
        return np.asarray(cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
