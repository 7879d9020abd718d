"""Whether a file breaks off: told by its own lengths, where its format has any.

FFmpeg reads to the end and says nothing where a file is cut between two pictures, or within something that is
no picture. These looks read a few bytes at the end, or the headers from one to the next; all they claim is
that something announced is not there. A raw stream announces nothing, and neither does a fragmented MP4 or a
Matroska of unknown length that is cut exactly between two parts.
"""

import os
from collections.abc import Callable, Iterator
from io import FileIO
from itertools import islice
from typing import Final

MOST_STEPS: Final = 200_000
"""Headers that are followed at most, in about a second: a fragmented MP4 of two days has 90,000."""

TAIL: Final = 512 << 10
"""Bytes at the end in which the last unit of a stream must begin: an Ogg page has 65,307 at most, a pack of a
program stream mostly 2,048, and this is 2,700 packets of a transport stream."""

BOX_TYPES: Final = frozenset(
    {b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"sidx"}
)
"""What an MP4 begins with (ISO/IEC 14496-12); `wide`, `moov` and `mdat` come first in QuickTime's files."""

HEADER: Final = 8
"""Bytes of a length and a type."""

EBML: Final = 0x1A45DFA3
SEGMENT: Final = 0x18538067
CLUSTER: Final = 0x1F43B675
"""Identifiers of Matroska's elements (RFC 9559)."""

SYNC: Final = 0x47
PACKET_SIZES: Final = ((188, 0), (192, 4), (204, 0))
"""Sizes of a transport stream's packets, and bytes before their first (ISO/IEC 13818-1; with a time stamp, as
Blu-ray has it; with check bytes, as DVB has it)."""

PACKETS_LIKE_IT: Final = 5
"""Packets in a row after which a file counts as a transport stream, as long as it has so many."""

END_CODE: Final = 0xB9
PACK: Final = 0xBA
FIRST_WITH_LENGTH: Final = 0xBB
"""Start codes of a program stream; from the last one on a length follows (ISO/IEC 13818-1, 2.5)."""


