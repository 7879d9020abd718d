"""Where decoding may begin, so that what lies before a window is read but not decoded.

From an IDR picture on nothing refers to what came before (ITU-T H.264, 7.4.1.2.4). What has to be known all
the same is its number, as every frame keeps the one that it has in the whole video: so the packets before it
are counted, under the conditions under which single pictures are skipped (`app.decoding.survey`). Where one
does not hold everything is decoded, and what is not wanted is dropped. What cannot be seen without decoding
is damage within a packet that loses its picture: behind it, numbers count it all the same.
"""

from collections.abc import Callable, Iterable, Iterator
from io import FileIO
from typing import Final, NamedTuple

import av

from app.decoding.clock import DECIMALS, Clock
from app.decoding.container import (
    AvContainer,
    AvContext,
    AvPacket,
    AvStream,
    choose_stream,
    create_clock,
    open_container,
    read_packets,
)
from app.decoding.protocol import Limits
from app.decoding.survey import IDR_SLICE, Doubt, Survey, length_prefix, units

PARAMETERS: Final = frozenset({7, 8, 13, 15})
"""NAL unit types of what later pictures need to be decoded (ITU-T H.264, table 7-1)."""


class Entry(NamedTuple):
    """A packet from which on decoding may begin.

    Attributes:
        number: of its picture in the whole video; so many come before.
        pts: when it is shown, in the stream's units.
        dts: when it is decoded.
        position: of its first byte in the file; None where the format does not say.
        size: bytes.
    """

    number: int
    pts: int
    dts: int
    position: int | None
    size: int

    def approach(self, container: AvContainer, stream: AvStream) -> None:
        """Wind a container to this packet, or to one before it.

        Raises:
            Doubt: it cannot be wound.
        """
        try:
            container.seek(self.dts, stream=stream)
        except MemoryError:
            raise
        except av.FFmpegError as error:
            raise Doubt from error

    def wait_for(self, packets: Iterable[AvPacket | None]) -> Iterator[AvPacket | None]:
        """Yield packets from this one on.

        Raises:
            Doubt: it does not come.
        """
        has_come = False
        for packet in packets:
            has_come = has_come or self._is_at(packet)
            if has_come:
                yield packet
            elif self._is_behind(packet):
                raise Doubt

    def _is_at(self, packet: AvPacket | None) -> bool:
        # Not by its time of decoding: FFmpeg guesses it in Matroska, and just after winding it cannot.
        place = (self.pts, self.position, self.size)
        return packet is not None and (packet.pts, packet.pos, packet.size) == place

    def _is_behind(self, packet: AvPacket | None) -> bool:
        """Return whether this one cannot come any more."""
        return packet is None or not packet.size or (packet.dts is not None and packet.dts > self.dts)


def find_entry(video: FileIO, start: float, limits: Limits, on_packet: Callable[[], None]) -> Entry | None:
    """Return the last entry at `start` seconds or before; None where decoding has to begin at the beginning.

    Args:
        video: the file; it is read up to there.
        start: seconds at which the window begins.
        limits: what the video may cost.
        on_packet: called for every packet.

    Raises:
        Undecodable: the file is no video that we read, or larger than the limits.
    """
    with open_container(video, limits) as container:
        stream = choose_stream(container, limits)
        search = EntrySearch(start, create_clock(container, stream), stream.codec_context, limits)
        try:
            for packet in read_packets(container, stream):
                on_packet()
                if not search.goes_on(packet):
                    break
        except MemoryError:
            raise
        except av.FFmpegError:
            return None
    return search.found


class EntrySearch:
    """Looks for the last entry before a window; the container is read up to there once.

    Args:
        start: seconds at which the window begins.
        clock: of the stream.
        context: its decoder, which decodes nothing here.
        limits: what the video may cost.

    Attributes:
        found: the last one so far; None as long as there is none that saves anything.
    """

    def __init__(self, start: float, clock: Clock, context: AvContext, limits: Limits) -> None:
        self.found: Entry | None = None
        self._start = start
        self._clock = clock
        self._prefix = length_prefix(context)
        self._extradata: bytes = context.extradata or b""
        self._survey = Survey(2, clock, context, limits)
        self._newest: int | None = None

    def goes_on(self, packet: AvPacket) -> bool:
        """Look at the next packet; return False when no later one can be an entry.

        Raises:
            Undecodable: there are more frames than the limit.
        """
        if not self._prefix or not packet.size:
            return False
        if packet.dts is not None and self._seconds(packet.dts) > self._start:
            return False
        try:
            return self._look_at(packet)
        except Doubt:  # what was found before holds: it rests on the packets before it alone
            return False

    def _look_at(self, packet: AvPacket) -> bool:
        number = self._survey.frames
        found = units(memoryview(packet), self._prefix)
        kinds = {kind for kind, unit in found if not self._is_known(kind, unit)}
        begins_anew = IDR_SLICE in kinds and (self._newest is None or packet.pts > self._newest)
        if begins_anew:
            self._survey.forget()
        self._survey.look_at(packet)
        if begins_anew and self._lies_between(self._newest, packet):
            self.found = Entry(number, packet.pts, packet.dts, packet.pos, packet.size)
        self._newest = packet.pts if self._newest is None else max(self._newest, packet.pts)
        # What a packet brings along must not be passed over.
        return not kinds & PARAMETERS

    def _is_known(self, kind: int, unit: memoryview) -> bool:
        """Return whether these are parameters that the decoder has from the beginning."""
        return kind in PARAMETERS and bytes(unit) in self._extradata

    def _lies_between(self, before: int | None, packet: AvPacket) -> bool:
        """Return whether all that comes before lies before the window, and this no later than it begins."""
        if before is None or packet.dts is None:
            return False
        return self._seconds(before) < self._start and self._seconds(packet.pts) <= self._start

    def _seconds(self, pts: int) -> float:
        return round(self._clock.seconds(pts), DECIMALS)
