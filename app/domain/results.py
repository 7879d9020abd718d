"""A result read piece by piece: a head, then a row for each frame, and never the whole of it in memory."""

from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from app.domain.messages import Detection, Failure, ModelFacts, VideoFacts
from app.domain.result_rows import Splitter, read_head
from app.errors import Malformed

PIECE: Final = 1 << 18
"""Bytes that are read, and then parsed, at a time: some 4,000 objects."""


class Found(Detection, frozen=True, gc=False):
    """An object in a frame, and which track it is part of.

    Attributes:
        track: the track's number, null when it is part of none; absent where none were looked for.
    """

    track: int | UnsetType | None = UNSET


class Row(Struct, frozen=True):
    """A frame that was looked at; its fields are those of `app.domain.messages.FrameResult`."""

    frame: int
    time: float | None = None
    objects: list[Found] = msgspec.field(default_factory=list)
    error: Failure | UnsetType = UNSET


class Tracker(Struct, frozen=True):
    """How objects were followed; the parameters are those of `trackers.ByteTrackTracker`.

    Attributes:
        name: of the algorithm.
        version: of the library.
        frame_rate: looked-at frames per second.
        lost_track_buffer: frames of a video with 30 a second for which a lost object is waited for.
        track_activation_threshold: least confidence that begins a track.
        high_conf_det_threshold: confidence from which an object is matched first.
        minimum_consecutive_frames: frames in a row after which a track has a number.
        minimum_iou_threshold: least overlap of an object with where its track was expected.
    """

    version: str
    frame_rate: float
    name: str = "ByteTrack"
    lost_track_buffer: int = 30
    track_activation_threshold: float = 0.7
    high_conf_det_threshold: float = 0.6
    minimum_consecutive_frames: int = 2
    minimum_iou_threshold: float = 0.1


class Head(Struct, frozen=True):
    """What stands before the rows; whatever else does is passed on unread.

    Attributes:
        tracker: how objects were followed; absent where they were not.
    """

    event_id: str
    video: VideoFacts
    model: ModelFacts
    tracker: Tracker | UnsetType = UNSET

    @property
    def has_tracks(self) -> bool:
        """Whether each object says which track it is part of."""
        return self.tracker is not UNSET

    @property
    def interval(self) -> float:
        """Seconds from one sampled frame to the next, on average."""
        video = self.video
        return video.duration / video.sampled if video.sampled and video.duration > 0 else 1.0


_rows: Final = msgspec.json.Decoder(list[Row])


def decode_head(head: bytes) -> Head:
    """Return what `read_head` found.

    Raises:
        Malformed: it is none.
    """
    try:
        return msgspec.json.decode(head.rstrip().rstrip(b",") + b"}", type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed("a result", error) from error


def decode_rows(block: bytes) -> list[Row]:
    """Return the frames that a block holds.

    Raises:
        Malformed: it is no JSON, or a field is missing.
    """
    try:
        return _rows.decode(b"[" + block + b"]")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed("a result", error) from error


class Document:
    """A result that is read from a file or pipe.

    Attributes:
        prefix: what stands before the list of rows, byte for byte.
        head: the same, read.

    Raises:
        Malformed: it is no result.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        data = b""
        while (found := read_head(data)) is None:
            piece = _read(file)
            if not piece:
                raise Malformed("a result", "it breaks off")
            data += piece
        self.prefix, start = found
        self.head = decode_head(self.prefix)
        self._first = data[start:]

    def rows(self) -> Iterator[Row]:
        """Yield the frames in order.

        Raises:
            Malformed: the document is none, or breaks off.
        """
        splitter = Splitter()
        piece = self._first or _read(self._file)  # of a pipe, a read may end where the head does
        while piece:
            yield from decode_rows(splitter.feed(piece))
            piece = _read(self._file)
        yield from decode_rows(splitter.end())


def _read(file: BinaryIO) -> bytes:
    """Return what is there, as soon as anything is."""
    read = getattr(file, "read1", file.read)
    data: bytes = read(PIECE)
    return data
