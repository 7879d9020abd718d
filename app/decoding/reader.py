"""Every n-th frame of a video, upright, with its time."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from io import FileIO
from typing import Final

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter
from msgspec import UNSET

from app.decoding.clock import DECIMALS, Clock
from app.decoding.container import (
    AvContainer,
    AvFrame,
    AvPacket,
    AvStream,
    check_frames,
    check_pixels,
    check_rate,
    check_seconds,
    check_sizes,
    choose_stream,
    create_clock,
    declared_end,
    is_marked_encrypted,
    open_container,
    read_packets,
    refuse,
)
from app.decoding.ending import breaks_off
from app.decoding.entry import Entry, find_entry
from app.decoding.picture import Turn
from app.decoding.protocol import Limits
from app.decoding.sample import SampledFrame
from app.decoding.survey import Doubt, Survey
from app.domain.messages import VideoFacts
from app.domain.sampling import WHOLE, Window
from app.errors import Undecodable

BROKEN_READS: Final = 8
"""Reads in a row that may fail before a file counts as broken off: damage is usually one bad block."""

TOLERATED_END: Final = 0.5
"""Seconds by which a video may end before its declared end without being called truncated: containers
round, and count a last frame that was never written."""


UNREADABLE: Final = frozenset({"not_a_video", "no_video_stream"})
"""Codes of files of which the part may be missing that says what they are."""

WITHOUT_LENGTH: Final = frozenset({"mpegts", "mpeg", "h264", "hevc"})
"""Formats that tell no length: where their last picture is damaged, they break off."""


class VideoReader:
    """Reads one video once.

    Args:
        video: the file, open for reading.
        stride: every how manieth frame is wanted, counted from frame 0.
        limits: what the video may cost.
        window: the part of the video that is wanted; what lies before it is decoded only where it has to be,
            what lies behind it never.
        on_progress: called with the number of frames so far, for every packet that was worked on.
        skips: whether pictures that cannot matter may be skipped.

    Attributes:
        time_base: seconds per unit of the stream's timestamps; of no meaning before the first frame.
    """

    def __init__(
        self,
        video: FileIO,
        *,
        stride: int,
        limits: Limits,
        window: Window = WHOLE,
        on_progress: Callable[[int], None] = lambda _frames: None,
        skips: bool = True,
    ) -> None:
        self._video = video
        self._stride = stride
        self._limits = limits
        self._window = window
        self._on_progress = on_progress
        self._skips = skips
        self.time_base = Fraction(1)
        self._converter = VideoReformatter()
        self._turns: dict[int, Turn] = {}
        self._size = (0, 0)
        self._stored_size: tuple[int, int] | None = None
        self._size_changes = 0
        self._rate = 0.0
        self._frames = 0
        self._end = 0.0
        self._sampled = 0
        self._first_frame = 0
        self._up_to_last_sample = (0, 0.0)
        self._is_past_window = False
        self._declared_end: float | None = None
        self._declared_frames = 0
        self._is_broken_off = False
        self._is_end_damaged = False
        self._tells_no_length = False

    @property
    def facts(self) -> VideoFacts:
        """What is known of the video; complete once `sampled` is exhausted.

        Raises:
            Undecodable: not one frame was found, or none that lies in the window.
        """
        if not self._frames and not self._is_past_window:
            raise refuse("truncated" if self._breaks_off() else "no_frames")
        is_truncated = not self._is_past_window and self._is_truncated()
        if not self._sampled:
            raise refuse("empty_window", self._where_it_ends(is_truncated=is_truncated))
        duration = round(self._end, DECIMALS)
        return VideoFacts(
            width=self._size[0],
            height=self._size[1],
            fps=round(self._rate, DECIMALS),
            duration=duration,
            frames=self._frames,
            sampled=self._sampled,
            truncated=is_truncated,
            truncated_at=duration if is_truncated else UNSET,
            first_frame=self._first_frame or UNSET,
        )

    def _is_truncated(self) -> bool:
        declared = self._declared_end or 0
        tolerated = min(max(TOLERATED_END, 5 / self._rate), declared / 2)
        return self._is_broken_off or declared - self._end > tolerated or self._breaks_off()

    def _where_it_ends(self, *, is_truncated: bool) -> str:
        if self._is_past_window:
            return f"One in {self._stride} is looked at."
        return f"The {'file breaks off' if is_truncated else 'video ends'} at {self._end:.3f} seconds."

    @property
    def seconds(self) -> float:
        """How much of the video has been decoded so far."""
        return self._end

    @property
    def expected(self) -> int | None:
        """How many frames are to be sampled according to the file; None as long as it has said nothing."""
        if self._declared_end is None:
            return None
        frames = round(max(0.0, self._declared_end) * self._rate)
        return self._window.count_frames(frames, self._rate, self._stride)

    def sampled(self, start_index: int = 0, only: list[int] | None = None) -> Iterator[SampledFrame]:
        """Yield the sampled frames in order; a damaged part is left out where the decoder can go on.

        Args:
            start_index: the first one wanted, counted among the sampled frames of the window.
            only: numbers of the frames wanted, in the source; reading ends after the last of them, and
                `facts` then counts the frames up to there.

        Raises:
            Undecodable: the file is no video that we read, or larger than the limits.
        """
        wanted = None if only is None else frozenset(only)
        following: int | None = None
        for sample in self._read():
            if following is None:
                following = sample.index + start_index
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
        except Undecodable as error:
            if error.code == "unsupported_codec" and is_marked_encrypted(self._video):
                raise refuse("encrypted") from error
            if error.code in UNREADABLE and breaks_off(self._video, is_short=True):
                raise refuse("truncated") from error
            raise

    def _read_once(self, *, skips: bool) -> Iterator[SampledFrame]:
        """Decode what is wanted and what that refers to.

        Raises:
            Doubt: pictures were skipped, and should not have been.
        """
        self._begin()
        entry = self._find_entry() if skips else None
        with open_container(self._video, self._limits) as container:
            stream = choose_stream(container, self._limits)
            clock = self._start(container, stream)
            survey = Survey(
                self._stride if skips else 1,
                clock,
                stream.codec_context,
                self._limits,
                passed_over=entry.number if entry else 0,
            )
            for frame in self._decode(container, stream, survey, entry):
                number = survey.number(frame.pts, is_corrupt=frame.is_corrupt)
                time = self._see(frame, number, clock)
                if time >= self._window.end:
                    self._is_past_window = True
                    self._frames, self._end = self._up_to_last_sample
                    return
                if number % self._stride == 0 and self._window.holds(time):
                    yield self._sample(frame, number, time)
                self._frames = number + 1
                check_frames(self._frames, self._limits)
            if self._is_broken_off:
                survey.doubt()
            survey.finish()
        if survey.has_skipped:
            self._frames, self._end = survey.frames, survey.end

    def _begin(self) -> None:
        self._frames = self._sampled = self._first_frame = 0
        self._up_to_last_sample = (0, 0.0)
        self._is_past_window = False
        self._stored_size, self._size_changes = None, 0

    def _find_entry(self) -> Entry | None:
        if self._window.start <= 0:
            return None
        return find_entry(self._video, self._window.start, self._limits, lambda: self._on_progress(0))

    def _start(self, container: AvContainer, stream: AvStream) -> Clock:
        clock = create_clock(container, stream)
        self.time_base = stream.time_base
        self._rate = 1 / clock.step
        self._declared_end = declared_end(container, stream)
        self._declared_frames = stream.frames
        self._tells_no_length = container.format.name in WITHOUT_LENGTH
        return clock

    def _decode(
        self, container: AvContainer, stream: AvStream, survey: Survey, entry: Entry | None
    ) -> Iterator[AvFrame]:
        """Yield decoded frames in order of presentation; packets that cannot be decoded are left out."""
        context = stream.codec_context
        packets = self._packets(container, stream)
        if entry is not None:
            entry.approach(container, stream)
            packets = entry.wait_for(packets)
        for packet, is_skipped in survey.plan(packets):
            if packet is not None and packet.size:
                if packet.has_sidedata("encryption_info"):
                    raise refuse("encrypted")
                if survey.has_skipped:
                    context.skip_frame = "NONREF" if is_skipped else "DEFAULT"
                self._is_broken_off = packet.is_corrupt
            try:
                frames = context.decode(packet)
                damaged = any(frame.is_corrupt for frame in frames)
                is_last = packet is None or not packet.size
                self._is_end_damaged = damaged or (is_last and self._is_end_damaged)
                yield from frames
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
                for packet in read_packets(container, stream):
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

    def see(self, frame: AvFrame, number: int, clock: Clock) -> SampledFrame:
        """Return a frame that was found in another way, as if it had been read here.

        Raises:
            Undecodable: it, or where it stands, is beyond the limits.
        """
        return self._sample(frame, number, self._see(frame, number, clock))

    def _see(self, frame: AvFrame, number: int, clock: Clock) -> float:
        """Note what a frame tells about the video; return its time in seconds."""
        self._check_size(frame)
        time = clock.tell(frame.pts)
        self._end = time + clock.length(frame.duration)
        check_seconds(self._end, self._limits)
        check_rate(number, self._end, self._limits)
        return round(time, DECIMALS)

    def _sample(self, frame: AvFrame, number: int, time: float) -> SampledFrame:
        turn = self._turn(frame)
        width, height = turn.size(frame.width, frame.height)
        if not self._sampled:
            self._size, self._first_frame = (width, height), number
        self._sampled += 1
        self._up_to_last_sample = (number + 1, self._end)
        index = number // self._stride
        return SampledFrame(index, number, time, width, height, turn, frame, self._converter)

    def _check_size(self, frame: AvFrame) -> None:
        size = (frame.width, frame.height)
        if size != self._stored_size:
            check_pixels(*size, self._limits)
            self._size_changes += self._stored_size is not None
            self._stored_size = size
            check_sizes(self._size_changes, self._limits)

    def _breaks_off(self) -> bool:
        """Return whether the file proves to be cut off; the reader must have come to its end."""
        is_short = self._frames < max(1, self._declared_frames)
        is_torn = self._tells_no_length and self._is_end_damaged
        return is_torn or breaks_off(self._video, is_short=is_short)

    def _turn(self, frame: AvFrame) -> Turn:
        """Return how to turn a frame; its matrix is read once for each rotation that the stream shows.

        PyAV ties a frame whose side data was looked at to itself: its pixels would stay until Python collects
        garbage, which may be a hundred frames later.
        """
        rotation = int(frame.rotation)
        if rotation not in self._turns:
            side = frame.side_data.get(Type.DISPLAYMATRIX)
            matrix = () if side is None else tuple(np.frombuffer(bytes(side), np.int32).tolist())
            self._turns[rotation] = Turn.from_matrix(matrix) if matrix else Turn()
        return self._turns[rotation]
