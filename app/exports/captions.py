"""WebVTT: what is to be seen, as captions that a player shows beside the video."""

from collections import Counter
from collections.abc import Sequence
from typing import BinaryIO

from app.domain.results import Document, Found
from app.exports.selection import Selection


def write_vtt(document: Document, selection: Selection, out: BinaryIO) -> None:
    """Write a cue for each span of frames in which the same is to be seen, such as `car (2), person`.

    A cue lasts until the first frame that shows something else; where nothing is, there is none.
    Source: https://www.w3.org/TR/webvtt1/.
    """
    out.write(b"WEBVTT\n\n")
    begun, said, last = 0.0, "", None
    for row in selection.select(document.rows()):
        if row.time is None:
            continue
        text = describe(row.objects)
        if text != said:
            out.write(_cue(begun, row.time, said))
            begun, said = row.time, text
        last = row.time
    if last is not None:
        out.write(_cue(begun, last + document.head.interval, said))


def describe(objects: Sequence[Found]) -> str:
    """Return the classes of the objects, in alphabetical order, each with how often it is there."""
    counted = sorted(Counter(each.class_ for each in objects).items())
    return ", ".join(name if count == 1 else f"{name} ({count})" for name, count in counted)


def write_time(seconds: float) -> str:
    """Return a time as `hh:mm:ss.ttt`."""
    thousandths = round(seconds * 1000)
    whole, rest = divmod(thousandths, 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{rest:03d}"


def _cue(start: float, end: float, text: str) -> bytes:
    times = write_time(start), write_time(end)
    if not text or times[0] == times[1]:
        return b""
    escaped = " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
    return f"{times[0]} --> {times[1]}\n{escaped}\n\n".encode()
