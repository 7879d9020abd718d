"""Opens a video file: which formats and codecs are read, and why one is refused."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import FileIO
from typing import Any, Final, TypeAlias

# PyAV imports some of its modules when it first needs them, which in the sandbox is too late.
import av
import av.audio.codeccontext
import av.audio.stream
import av.stream
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream

from app.decoding.clock import Clock
from app.decoding.protocol import Limits
from app.domain.failures import failure
from app.errors import Undecodable

# PyAV's types are not known to mypy; these names say at least which thing is meant.
AvContainer: TypeAlias = Any
AvStream: TypeAlias = Any
AvContext: TypeAlias = Any
AvPacket: TypeAlias = Any
AvFrame: TypeAlias = Any

FORMATS: Final = ("mov", "matroska", "avi", "mpegts", "mpeg", "ogg", "flv", "gif", "h264", "hevc")
"""Demuxers by FFmpeg's names. None of them opens another file or address, as playlists do."""

PROTOCOL: Final = "fd"
"""The protocol of FFmpeg that reads from a descriptor."""

MOST_STREAMS: Final = 10_000
"""Streams at which FFmpeg itself stops, in the words of a lack of memory: far above any limit of ours, so
that it is ours that is reached; each takes some kilobytes."""

DECODERS: Final = {
    "h264": "h264",
    "hevc": "hevc",
    "av1": "libdav1d",
    "vp8": "vp8",
    "vp9": "vp9",
    "mpeg4": "mpeg4",
    "msmpeg4v1": "msmpeg4v1",
    "msmpeg4v2": "msmpeg4v2",
    "msmpeg4v3": "msmpeg4",
    "mpeg2video": "mpeg2video",
    "mpeg1video": "mpeg1video",
    "mjpeg": "mjpeg",
    "theora": "theora",
    "prores": "prores",
    "gif": "gif",
}
"""Codecs and the one decoder of FFmpeg that may read each. Hundreds of others are the usual way in."""

MICROSECONDS: Final = Fraction(1, 1_000_000)
"""The unit of a container's own times (FFmpeg, `AV_TIME_BASE`)."""

SCANNED_BYTES: Final = 1 << 20
"""How much of either end of a file is searched for the marks of encryption."""

ENCRYPTION_MARKS: Final = (b"encv", b"pssh")
"""Boxes of ISO/IEC 23001-7 (Common Encryption): an encrypted sample entry, a key system's header."""


def refuse(code: str, detail: str = "") -> Undecodable:
    """Return the error that says, in the words of `app.domain.failures`, why a video is not read."""
    reason = failure(code, detail)
    return Undecodable(reason.code, reason.message)


@contextmanager
def open_container(video: FileIO, limits: Limits) -> Iterator[AvContainer]:
    """Read a video from its beginning; its format is told by its content: FFmpeg learns no name.

    Raises:
        Undecodable: it is not a video in a format that we read.
    """
    options = {
        "format_whitelist": ",".join(FORMATS),
        # What is open already, and nothing by name: neither a file nor an address.
        "protocol_whitelist": PROTOCOL,
        "fd": str(video.fileno()),
        "max_streams": str(MOST_STREAMS),
        "codec_whitelist": ",".join(DECODERS.values()),
        # Refused before a byte of it is allocated; a little room is left so that a picture just over the
        # limit is refused by us, with its size.
        "max_pixels": str(limits.pixels * 2),
    }
    video.seek(0)  # FFmpeg goes on where we are
    try:
        container = av.open(f"{PROTOCOL}:", options=options, metadata_errors="replace")
    except MemoryError:
        raise
    except av.FFmpegError as error:
        raise refuse("encrypted" if is_marked_encrypted(video) else "not_a_video") from error
    with container:
        yield container


def read_packets(container: AvContainer, stream: AvStream) -> Iterator[AvPacket]:
    """Yield the packets of a stream, at last an empty one.

    In some formats, such as FLV, a stream may begin anywhere. PyAV (18.1) looks for those that were not there
    at first when all has been read and ours has had its empty packet, and stumbles then.

    Raises:
        av.FFmpegError: the file is damaged here; further packets may be read anew.
    """
    try:
        yield from container.demux(stream)
    except IndexError:
        return


