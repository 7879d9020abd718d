"""One row for each track: what was followed, from when to when."""

from typing import BinaryIO

import msgspec
from msgspec import Struct

from app.domain.result_rows import TRACKS
from app.domain.results import Document
from app.exports.selection import Selection


class Track(Struct):
    """An object that was followed.

    Attributes:
        track: its number, from 1 in the order in which they begin.
        start: seconds of the first frame that shows it.
        end: seconds of the last one.
        first_frame: number of the first one.
        last_frame: number of the last one.
        frames: how many frames show it.
        conf: highest confidence.
    """

    track: int
    class_: str = msgspec.field(name="class")
    start: float | None
    end: float | None
    first_frame: int
    last_frame: int
    frames: int
    conf: float


def write_tracks(document: Document, selection: Selection, out: BinaryIO) -> None:
    """Write the tracks of a result in which objects were followed, otherwise as it is."""
    tracks: dict[int, Track] = {}
    for row in selection.select(document.rows()):
        for each in row.objects:
            if not isinstance(each.track, int):
                continue
            known = tracks.get(each.track)
            if known is None:
                at = (row.time, row.time, row.frame, row.frame)
                tracks[each.track] = Track(each.track, each.class_, *at, 1, each.conf)
                continue
            known.end, known.last_frame = row.time, row.frame
            known.frames += 1
            known.conf = max(known.conf, each.conf)
    encoder = msgspec.json.Encoder()
    out.write(document.prefix + TRACKS.opening)
    separator = b""
    for number in sorted(tracks):
        out.write(separator + encoder.encode(tracks[number]))
        separator = b","
    out.write(b"]}")
