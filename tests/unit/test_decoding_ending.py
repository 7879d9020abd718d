"""Whether a file breaks off, told by its own lengths: on files that are nothing but lengths."""

import struct
from pathlib import Path
from typing import Final

import pytest

from app.decoding.ending import TAIL, breaks_off


def box(kind: bytes, size: int = 16, *, says: int | None = None) -> bytes:
    return struct.pack(">I4s", size if says is None else says, kind) + bytes(size - 8)


def element(identifier: bytes, size: int, *, says: int | None = None) -> bytes:
    return identifier + bytes((0x80 | (size if says is None else says),)) + bytes(size)


def packet(stream: int = 0x100, *, begins: bool = False, payload: bytes = b"") -> bytes:
    return bytes((0x47, 0x40 * begins | stream >> 8, stream & 0xFF, 0x10)) + payload.ljust(184, b"\xff")


def unit(length: int) -> bytes:
    return b"\0\0\1\xc0" + struct.pack(">H", length)


def page(flags: int, body: bytes = b"") -> bytes:
    return b"OggS" + struct.pack("<BBqIIIBB", 0, flags, 0, 1, 0, 0, 1, len(body)) + body


MP4: Final = box(b"ftyp") + box(b"moov")
EBML: Final = element(b"\x1a\x45\xdf\xa3", 4)
LIVE: Final = EBML + b"\x18\x53\x80\x67\x01" + b"\xff" * 7
"""A segment of unknown length."""
SYSTEM: Final = b"\0\0\1\xba" + b"\x44" + bytes(9)
"""A pack of MPEG-2, without anything to fill."""

FILES: Final = {
    "MP4, whole": (MP4 + box(b"mdat"), False),
    "MP4, a box up to the end": (MP4 + box(b"mdat", says=0), False),
    "MP4, zeros behind": (MP4 + box(b"mdat") + bytes(40), False),
    "MP4, no index yet": (box(b"ftyp") + box(b"mdat"), True),
    "MP4, cut within its index": (box(b"ftyp") + box(b"mdat") + box(b"moov", says=99), True),
    "MP4, cut within a header": (box(b"ftyp") + b"\0\0", True),
    "MP4, a long box": (MP4 + struct.pack(">I4sQ", 1, b"mdat", 24) + bytes(8), False),
    "MP4, pictures that are shorter than they say": (MP4 + box(b"mdat", says=99), False),
    "fragments, whole": (MP4 + box(b"moof") + box(b"mdat"), False),
    "fragments, cut": (MP4 + box(b"moof") + box(b"mdat") + box(b"moof", says=99), True),
    "fragments, cut within a header": (MP4 + box(b"moof") + box(b"mdat") + b"\0\0", True),
    "a picture in an MP4's clothes": (box(b"ftyp") + box(b"meta") + box(b"mdat"), False),
    "boxes that are none": (box(b"ftyp") + box(b"moov") + struct.pack(">I4s", 3, b"mdat"), False),
    "Matroska, whole": (EBML + element(b"\x18\x53\x80\x67", 20), False),
    "Matroska, cut": (EBML + element(b"\x18\x53\x80\x67", 20, says=21), True),
    "Matroska, live, whole": (LIVE + element(b"\x1f\x43\xb6\x75", 20), False),
    "Matroska, live, cut": (LIVE + element(b"\x1f\x43\xb6\x75", 20, says=21), True),
    "Matroska, live, cut within a header": (LIVE + element(b"\x1f\x43\xb6\x75", 20) + b"\x1f", True),
    "Ogg, whole": (page(2) + page(4, b"abc"), False),
    "Ogg, no last page": (page(2) + page(0, b"abc"), True),
    "Ogg, cut": (page(2) + page(4, b"abc")[:-1], True),
    "FLV, whole": (b"FLV\1" + bytes(9) + b"\x09\0\0\2" + bytes(7 + 2) + struct.pack(">I", 13), False),
    "FLV, cut": (b"FLV\1" + bytes(9) + b"\x09\0\0\2" + bytes(7 + 2) + struct.pack(">I", 13)[:-1], True),
    "GIF, whole": (b"GIF89a" + bytes(50) + b";", False),
    "GIF, cut": (b"GIF89a" + bytes(50), True),
    "program stream, whole": (SYSTEM + unit(3) + b"abc", False),
    "program stream, with its end": (SYSTEM + unit(3) + b"abc\0\0\1\xb9", False),
    "program stream, filled up": (SYSTEM + unit(3) + b"abc" + bytes(20), False),
    "program stream, cut": (SYSTEM + unit(3) + b"ab", True),
    "transport stream, whole": (packet(begins=True, payload=unit(178)) * 6, False),
    "transport stream, open lengths": (packet(begins=True, payload=unit(0)) * 6, False),
    "transport stream, cut within a packet": ((packet() * 6)[:-1], True),
    "transport stream, cut within a unit": (packet() * 5 + packet(begins=True, payload=unit(179)), True),
    "transport stream with time stamps": ((bytes(4) + packet()) * 6, False),
    "nothing": (b"", False),
    "a text": (b"no video\n" * 1000, False),
    "zeros": (bytes(TAIL), False),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_breaks_off_if_something_announced_is_missing(tmp_path: Path, name: str) -> None:
    data, expected = FILES[name]
    (tmp_path / "video").write_bytes(data)
    with (tmp_path / "video").open("rb", buffering=0) as video:
        assert breaks_off(video, is_short=False) == expected


def test_pictures_that_are_announced_and_missing_count_if_frames_are(tmp_path: Path) -> None:
    for data in (MP4 + box(b"mdat", says=99), b"RIFF" + struct.pack("<I", 99) + b"AVI "):
        (tmp_path / "video").write_bytes(data)
        with (tmp_path / "video").open("rb", buffering=0) as video:
            assert [breaks_off(video, is_short=each) for each in (False, True)] == [False, True]
