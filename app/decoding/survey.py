"""Which pictures may be skipped without changing the ones that are wanted.

A picture that no other picture refers to need not be decoded when it is not sampled: a third of the
decoder's work at 1080p with B-frames. That is allowed only where the bitstream itself proves that nothing
else changes, neither a sampled picture nor the number of frames; everywhere else all is decoded.

Only H.264 offers the proof cheaply: `nal_ref_idc` is 0 for a picture that *nothing* refers to (ITU-T H.264,
7.4.1). HEVC's "sub-layer non-reference" pictures may be referred to from a higher temporal layer.
"""

from array import array
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import av

from app.decoding.clock import Clock
from app.decoding.container import (
    AvContext,
    AvPacket,
    check_frames,
    choose_stream,
    create_clock,
    open_container,
)
from app.decoding.protocol import Limits

SLICE: Final = 1
IDR_SLICE: Final = 5
PARTITIONED: Final = frozenset({2, 3, 4, 20})
"""NAL unit types of slices that come in parts or layers: too rare to reason about."""

MAX_REORDER: Final = 16
"""No H.264 picture is shown more than 16 pictures later than it is decoded (ITU-T H.264, A.3.1)."""

MAX_FRAMES: Final = 1_000_000
"""Nine hours at 30 frames a second. What is noted of each frame takes about 250 bytes, which must not eat up
the memory that the decoder may use."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over the packets found out about a video that may be skipped through.

    Attributes:
        shown: the timestamp of every frame, in order of presentation.
        unreferenced: timestamps of the pictures that no other refers to.
        end: seconds at which the last frame ends.
    """

    shown: "array[int]"
    unreferenced: frozenset[int]
    end: float


class Doubt(Exception):
    """Something about this video does not allow to skip pictures."""


def survey(path: Path, limits: Limits, on_progress: Callable[[], None]) -> Survey | None:
    """Look through a video's packets; None when all its pictures have to be decoded.

    Args:
        path: of the file.
        limits: what the video may cost.
        on_progress: called for every packet.

    Raises:
        Undecodable: the file cannot be opened, or holds more frames than the limit.
    """
    with open_container(path, limits) as container:
        stream = choose_stream(container, limits)
        context = stream.codec_context
        if context.codec.name != "h264" or not _is_length_prefixed(context.extradata):
            return None
        try:
            return _Survey(create_clock(container, stream), context, limits).of(
                container.demux(stream), on_progress
            )
        except Doubt:
            return None
        except MemoryError:
            raise
        except av.FFmpegError:
            return None


class _Survey:
    def __init__(self, clock: Clock, context: AvContext, limits: Limits) -> None:
        self._clock = clock
        self._context = context
        self._limits = limits
        self._prefix = (context.extradata[4] & 3) + 1
        self._latest: list[int] = []

    def of(self, packets: Iterable[AvPacket], on_progress: Callable[[], None]) -> Survey | None:
        shown = array("q")
        unreferenced = set()
        last = (-1, 0.0)
        for packet in packets:
            if not packet.size:
                continue
            on_progress()
            self._check_packet(packet, is_first=not shown)
            if not _is_referenced(memoryview(packet), self._prefix):
                unreferenced.add(packet.pts)
            shown.append(packet.pts)
            last = max(last, (packet.pts, self._clock.length(packet.duration)))
            check_frames(len(shown), self._limits)
            if len(shown) > MAX_FRAMES:
                raise Doubt
        if not unreferenced:
            return None
        ordered = array("q", sorted(shown))
        if ordered[0] != shown[0] or any(one == other for one, other in pairwise(ordered)):
            return None
        return Survey(ordered, frozenset(unreferenced), self._clock.seconds(last[0]) + last[1])

    def _check_packet(self, packet: AvPacket, *, is_first: bool) -> None:
        if packet.pts is None or packet.is_corrupt or packet.is_discard:
            raise Doubt
        if packet.has_sidedata("encryption_info") or packet.has_sidedata("new_extradata"):
            raise Doubt
        if is_first and not packet.is_keyframe:
            raise Doubt
        # A stream that shows pictures later than it promises makes the decoder drop some of them.
        if len(self._latest) - bisect_right(self._latest, packet.pts) > self._context.reorder_depth:
            raise Doubt
        insort(self._latest, packet.pts)
        del self._latest[: -MAX_REORDER - 1]


def _is_length_prefixed(extradata: bytes | None) -> bool:
    """Tell whether the packets are as in MP4 and Matroska (ISO/IEC 14496-15, 5.3.3.1), one picture each."""
    return extradata is not None and len(extradata) > 4 and extradata[0] == 1  # noqa: PLR2004  (avcC's version, byte 4: size)


def _is_referenced(packet: memoryview, prefix: int) -> bool:
    """Tell whether other pictures may refer to the one in this packet.

    Raises:
        Doubt: the packet is not exactly one picture.
    """
    starts = 0
    referenced = False
    position = 0
    while position + prefix < len(packet):
        size = int.from_bytes(packet[position : position + prefix], "big")
        position += prefix
        if not size or position + size > len(packet):
            raise Doubt
        kind = packet[position] & 0x1F
        is_slice = kind in (SLICE, IDR_SLICE)
        if kind in PARTITIONED or (is_slice and size == 1):
            raise Doubt
        if is_slice:
            # The slice header begins with first_mb_in_slice; a leading 1 bit is the number 0.
            starts += packet[position + 1] >> 7
            referenced |= bool(packet[position] & 0x60)
        position += size
    if starts != 1:
        raise Doubt
    return referenced
