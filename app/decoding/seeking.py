"""One frame of a video, by its number: the same pixels that decoding everything before it would give.

A number is the count of frames shown before, and no container knows that. So a frame is found from an
*anchor*: one at or before it of which a result has told number and time. Decoding begins at a picture before
the anchor that refers to nothing earlier, and counts from where the anchor's time comes by. Wherever anything
about that is not as it must be, everything is decoded from the beginning.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import FileIO
from typing import Final

import av

from app.decoding.clock import DECIMALS, Clock
from app.decoding.container import (
    AvContainer,
    AvFrame,
    AvPacket,
    AvStream,
    choose_stream,
    create_clock,
    open_container,
    read_packets,
)
from app.decoding.protocol import Limits
from app.decoding.reader import VideoReader
from app.decoding.rendering_orders import Anchor
from app.decoding.sample import SampledFrame
from app.domain.renderings import rendering_failure
from app.errors import Undecodable

CLOSED: Final = frozenset(
    {"hevc", "av1", "vp8", "vp9", "mpeg4", "mpeg1video", "mpeg2video", "mjpeg", "prores"}
)
"""Codecs in which nothing that is shown after a key picture refers to anything before it: of HEVC the
standard says so (ITU-T H.265, 3.69: leading pictures are shown before), in MPEG's older ones only pictures
that are shown before it do, and AV1's and VP's key frames reset everything."""

IDR: Final = 5
"""NAL unit type of the one picture of H.264 of which that is true (ITU-T H.264, 7.4.1.2.4)."""

START_CODE: Final = re.compile(b"\0\0\1")

NEAR: Final = 64
"""Frames from the beginning up to which looking for a better place to begin is not worth it."""

FARTHEST: Final = 3000
"""Frames decoded at most from where was begun: two minutes. Key pictures lie closer together."""

EARLIER: Final = (0.0, 1.0, 10.0)
"""Seconds before the anchor at which a place to begin is looked for: containers list pictures by when they
are decoded, and one that is decoded before the anchor may be shown behind it."""


class _Doubt(Exception):
    """What was found from here may not be what was asked for."""


def find_frame(
    video: FileIO,
    number: int,
    *,
    anchor: Anchor | None,
    limits: Limits,
    on_progress: Callable[[int], None],
) -> SampledFrame:
    """Return the frame with this number, counted from 0.

    Args:
        video: the file, open for reading.
        number: which one.
        anchor: a frame at or before it, if one is known.
        limits: what the video may cost.
        on_progress: called now and then, with the number of frames so far.

    Raises:
        Undecodable: there is no such frame, or the file is no video that we read.
    """
    if anchor is not None and number > NEAR:
        for earlier in EARLIER:
            with suppress(_Doubt, av.FFmpegError), open_container(video, limits) as container:
                stream = choose_stream(container, limits)
                clock = create_clock(container, stream)
                container.seek(clock.ticks(anchor.time - earlier), stream=stream)
                numbered = _numbered(_decoded(container, stream), anchor, clock)
                found = _pick(numbered, number, on_progress)
                return VideoReader(video, stride=1, limits=limits).see(found, number, clock)
    # With the number itself as stride, nothing in between is asked for.
    reader = VideoReader(video, stride=max(1, number), limits=limits, on_progress=on_progress)
    for sample in reader.sampled(only=[number]):
        return sample
    failure = rendering_failure("no_such_frame", f"It has {reader.facts.frames}.")
    raise Undecodable(failure.code, failure.message)


def _pick(
    numbered: Iterable[tuple[int, AvFrame]], number: int, on_progress: Callable[[int], None]
) -> AvFrame:
    found: AvFrame | None = None
    for following, frame in numbered:
        on_progress(following)
        if found is not None:
            break  # the one behind it has another time: there are no two with its own
        found = frame if following == number else None
    if found is None:
        raise _Doubt
    return found


def _numbered(frames: Iterable[AvFrame], anchor: Anchor, clock: Clock) -> Iterator[tuple[int, AvFrame]]:
    """Yield the frames from the anchor on, with their numbers.

    Raises:
        _Doubt: the anchor does not come by, or a frame is not as those of a whole file are.
    """
    following: int | None = None
    last = -1.0
    for count, frame in enumerate(frames):
        if frame.pts is None or frame.is_corrupt or count > FARTHEST:
            raise _Doubt
        time = round(max(clock.seconds(frame.pts), 0.0), DECIMALS)
        if time <= last or (following is None and time > anchor.time):
            raise _Doubt
        last = time
        if following is None and time == anchor.time:
            following = anchor.frame
        if following is not None:
            yield following, frame
            following += 1


def _decoded(container: AvContainer, stream: AvStream) -> Iterator[AvFrame]:
    """Yield what can be decoded from the first picture on that refers to nothing before it.

    Raises:
        _Doubt: a packet is damaged.
    """
    begun_at: int | None = None
    for packet in read_packets(container, stream):
        if packet.is_corrupt or packet.has_sidedata("encryption_info"):
            raise _Doubt
        if begun_at is None:
            if packet.pts is None or not _is_closed(packet, stream):
                continue
            begun_at = packet.pts
        for frame in stream.codec_context.decode(packet):
            if frame.pts is None or frame.pts >= begun_at:
                yield frame


def _is_closed(packet: AvPacket, stream: AvStream) -> bool:
    """Return whether nothing that is shown after this packet's picture refers to anything before it."""
    if not packet.is_keyframe:
        return False
    context = stream.codec_context
    if context.codec.canonical_name in CLOSED:
        return True
    return context.codec.canonical_name == "h264" and IDR in _unit_types(bytes(packet), context.extradata)


def _unit_types(data: bytes, extradata: bytes | None) -> set[int]:
    """Return the types of the NAL units in a packet of H.264 (ITU-T H.264, 7.3.1, B.1; ISO/IEC 14496-15)."""
    if extradata is None or not extradata or extradata[0] != 1:
        return {data[start.end()] & 0x1F for start in START_CODE.finditer(data) if start.end() < len(data)}
    prefix = (extradata[4] & 3) + 1
    found = set()
    position = 0
    while position + prefix < len(data):
        found.add(data[position + prefix] & 0x1F)
        position += prefix + int.from_bytes(data[position : position + prefix], "big")
    return found
