"""Pictures and videos out of a video, in a child: a frame as a JPEG, or all of them as H.264."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import FileIO
from typing import BinaryIO, Final

import cv2

from app.decoding.container import check_processor_time
from app.decoding.drawing import draw
from app.decoding.encoding import VideoWriter, open_writer
from app.decoding.limits import extend_processor_time
from app.decoding.picture import Picture
from app.decoding.protocol import Kind, write_record
from app.decoding.reader import VideoReader
from app.decoding.rendering_orders import RenderingOrder
from app.decoding.sample import SampledFrame
from app.decoding.seeking import find_frame
from app.domain.messages import Detection, VideoFacts
from app.domain.results import Document, Row

JPEG: Final = (cv2.IMWRITE_JPEG_QUALITY, 90)
"""For eyes, not for a model: half of what `app.decoding.picture` takes."""

AHEAD: Final = 3
"""Decoded frames that may wait to be encoded: enough to level out, 160 MB at 8K."""

LIFE_SIGN_SECONDS: Final = 1.0
"""How long the child may be silent at most, while it gets on."""


class Life:
    """Says now and then that the child gets on, and keeps to what it may take.

    Args:
        order: with the limits.
        output: where the records go.
    """

    def __init__(self, order: RenderingOrder, output: BinaryIO) -> None:
        self._limits = order.limits
        self._output = output
        self._interval = min(LIFE_SIGN_SECONDS, order.limits.stall / 4)
        self._due = time.monotonic()
        self.seconds: Callable[[], float] = lambda: 0.0

    def show(self, frames: int) -> None:
        """Say how many frames are done.

        Raises:
            Undecodable: the video has cost too much for its length.
        """
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + self._interval
        check_processor_time(time.process_time(), self.seconds(), self._limits)
        extend_processor_time(self._limits)
        write_record(self._output, Kind.ALIVE, frames)


def render_frame(order: RenderingOrder, video: FileIO, output: BinaryIO) -> VideoFacts:
    """Write one frame as a JPEG.

    Raises:
        Undecodable: there is no such frame, or the video is none, or more than the limits allow.
    """
    sample = find_frame(
        video,
        order.frame,
        anchor=order.anchor,
        limits=order.limits,
        on_progress=Life(order, output).show,
    )
    picture = sample.picture().copy()
    draw(picture, order.objects)
    _, encoded = cv2.imencode(".jpg", picture, JPEG)
    write_record(output, Kind.FRAME, order.frame, value=encoded.tobytes())
    return VideoFacts(sample.width, sample.height, 0.0, sample.time, order.frame + 1, 1)


def render_video(order: RenderingOrder, files: Sequence[FileIO], output: BinaryIO) -> VideoFacts:
    """Encode every frame of a video, as long as it was, with what was found where that is wanted.

    Decoding runs in the caller's thread, everything after it in a second one.

    Args:
        order: what to do.
        files: the video, the file to write, and for boxes the result.
        output: where the records go.

    Raises:
        Undecodable: the video is none, or it or what is made of it is more than the limits allow.
        Malformed: the result is none.
    """
    video, target = files[:2]
    life = Life(order, output)
    reader = VideoReader(video, stride=1, limits=order.limits, on_progress=life.show)
    life.seconds = lambda: reader.seconds
    shown = Shown(_rows(*files[2:]))
    samples = reader.sampled()
    first = next(samples, None)
    if first is None:
        return reader.facts  # raises: there is not even one
    waiting: deque[Future[None]] = deque()
    with (
        open_writer(target.fileno(), time_base=reader.time_base, longest=order.longest) as writer,
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures") as pictures,
    ):
        for sample in _chained(first, samples):
            waiting.append(pictures.submit(_write, sample, shown.at(sample.number), writer))
            if len(waiting) > AHEAD:
                waiting.popleft().result()
        for written in waiting:
            written.result()
    return reader.facts


def _rows(result: FileIO | None = None) -> Iterator[Row]:
    return iter(()) if result is None else Document(result).rows()


class Shown:
    """What is drawn into each frame: what was found in the last one that was looked at.

    Args:
        rows: frames of a result, in order.
    """

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._next = next(rows, None)
        self._objects: Sequence[Detection] = ()

    def at(self, number: int) -> Sequence[Detection]:
        """Return it for a frame; to be asked in the order of the frames."""
        while self._next is not None and self._next.frame <= number:
            self._objects = self._next.objects
            self._next = next(self._rows, None)
        return self._objects


def _write(sample: SampledFrame, objects: Sequence[Detection], writer: VideoWriter) -> None:
    picture: Picture = sample.picture()
    if objects:
        picture = picture.copy()
        draw(picture, objects)
    writer.write(picture, sample.time)


def _chained(first: SampledFrame, rest: Iterator[SampledFrame]) -> Iterator[SampledFrame]:
    yield first
    yield from rest
