"""Decoding and picture work side by side: records out of a video."""

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from io import BufferedReader, FileIO
from threading import Lock
from typing import BinaryIO, Final

import msgspec
import pybase64

from app.decoding.container import check_processor_time
from app.decoding.limits import extend_processor_time
from app.decoding.picture import encode_jpeg, preprocess, shrink
from app.decoding.protocol import TAKEN, TAKEN_AT_ONCE, WINDOW, Kind, Order, frame_key, write_record
from app.decoding.reader import VideoReader
from app.decoding.sample import SampledFrame
from app.domain.messages import VideoFacts

AHEAD: Final = 3
"""Decoded frames that may wait for their picture work: enough to level out, 160 MB at 8K."""

TOGETHER: Final = 8
"""Frames that are handed over together: what inference takes at once by default. The first one is alone, so
that a model that is idle has work; then half as many as there were before wait for each other each time."""

HOLD_SECONDS: Final = 0.25
"""How long a frame waits for the others, so that few requests carry many frames. In clips, which no bound
slows down, each frame would otherwise be a request to Kafka of its own, which costs that a millisecond."""

LIFE_SIGN_SECONDS: Final = 1.0
"""How long the child may be silent at most, while it gets on."""


class Splitter:
    """Turns the video of one order into records.

    Decoding runs in the caller's thread, everything after it in a second one; FFmpeg, OpenCV and
    the pipe all release Python's lock. A parent that does not read stops both.

    Args:
        order: what to do.
        video: the file, open for reading.
        taken: where the parent says how many frames it has taken.
        output: where the records go.
    """

    def __init__(self, order: Order, video: FileIO, taken: BufferedReader, output: BinaryIO) -> None:
        self._order = order
        self._reader = VideoReader(
            video,
            stride=order.job.options.vid_stride,
            limits=order.limits,
            window=order.job.options.window,
            on_progress=self._show_life,
        )
        self._taken = taken
        self._ahead = 0
        self._output = output
        self._writing = Lock()
        self._interval = min(LIFE_SIGN_SECONDS, order.limits.stall / 4)
        self._written_at = time.monotonic()
        self._due = self._written_at
        self._has_told_length = False
        self._written = 0
        self._held = 0
        self._held_since = 0.0
        job = order.job
        self._head = b'{"video_id":%s,"attempt":%d,"options":%s,"frame":' % (
            msgspec.json.encode(job.video_id),
            job.attempt,
            msgspec.json.encode(job.options),
        )

    def split(self) -> VideoFacts:
        """Write one record per wanted frame; return the facts of the video.

        Raises:
            Undecodable: the video is none, or more than the limits allow.
        """
        job, reader = self._order.job, self._reader
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures") as pictures:
            for sample in reader.sampled(job.start_index, job.only):
                self._tell_length(reader)
                waiting.append(pictures.submit(self._write_frame, sample))
                if len(waiting) > AHEAD:
                    waiting.popleft().result()
            for written in waiting:
                written.result()
        return reader.facts

    def _tell_length(self, reader: VideoReader) -> None:
        if not self._has_told_length and reader.expected is not None:
            self._write(Kind.OPENED, reader.expected)
        self._has_told_length = True

    def _write_frame(self, sample: SampledFrame) -> None:
        prepared = preprocess(sample.picture(), self._order.job.options.preparation)
        image = encode_jpeg(shrink(prepared, self._order.longest))
        # Assembled by hand: a JSON encoder would look at every character of the picture.
        value = b'%s%d,"time":%a,"width":%d,"height":%d,"image":"%s"}' % (
            self._head,
            sample.number,
            sample.time,
            sample.width,
            sample.height,
            pybase64.b64encode(image),
        )
        job = self._order.job
        key = frame_key(job.video_id, job.attempt, sample.number)
        is_due = self._is_due()
        self._write(Kind.FRAME if is_due else Kind.HELD, sample.index, key, value, flush=is_due)
        while self._ahead >= WINDOW:
            taken = self._taken.read1(WINDOW) or TAKEN * WINDOW  # at its end nobody listens: on to our own
            self._ahead -= TAKEN_AT_ONCE * len(taken)

    def _is_due(self) -> bool:
        """Count one more frame; say whether it is to be handed over now, with those that were held back."""
        now = time.monotonic()
        self._written += 1
        self._ahead += 1
        self._held += 1
        if self._held == 1:
            self._held_since = now
        is_due = (
            self._ahead >= WINDOW
            or self._held >= min(TOGETHER, 1 + (self._written - self._held) // 2)
            or now - self._held_since >= HOLD_SECONDS
        )
        if is_due:
            self._held = 0
        return is_due

    def _show_life(self, frames: int) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + self._interval
        limits = self._order.limits
        check_processor_time(time.process_time(), self._reader.seconds, limits)
        extend_processor_time(limits)
        if now - self._written_at >= self._interval:
            self._write(Kind.ALIVE, frames)

    def _write(
        self, kind: Kind, number: int, key: bytes = b"", value: bytes = b"", *, flush: bool = True
    ) -> None:
        with self._writing:
            write_record(self._output, kind, number, key=key, value=value, flush=flush)
            self._written_at = time.monotonic()