class Ending:
    """The end of one file.

    Args:
        video: the file.
        is_short: whether fewer frames came out of it than it declares, or none. Some formats are believed
            only then: there are writers that get the lengths wrong of files that are whole.
    """

    def __init__(self, video: FileIO, *, is_short: bool) -> None:
        self._descriptor = video.fileno()
        self._is_short = is_short
        self.size = os.fstat(self._descriptor).st_size

    def is_missing(self) -> bool:
        """Return whether the file proves to be cut off."""
        head = self.read(0, 12)
        looks: tuple[tuple[bool, Callable[[], bool]], ...] = (
            (head[4:8] in BOX_TYPES, self._misses_boxes),
            (head[:4] == EBML.to_bytes(4, "big"), self._misses_elements),
            (head[:4] == b"RIFF" and head[8:] == b"AVI ", self._misses_chunks),
            (head[:4] == b"OggS", self._misses_pages),
            (head[:3] == b"FLV", self._misses_tags),
            (head[:4] == b"GIF8", self._misses_trailer),
            (head[:4] == bytes((0, 0, 1, PACK)), self._misses_packs),
        )
        look = next((look for is_it, look in looks if is_it), self._misses_packets)
        return look()

    def read(self, position: int, size: int) -> bytes:
        """Return so many bytes from there on, fewer at the end of the file."""
        return os.pread(self._descriptor, size, position)

    def _tail(self) -> tuple[int, bytes]:
        start = max(0, self.size - TAIL)
        return start, self.read(start, TAIL)

    def _misses_boxes(self) -> bool:
        """ISO/IEC 14496-12, 4.2: a box has a length; 1 means that it follows in 64 bits, 0 up to the end."""
        seen: set[bytes] = set()
        end = 0
        for kind, end in islice(self._boxes(), MOST_STEPS):
            if end <= self.size:
                seen.add(kind)
        is_cut = end > self.size
        if b"moov" not in seen and not seen & {b"moof", b"meta"}:
            return is_cut or b"mdat" in seen
        return is_cut and (b"moof" in seen or self._is_short)

    def _boxes(self) -> Iterator[tuple[bytes, int]]:
        """Yield the type and the end of each outermost box; a header that is cut ends where it would."""
        position = 0
        while position < self.size:
            header = self.read(position, 16)
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            elif len(header) >= HEADER and length == 0 and not header[4:8].strip(b"\0"):
                return  # zeros behind the last box
            elif length == 0:
                length = self.size - position
            if len(header) >= HEADER and length < HEADER:
                return  # no box: whatever it is, it does not say that anything follows
            position += max(length, HEADER)
            yield header[4:8], position

    def _misses_elements(self) -> bool:
        """RFC 8794: an element has an identifier and a length; all ones mean that it is not known."""
        position = 0
        for _ in range(MOST_STEPS):
            if position >= self.size:
                break
            header = self.read(position, 12)
            identifier, used = _variable(header, 0, keeps_marker=True)
            length, more = _variable(header, used, keeps_marker=False)
            if not used or not more:
                return len(header) < 12  # noqa: PLR2004  (the longest header)
            is_unknown = length == (1 << 7 * more) - 1
            position += used + more
            if identifier == SEGMENT and not is_unknown:
                return position + length > self.size
            if not is_unknown:  # else its parts follow
                position += length
        return position > self.size

    def _misses_chunks(self) -> bool:
        """Microsoft, RIFF: four letters, a length, a form."""
        return self._is_short and 8 + int.from_bytes(self.read(4, 4), "little") > self.size

    def _misses_pages(self) -> bool:
        """RFC 3533, 6: flags in byte 5, of which 4 is the last page; a table of lengths from byte 26 on."""
        _, tail = self._tail()
        at = tail.rfind(b"OggS")
        page = tail[at:]
        if at < 0 or len(page) < 27:  # noqa: PLR2004  (a header)
            return True
        segments = page[27 : 27 + page[26]]
        is_whole = len(segments) == page[26] and len(page) >= 27 + len(segments) + sum(segments)
        return not (is_whole and page[5] & 4)

    def _misses_tags(self) -> bool:
        """Adobe, FLV 10.1, E.3: the length of a tag, 11 bytes of header included, stands behind it."""
        length = int.from_bytes(self.read(self.size - 4, 4), "big")
        header = self.read(max(0, self.size - 4 - length), 4)
        return length < 11 or int.from_bytes(header[1:4], "big") + 11 != length  # noqa: PLR2004  (a header)

    def _misses_trailer(self) -> bool:
        """GIF89a, 27: the last byte is a semicolon."""
        return not self.read(max(0, self.size - 64), 64).rstrip(b"\0\r\n").endswith(b";")

    def _misses_packs(self) -> bool:
        """ISO/IEC 13818-1, 2.5.3: packs, and in them packets with a length."""
        _, tail = self._tail()
        position = tail.rfind(bytes((0, 0, 1, PACK)))
        while 0 <= position < len(tail):
            header = tail[position : position + 14]
            if not header.strip(b"\0"):
                return bool(tail[position:].strip(b"\0"))  # zeros to fill up a sector
            if len(header) < 4 or header[:3] != b"\0\0\1":  # noqa: PLR2004  (a start code)
                return len(header) < 4  # noqa: PLR2004  (likewise)
            if header[3] == END_CODE:
                return False
            if header[3] == PACK:  # MPEG-1 has 12 bytes, MPEG-2 fourteen and up to 7 to fill
                is_second = len(header) > 4 and header[4] >> 6 == 1  # noqa: PLR2004  (the byte is there)
                position += 14 + (header[-1] & 7) if is_second else 12
            elif header[3] >= FIRST_WITH_LENGTH:
                position += 6 + int.from_bytes(header[4:6], "big")
            else:
                return False  # a start code of the pictures: a stream that is not as we know it
        return position > len(tail)

    def _misses_packets(self) -> bool:
        """Whether a transport stream ends within a packet, or within a unit whose length it has told."""
        found = self._packets()
        if found is None:
            return False
        size, first = found
        if (self.size - first) % size:
            return True
        count = min(TAIL // size, (self.size - first) // size)
        start = self.size - count * size
        tail = self.read(start, count * size)
        lead = next(lead for known, lead in PACKET_SIZES if known == size)
        return _ends_within_unit(tail[at + lead : at + lead + 188] for at in range(0, len(tail), size))

    def _packets(self) -> tuple[int, int] | None:
        """Return the size of the packets and where the first begins; None if it is no transport stream."""
        head = self.read(0, PACKETS_LIKE_IT * 204 + 204)
        for size, lead in PACKET_SIZES:
            for first in range(size):
                starts = head[first + lead :: size]
                if len(starts) >= PACKETS_LIKE_IT and set(starts[:PACKETS_LIKE_IT]) == {SYNC}:
                    return size, first
        return None


def breaks_off(video: FileIO, *, is_short: bool) -> bool:
    """Return whether a file proves to be cut off; for the arguments see `Ending`."""
    return Ending(video, is_short=is_short).is_missing()


def _variable(data: bytes, position: int, *, keeps_marker: bool) -> tuple[int, int]:
    """Return a number of variable length and how many bytes it has, 0 if there is none (RFC 8794, 4)."""
    if position >= len(data) or not data[position]:
        return 0, 0
    length = 9 - data[position].bit_length()
    if position + length > len(data):
        return 0, 0
    value = int.from_bytes(data[position : position + length], "big")
    return (value if keeps_marker else value & ((1 << 7 * length) - 1)), length


def _ends_within_unit(packets: Iterator[bytes]) -> bool:
    """Return whether the last PES packet of any stream is shorter than it says (ISO/IEC 13818-1, 2.4.3)."""
    missing: dict[int, int] = {}
    for packet in packets:
        stream = int.from_bytes(packet[1:3], "big") & 0x1FFF
        has_payload, has_more = packet[3] & 0x10, packet[3] & 0x20
        payload = packet[4 + (1 + packet[4] if has_more else 0) :] if has_payload else b""
        if packet[1] & 0x40:  # a unit begins
            missing.pop(stream, None)
            length = int.from_bytes(payload[4:6], "big")
            if payload[:3] == b"\0\0\1" and length:  # pictures may leave their length open
                missing[stream] = 6 + length
        if stream in missing:
            missing[stream] -= len(payload)
    return any(rest > 0 for rest in missing.values())