def choose_stream(container: AvContainer, limits: Limits) -> AvStream:
    """Return the first video stream that is no cover picture, ready to decode in one thread.

    Raises:
        Undecodable: there is none, its codec is not one we decode, or it declares more than the limits.
    """
    if len(container.streams) > limits.streams:
        raise refuse("too_many_streams", f"It has {len(container.streams)}, the limit is {limits.streams}.")
    streams = [stream for stream in container.streams.video if not _is_cover(stream)]
    if not streams:
        raise refuse("no_video_stream")
    stream = streams[0]
    context = stream.codec_context
    if context is None or DECODERS.get(context.codec.canonical_name) != context.codec.name:
        raise refuse("unsupported_codec", "" if context is None else f"({context.codec.canonical_name})")
    check_pixels(context.width, context.height, limits)
    check_frames(stream.frames, limits)
    check_seconds(declared_end(container, stream) or 0, limits)
    context.options = {"max_pixels": str(limits.pixels * 2)}
    # Frame threads would hold several frames at a time and hide which packet was damaged.
    context.thread_type = "NONE"
    context.thread_count = 1
    return stream


def create_clock(container: AvContainer, stream: AvStream) -> Clock:
    """Return the clock of a stream; it starts at the first timestamp of any stream of the file."""
    return Clock(time_base=stream.time_base, origin=_origin(container), rate=stream.average_rate)


def declared_end(container: AvContainer, stream: AvStream) -> float | None:
    """Return the second at which the stream ends according to the file; None when it does not say."""
    if container.format.name == "avi" and stream.frames:
        # A tick of an AVI is a frame. Its `duration` is no witness: FFmpeg replaces it by what there is where
        # a file is cut within a chunk's header.
        return float(stream.frames * stream.time_base)
    if stream.duration is not None and stream.duration > 0:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base) - _origin(container)
    # The whole file's length says nothing of the pictures where there is sound, which may be longer.
    if container.duration is not None and len(container.streams) == 1:
        return float(container.duration * MICROSECONDS)
    return None


def check_pixels(width: int, height: int, limits: Limits) -> None:
    """Refuse a frame that is larger than the limit."""
    if width * height > limits.pixels:
        raise refuse("too_many_pixels", f"It is {width}x{height}, the limit is {limits.pixels} pixels.")


def check_frames(frames: int, limits: Limits) -> None:
    """Refuse a video with more frames than the limit."""
    if frames > limits.frames:
        raise refuse("too_many_frames", f"The limit is {limits.frames}.")


def check_seconds(seconds: float, limits: Limits) -> None:
    """Refuse a video that is longer than the limit."""
    if seconds > limits.seconds:
        raise refuse("too_long", f"The limit is {limits.seconds:.0f} seconds.")


def check_rate(frames: int, seconds: float, limits: Limits) -> None:
    """Refuse a video that has had more frames so far than the limit allows, its first second not counted."""
    if frames > limits.rate * (seconds + 1):
        raise refuse("too_many_frames_per_second", f"The limit is {limits.rate:g}.")


def check_sizes(changes: int, limits: Limits) -> None:
    """Refuse a video whose frames change their size more often than the limit."""
    if changes > limits.sizes:
        raise refuse("too_many_sizes", f"The limit is {limits.sizes} changes.")


def check_processor_time(used: float, seconds: float, limits: Limits) -> None:
    """Refuse a video that has cost more processor time so far than the limit allows for its length so far."""
    if used > max(limits.processor_least, limits.processor * seconds):
        said = f"It took {used:.0f} seconds of processor time for {seconds:.0f} seconds of video."
        raise refuse("too_costly", said)


def is_marked_encrypted(video: FileIO) -> bool:
    """Return whether either end of a file holds a mark of encryption."""
    size = os.fstat(video.fileno()).st_size
    head = os.pread(video.fileno(), SCANNED_BYTES, 0)
    ends = head + os.pread(video.fileno(), SCANNED_BYTES, max(len(head), size - SCANNED_BYTES))
    return any(mark in ends for mark in ENCRYPTION_MARKS)


def _origin(container: AvContainer) -> float:
    return float((container.start_time or 0) * MICROSECONDS)


def _is_cover(stream: AvStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
