"""Every n-th frame of a video, upright, with its time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter

from app.decoding.clock import DECIMALS, Clock
from app.decoding.container import (
    AvContainer,
    AvFrame,
    AvPacket,
    AvStream,
    check_frames,
    check_pixels,
    check_seconds,
    choose_stream,
    create_clock,
    declared_end,
    open_container,
    refuse,
)
from app.decoding.picture import Picture, Turn
from app.decoding.protocol import Limits
from app.decoding.survey import Doubt, Survey
from app.domain.messages import VideoFacts
from app.domain.sampling import count_sampled

BROKEN_READS: Final = 8
"""Reads in a row that may fail before a file counts as broken off: damage is usually one bad block."""

TOLERATED_END: Final = 0.5
"""Seconds by which a video may end before its declared end without being called truncated: containers
round, and count a last frame that was never written."""


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """A frame that was looked for.

    Attributes:
        index: its number among the sampled frames.
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


class VideoReader:
    """Reads one video once.

    Args:
        path: of the local file.
        stride: every how manieth frame is wanted, counted from frame 0.
        limits: what the video may cost.
        on_progress: called with the number of frames so far, for every packet that was worked on.
        skips: whether pictures that cannot matter may be skipped.
    """

    def __init__(
        self,
        path: Path,
        *,
        stride: int,
        limits: Limits,
        on_progress: Callable[[int], None] = lambda _frames: None,
        skips: bool = True,
    ) -> None:
        self._path = path
        self._stride = stride
        self._limits = limits
        self._on_progress = on_progress
        self._skips = skips
        self._converter = VideoReformatter()
        self._turns: dict[bytes | None, Turn] = {None: Turn()}
        self._size = (0, 0)
        self._rate = 0.0
        self._frames = 0
        self._end = 0.0
        self._declared_end: float | None = None
        self._is_broken_off = False

    @property
    def facts(self) -> VideoFacts:
        """What is known of the video; complete once `sampled` is exhausted.

        Raises:
            Undecodable: not one frame was found.
        """
        if not self._frames:
            raise refuse("no_frames")
        short = (self._declared_end or 0) - self._end
        tolerated = max(TOLERATED_END, 5 / self._rate)
        return VideoFacts(
            width=self._size[0],
            height=self._size[1],
            fps=round(self._rate, DECIMALS),
            duration=round(self._end, DECIMALS),
            frames=self._frames,
            sampled=count_sampled(self._frames, self._stride),
            truncated=self._is_broken_off or short > tolerated,
        )

    @property
    def expected(self) -> int | None:
        """How many frames are to be sampled according to the file; None as long as it has said nothing."""
        if self._declared_end is None:
            return None
        return count_sampled(round(max(0.0, self._declared_end) * self._rate), self._stride)

    def sampled(self, start_index: int = 0, only: list[int] | None = None) -> Iterator[SampledFrame]:
        """Yield the sampled frames in order; a damaged part is left out where the decoder can go on.

        Args:
            start_index: the first one wanted, counted among the sampled frames.
            only: numbers of the frames wanted, in the source; reading ends after the last of them, and
                `facts` then counts the frames up to there.

        Raises:
            Undecodable: the file is no video that we read, or larger than the limits.
        """
        wanted = None if only is None else frozenset(only)
        following = start_index
        for sample in self._read():
            # A video that is started again in full comes by the same frames a second time.
            if sample.index < following:
                continue
            following = sample.index + 1
            if wanted is None or sample.number in wanted:
                yield sample
            if wanted is not None and sample.number >= max(wanted, default=0):
                self._frames = sample.number + 1  # it is counted after it was given away, which will not be
                return

    def _read(self) -> Iterator[SampledFrame]:
        try:
            yield from self._read_once(skips=self._skips)
        except Doubt:
            yield from self._read_once(skips=False)

    def _read_once(self, *, skips: bool) -> Iterator[SampledFrame]:
        """Decode what is wanted and what that refers to.

        Raises:
            Doubt: pictures were skipped, and should not have been.
        """
        self._frames = 0
        with open_container(self._path, self._limits) as container:
            stream = choose_stream(container, self._limits)
            clock = self._start(container, stream)
            survey = Survey(self._stride if skips else 1, clock, stream.codec_context, self._limits)
            for frame in self._decode(container, stream, survey):
                number = survey.number(frame.pts, is_corrupt=frame.is_corrupt)
                sample = self._see(frame, number, clock)
                if sample is not None:
                    yield sample
                self._frames = number + 1
                check_frames(self._frames, self._limits)
            if self._is_broken_off:
                survey.doubt()
            survey.finish()
        if survey.has_skipped:
            self._frames, self._end = survey.frames, survey.end

    def _start(self, container: AvContainer, stream: AvStream) -> Clock:
        clock = create_clock(container, stream)
        self._rate = 1 / clock.step
        self._declared_end = declared_end(container, stream)
        return clock

    def _decode(self, container: AvContainer, stream: AvStream, survey: Survey) -> Iterator[AvFrame]:
        """Yield decoded frames in order of presentation; packets that cannot be decoded are left out."""
        context = stream.codec_context
        for packet, is_skipped in survey.plan(self._packets(container, stream)):
            if packet is not None and packet.size:
                if packet.has_sidedata("encryption_info"):
                    raise refuse("encrypted")
                if survey.has_skipped:
                    context.skip_frame = "NONREF" if is_skipped else "DEFAULT"
                self._is_broken_off = packet.is_corrupt
            try:
                yield from context.decode(packet)
            except MemoryError:
                raise
            except av.FFmpegError:
                survey.doubt()
                # Damage in the middle is not the end: the next good packet takes this back.
                self._is_broken_off = True
            self._on_progress(self._frames)

    def _packets(self, container: AvContainer, stream: AvStream) -> Iterator[AvPacket]:
        """Yield the stream's packets, at last an empty one; reads on after damage where that is possible."""
        failures = 0
        while failures < BROKEN_READS:
            try:
                for packet in container.demux(stream):
                    failures = 0
                    yield packet
            except MemoryError:
                raise
            except av.FFmpegError:
                failures += 1
            else:
                return
        yield None
        self._is_broken_off = True

    def _see(self, frame: AvFrame, number: int, clock: Clock) -> SampledFrame | None:
        """Note what a frame tells about the video; return it if it is one that is sampled."""
        check_pixels(frame.width, frame.height, self._limits)
        time = clock.tell(frame.pts)
        self._end = time + clock.length(frame.duration)
        check_seconds(self._end, self._limits)
        if number and number % self._stride:
            return None
        turn = self._turn(frame)
        width, height = turn.size(frame.width, frame.height)
        if not number:
            self._size = (width, height)
        return SampledFrame(
            number // self._stride, number, round(time, DECIMALS), width, height, turn, frame, self._converter
        )

    def _turn(self, frame: AvFrame) -> Turn:
        side = frame.side_data.get(Type.DISPLAYMATRIX)
        key = None if side is None else bytes(side)
        if key not in self._turns:
            self._turns[key] = Turn.from_matrix(tuple(np.frombuffer(key or b"", np.int32).tolist()))
        return self._turns[key]
