"""What passes between the parent and the child that decodes one video.

The child says `ready`, with what protects us from it. Then the parent sends the video through a socket, as an
open file, and writes one line of JSON, an `Order`. All that the child answers are records: a header of fixed
size, then a key and a value. After `ready` comes `opened` if the file says how long the video is, then frames
(each one a finished message for the broker) and signs of life, at last exactly one `facts` or `failed`.
Meanwhile the parent writes a byte for every `TAKEN_AT_ONCE` frames that it has taken; the child waits when
it is `WINDOW` frames ahead. The pipe alone holds hundreds of small pictures, which ten videos that are begun
at the same time would all decode before anything else is done, and which a video that is parked throws away.
"""

import struct

# What `socket` is made of; that itself takes the child 4 ms to import.
from _socket import CMSG_LEN, SCM_RIGHTS, SOL_SOCKET
from _socket import socket as Socket  # noqa: N812  (a class)
from dataclasses import dataclass
from enum import IntEnum
from io import FileIO
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct

from app.domain.messages import Failure, Options, VideoFacts
from app.errors import Malformed

HEADER: Final = struct.Struct("<BQII")
"""Kind, number, length of the key, length of the value."""

MAX_RECORD: Final = 64 << 20
"""Bytes of a key or value that the parent believes in: a JPEG of 4096x4096 noise as base64 takes 50 MB."""

WINDOW: Final = 16
"""Frames that a child may be ahead of its parent: two batches, one to be granted and one to be prepared."""

TAKEN_AT_ONCE: Final = 8
"""Frames that a byte from the parent stands for."""

TAKEN: Final = b"+"
"""What the parent writes for them."""

DESCRIPTOR: Final = struct.Struct("@i")
"""An open file on its way through a socket (Linux, `unix(7)`, SCM_RIGHTS)."""

VIDEO: Final = b"v"
"""What the file travels with: it cannot travel alone."""

EXIT_MEMORY: Final = 12
"""How a child ends that ran out of memory: errno's ENOMEM."""


class Kind(IntEnum):
    """What a record says. Its number is a frame's index (its number by the stride), or a count of frames.

    `HELD` is a frame that was held back for others, which follow at once.
    """

    READY = 0
    FRAME = 1
    ALIVE = 2
    FACTS = 3
    FAILED = 4
    OPENED = 5
    HELD = 6


class Limits(Struct, frozen=True, kw_only=True):
    """What one video may cost.

    Attributes:
        pixels: of one frame.
        frames: of the video.
        seconds: of the video.
        streams: in the file.
        sizes: changes of the size of a frame on the way.
        rate: frames per second, from the first one to wherever we are.
        memory: bytes the child may allocate beyond what it starts with.
        stall: seconds without progress, of the clock and of the processor.
        processor: seconds of processor time for each second of the video.
        processor_least: seconds of processor time that every video may take, however short it is.
        wall: seconds in all, those in which the child waits for its parent not counted.
        output: bytes of the file that it may write; none where it is given none.
    """

    pixels: int
    frames: int
    seconds: float
    streams: int
    sizes: int
    rate: float
    memory: int
    stall: float
    processor: float
    processor_least: float
    wall: float
    output: int = 0


class Job(Struct, frozen=True):
    """A video to split.

    Attributes:
        path: of the local file, which the parent opens.
        options: which frames, and what is done to them.
        start_index: the first sampled frame wanted, counted among those of the video's window.
        only: numbers of the frames wanted, counted in the source; None means all.
    """

    video_id: str
    attempt: int
    path: str
    options: Options = Options()
    start_index: int = 0
    only: list[int] | None = None


class Order(Struct, frozen=True):
    """What the child is told: the video, the longest side of a picture in pixels, and the limits."""

    job: Job
    longest: int
    limits: Limits


@dataclass(frozen=True, slots=True)
class Record:
    """One answer of the child."""

    kind: Kind
    number: int
    key: bytes
    value: bytes


def write_limits(limits: Limits) -> str:
    """Return the limits as an argument for the child."""
    return msgspec.json.encode(limits).decode()


def read_limits(argument: str) -> Limits:
    """Return the limits that an argument holds."""
    return msgspec.json.decode(argument, type=Limits)


def send_files(channel: Socket, *files: int) -> None:
    """Send open files to the child, the video first: it can open none itself.

    Raises:
        OSError: the child is gone.
    """
    packed = b"".join(map(DESCRIPTOR.pack, files))
    channel.sendmsg([VIDEO], [(SOL_SOCKET, SCM_RIGHTS, packed)])


def receive_video(channel: Socket) -> FileIO:
    """Return the file that the parent has opened."""
    _, [(_, _, descriptor)], _, _ = channel.recvmsg(len(VIDEO), CMSG_LEN(DESCRIPTOR.size))
    return FileIO(*DESCRIPTOR.unpack(descriptor))


def receive_files(channel: Socket, most: int) -> list[FileIO]:
    """Return the files that the parent has opened, so many at most."""
    _, [(_, _, descriptors)], _, _ = channel.recvmsg(len(VIDEO), CMSG_LEN(most * DESCRIPTOR.size))
    return [FileIO(*each) for each in DESCRIPTOR.iter_unpack(descriptors)]


def read_protections(record: Record) -> dict[str, str]:
    """Return what a first record says of the sandbox: each protection, and why it is not there, if it is not.

    Raises:
        Malformed: it says nothing of the kind.
    """
    try:
        return msgspec.json.decode(record.value, type=dict[str, str])
    except msgspec.DecodeError as error:
        raise Malformed("protections of the decoder", error) from error


def write_order(order: Order) -> bytes:
    """Return the order as one line."""
    return msgspec.json.encode(order) + b"\n"


def read_order(line: bytes) -> Order:
    """Return the order that a line holds."""
    return msgspec.json.decode(line, type=Order)


def write_record(
    stream: BinaryIO,
    kind: Kind,
    number: int = 0,
    *,
    key: bytes = b"",
    value: bytes = b"",
    flush: bool = True,
) -> None:
    """Write one record; blocks while the parent does not read.

    Args:
        stream: where to.
        kind: what it says.
        number: see `Kind`.
        key: of a message.
        value: of a message, or an outcome.
        flush: whether the parent is to have it, and all before it, now.
    """
    stream.write(HEADER.pack(kind, number, len(key), len(value)))
    stream.write(key)
    stream.write(value)
    if flush:
        stream.flush()


def read_header(header: bytes) -> tuple[Kind, int, int, int]:
    """Return a record's kind and number, and the lengths of its key and its value.

    Raises:
        Malformed: these bytes begin no record.
    """
    kind, number, key_length, value_length = HEADER.unpack(header)
    if kind > max(Kind) or max(key_length, value_length) > MAX_RECORD:
        raise Malformed("record of the decoder", f"kind {kind}, {key_length} and {value_length} bytes")
    return Kind(kind), number, key_length, value_length


def frame_key(video_id: str, attempt: int, frame: int) -> bytes:
    """Return the key under which a frame travels (topic `inference_tasks`)."""
    return f"{video_id}/{attempt}/{frame}".encode()


def read_outcome(record: Record) -> VideoFacts | Failure:
    """Return what a last record says.

    Raises:
        Malformed: it says nothing of the kind.
    """
    try:
        if record.kind is Kind.FACTS:
            return msgspec.json.decode(record.value, type=VideoFacts)
        return msgspec.json.decode(record.value, type=Failure)
    except msgspec.DecodeError as error:
        raise Malformed("outcome of the decoder", error) from error
