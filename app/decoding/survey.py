"""Which pictures may be skipped without changing the ones that are wanted.

A picture that no other picture refers to need not be decoded when it is not sampled: a third of the
decoder's work at 1080p with B-frames. That is allowed only where the bitstream itself proves that nothing
else changes, neither a sampled picture nor the number of frames; everywhere else all is decoded.

Only H.264 offers the proof cheaply: `nal_ref_idc` is 0 for a picture that *nothing* refers to (ITU-T H.264,
7.4.1). HEVC's "sub-layer non-reference" pictures may be referred to from a higher temporal layer.

Packets come in the order of decoding, frames are counted in the order of presentation. So each packet is held
back until what comes after it can no longer be shown before it: a few dozen packets, whatever the length of
the video.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from app.decoding.clock import Clock
from app.decoding.container import AvContext, AvPacket, check_frames
from app.decoding.protocol import Limits

SLICE: Final = 1
IDR_SLICE: Final = 5
PARTITIONED: Final = frozenset({2, 3, 4, 20})
"""NAL unit types of slices that come in parts or layers: too rare to reason about."""

AVCC_BYTES: Final = 5
"""Bytes up to the one that says how long lengths are; the first one is the version (14496-15, 5.3.3.1)."""

MAX_REORDER: Final = 16
"""No H.264 picture is shown more than 16 pictures later than it is decoded (ITU-T H.264, A.3.1)."""

LATEST: Final = MAX_REORDER + 1
"""Once so many packets in a row are shown later than one, no other can be shown before it."""

MOST_HELD: Final = 128
"""Packets held back at most; what is not in order by then is left alone."""


class Doubt(Exception):
    """Something about this video does not allow to skip pictures, or to have skipped them."""


class Survey:
    """Looks through the packets of one video while it is decoded.

    As long as nothing was skipped, a doubt ends the skipping and nothing else: from then on every packet
    passes. Afterwards it is raised, because what was decoded so far may not be the whole.

    Args:
        stride: every how manieth frame is wanted.
        clock: of the stream.
        context: its decoder.
        limits: what the video may cost.
        passed_over: pictures at the beginning that the decoder never gets, see `app.decoding.entry`.

    Attributes:
        has_skipped: whether a picture was skipped.
        frames: packets that were looked at or passed over, each one picture.
    """

    def __init__(
        self, stride: int, clock: Clock, context: AvContext, limits: Limits, *, passed_over: int = 0
    ) -> None:
        self.has_skipped = passed_over > 0
        self.frames = passed_over
        self._first = passed_over
        self._stride = stride
        self._clock = clock
        self._context = context
        self._limits = limits
        self._prefix = length_prefix(context)
        self._is_off = (stride == 1 and not passed_over) or not self._prefix
        self._is_ended = False
        self._held: deque[tuple[AvPacket, bool]] = deque()
        self._newest: deque[int] = deque(maxlen=LATEST)
        self._highest: list[int] = []
        self._passed = -1
        self._last = (-1, 0.0)
        self._unshown: list[int] = []
        self._skipped: set[int] = set()
        self._shown = passed_over

    @property
    def end(self) -> float:
        """Seconds at which the last frame ends."""
        pts, length = self._last
        return self._clock.seconds(pts) + length

    def plan(self, packets: Iterable[AvPacket | None]) -> Iterator[tuple[AvPacket | None, bool]]:
        """Yield packets in their order, some later than they come, and whether to skip each one's picture.

        Raises:
            Doubt: pictures were skipped, and should not have been.
            Undecodable: there are more frames than the limit.
        """
        for packet in packets:
            if packet is not None and packet.size:
                self._take(packet)
                yield from self._release()
            else:
                self._is_ended = True
                yield from self._release()
                yield packet, False
        self._is_ended = True
        yield from self._release()

    def number(self, pts: int | None, *, is_corrupt: bool) -> int:
        """Return the number of the frame that the decoder shows next, counted from 0.

        Args:
            pts: its timestamp.
            is_corrupt: whether the decoder says that it is damaged.

        Raises:
            Doubt: it is not the one that was expected, and pictures were skipped.
        """
        while not self._is_off:
            expected = self._unshown.pop(0) if self._unshown else None
            if expected in self._skipped:
                self._skipped.discard(expected)
                self._shown += 1
            elif expected is None or pts != expected or is_corrupt:
                self.doubt()
            else:
                self._passed = expected
                break
        self._shown += 1
        return self._shown - 1

    def finish(self) -> None:
        """Make sure that the decoder has shown everything that was not skipped.

        Raises:
            Doubt: it has not.
        """
        if not self._skipped.issuperset(self._unshown):
            self.doubt()

    def doubt(self) -> None:
        """Skip nothing any more: something went wrong.

        Raises:
            Doubt: pictures were skipped.
        """
        if self.has_skipped:
            raise Doubt
        self._is_off = True

    def _take(self, packet: AvPacket) -> None:
        is_referenced = True
        if not self._is_off:
            try:
                is_referenced = self.look_at(packet)
            except Doubt:
                self.doubt()
        self._held.append((packet, is_referenced))

    def look_at(self, packet: AvPacket) -> bool:
        """Note a packet; return whether other pictures may refer to its own.

        Raises:
            Doubt: something about it does not allow to skip pictures.
            Undecodable: there are more frames than the limit.
        """
        self._check_packet(packet)
        is_referenced = _is_referenced(memoryview(packet), self._prefix)
        at = bisect_left(self._unshown, packet.pts)
        if packet.pts in self._unshown[at : at + 1]:
            raise Doubt
        self._unshown.insert(at, packet.pts)
        self._newest.append(packet.pts)
        self._last = max(self._last, (packet.pts, self._clock.length(packet.duration)))
        self.frames += 1
        check_frames(self.frames, self._limits)
        return is_referenced

    def forget(self) -> None:
        """Wait for no picture any more: those that come are shown after all that came."""
        self._unshown.clear()

    def _check_packet(self, packet: AvPacket) -> None:
        if self._is_ended or packet.pts is None or packet.is_corrupt or packet.is_discard:
            raise Doubt
        if packet.has_sidedata("encryption_info") or packet.has_sidedata("new_extradata"):
            raise Doubt
        if self.frames == self._first:
            if not packet.is_keyframe:
                raise Doubt
            self._passed = packet.pts - 1
        if packet.pts <= self._passed:
            raise Doubt
        # A stream that shows pictures later than it promises makes the decoder drop some of them.
        if len(self._highest) - bisect_right(self._highest, packet.pts) > self._context.reorder_depth:
            raise Doubt
        insort(self._highest, packet.pts)
        del self._highest[:-LATEST]

    def _release(self) -> Iterator[tuple[AvPacket, bool]]:
        """Yield the packets whose place in the order of presentation is settled."""
        while self._held:
            packet, is_referenced = self._held[0]
            if not (self._is_off or self._is_ended or self._is_settled(packet)):
                if len(self._held) <= MOST_HELD:
                    return
                self.doubt()
            self._held.popleft()
            yield packet, not (self._is_off or is_referenced) and self._skip(packet.pts)

    def _is_settled(self, packet: AvPacket) -> bool:
        return len(self._newest) == LATEST and min(self._newest) > packet.pts

    def _skip(self, pts: int) -> bool:
        """Return whether the picture is not wanted, and note that it is skipped."""
        if (self._shown + bisect_left(self._unshown, pts)) % self._stride == 0:
            return False
        self.has_skipped = True
        self._skipped.add(pts)
        return True


def length_prefix(context: AvContext) -> int:
    """Return how many bytes tell the length of a unit; 0 where a bitstream offers no proof.

    It does as H.264 in MP4 and Matroska (ISO/IEC 14496-15, 5.3.3.1): one picture in each packet.
    """
    extradata = context.extradata
    if context.codec.name != "h264" or extradata is None or len(extradata) < AVCC_BYTES or extradata[0] != 1:
        return 0
    length: int = (extradata[4] & 3) + 1
    return length


def units(packet: memoryview, prefix: int) -> Iterator[tuple[int, memoryview]]:
    """Yield type and bytes of each NAL unit in a packet.

    Raises:
        Doubt: the packet is not made of whole units.
    """
    position = 0
    while position + prefix < len(packet):
        size = int.from_bytes(packet[position : position + prefix], "big")
        position += prefix
        if not size or position + size > len(packet):
            raise Doubt
        yield packet[position] & 0x1F, packet[position : position + size]
        position += size


def _is_referenced(packet: memoryview, prefix: int) -> bool:
    """Tell whether other pictures may refer to the one in this packet.

    Raises:
        Doubt: the packet is not exactly one picture.
    """
    starts = 0
    referenced = False
    for kind, unit in units(packet, prefix):
        is_slice = kind in (SLICE, IDR_SLICE)
        if kind in PARTITIONED or (is_slice and len(unit) == 1):
            raise Doubt
        if is_slice:
            # The slice header begins with first_mb_in_slice; a leading 1 bit is the number 0.
            starts += unit[1] >> 7
            referenced |= bool(unit[0] & 0x60)
    if starts != 1:
        raise Doubt
    return referenced
