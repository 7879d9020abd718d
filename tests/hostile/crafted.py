"""Files that no honest program writes, all of them small: lengths that lie, loops, bombs, and disguises."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2

from tests.support.clips import grey, paint, write_changing_size, write_clip, write_sound

BUILDERS: dict[str, tuple[Callable[[Path], None], str]] = {}
"""By name: what writes the file, and what has to become of it, as a regular expression for the outcome."""

Builder = Callable[[Path], None]


def crafted(outcome: str) -> Callable[[Builder], Builder]:
    """Register a builder; its name is the file's."""

    def register(builder: Builder) -> Builder:
        BUILDERS[builder.__name__] = (builder, outcome)
        return builder

    return register


# Matroska by hand: RFC 9559.

EBML: Final = 0x1A45DFA3
SEGMENT: Final = 0x18538067
UNKNOWN: Final = b"\x01" + b"\xff" * 7
"""A length that is not known (RFC 8794, 6.2)."""


def element(identifier: int, *content: bytes, length: int | None = None) -> bytes:
    """An element with its true length, or with another."""
    body = b"".join(content)
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + (0x01 << 56 | (len(body) if length is None else length)).to_bytes(8, "big") + body


def number(identifier: int, value: int) -> bytes:
    return element(identifier, value.to_bytes(8, "big"))


def jpeg(width: int = 64, height: int = 48) -> bytes:
    return cv2.imencode(".jpg", paint(0, width, height))[1].tobytes()


def track(
    index: int, *, width: int = 64, height: int = 48, kind: int = 1, codec: bytes = b"V_MJPEG"
) -> bytes:
    picture = element(0xE0, number(0xB0, width), number(0xBA, height)) if kind == 1 else b""
    return element(
        0xAE, number(0xD7, index), number(0x73C5, index), number(0x83, kind), element(0x86, codec), picture
    )


def block(index: int, time: int, data: bytes) -> bytes:
    return element(0xA3, bytes((0x80 | index,)) + struct.pack(">hB", time, 0x80) + data)


def matroska(*parts: bytes) -> bytes:
    doctype = element(EBML, element(0x4282, b"matroska"), number(0x4287, 4), number(0x4285, 2))
    return doctype + element(SEGMENT, *parts)


def info(milliseconds: float | None = None) -> bytes:
    duration = [] if milliseconds is None else [element(0x4489, struct.pack(">d", milliseconds))]
    return element(0x1549A966, number(0x2AD7B1, 1_000_000), *duration)


def tracks(*each: bytes) -> bytes:
    return element(0x1654AE6B, *each)


def cluster(time: int, *blocks: bytes) -> bytes:
    return element(0x1F43B675, number(0xE7, time), *blocks)


def pictures(count: int = 5) -> bytes:
    return cluster(0, *(block(1, each * 40, jpeg()) for each in range(count)))


# Claims.


@crafted("too_many_frames")
def avi_with_two_billion_frames(path: Path) -> None:
    data = bytearray(write_clip(path.with_suffix(".avi"), frames=5, codec="mpeg4").read_bytes())
    start = data.index(b"strh") + 8
    data[start + 32 : start + 36] = struct.pack("<I", (1 << 31) - 1)  # AVISTREAMHEADER, dwLength
    path.write_bytes(data)


@crafted("5 frames")
def matroska_of_65535x65535(path: Path) -> None:
    path.write_bytes(matroska(info(), tracks(track(1, width=65535, height=65535)), pictures()))


@crafted("too_many_pixels|no_frames|not_a_video")
def jpeg_of_65535x65535(path: Path) -> None:
    picture = bytearray(jpeg())
    start = picture.index(b"\xff\xc0") + 5  # ITU-T T.81, B.2.2: SOF0, number of lines, then of columns
    picture[start : start + 4] = struct.pack(">HH", 65535, 65535)
    path.write_bytes(matroska(info(), tracks(track(1)), cluster(0, block(1, 0, bytes(picture)))))


@crafted("too_many_pixels|no_frames")
def vp8_of_16383x16383(path: Path) -> None:
    data = bytearray(write_clip(path.with_suffix(".webm"), frames=3, codec="libvpx").read_bytes())
    start = data.index(b"\x9d\x01\x2a") + 3  # RFC 6386, 9.1: a key frame's start code, width, height
    data[start : start + 4] = struct.pack("<HH", 0x3FFF, 0x3FFF)
    path.write_bytes(data)


@crafted("too_many_pixels")
def picture_of_64_megapixels_in_a_few_kilobytes(path: Path) -> None:
    write_clip(path.with_suffix(".avi"), frames=1, size=(8000, 8000), codec="mpeg4", picture=grey)
    path.with_suffix(".avi").rename(path)


@crafted("too_many_pixels|no_frames|not_a_video")
def gif_with_an_enormous_canvas(path: Path) -> None:
    data = bytearray(write_clip(path.with_suffix(".gif"), frames=3, codec="gif").read_bytes())
    data[6:10] = struct.pack("<HH", 65535, 65535)  # GIF89a, 18: logical screen
    path.write_bytes(data)


@crafted("too_many_streams")
def hundred_streams(path: Path) -> None:
    path.write_bytes(matroska(info(), tracks(*(track(index + 1) for index in range(100))), pictures()))


@crafted("too_many_streams")
def thousands_of_streams(path: Path) -> None:
    path.write_bytes(matroska(info(), tracks(*(track(index + 1) for index in range(5000))), pictures()))


@crafted("32 frames")
def clip_of_a_million_frames_per_second(path: Path) -> None:
    write_clip(path.with_suffix(".avi"), frames=32, rate=1_000_000).rename(path)


@crafted("too_many_frames_per_second")
def thousands_of_frames_at_once(path: Path) -> None:
    picture = block(1, 0, jpeg(16, 16))
    path.write_bytes(matroska(info(), tracks(track(1)), cluster(0, picture * 2500)))


@crafted("too_long")
def duration_of_thirty_years(path: Path) -> None:
    path.write_bytes(matroska(info(1e12), tracks(track(1)), pictures()))


@crafted("too_long")
def timestamp_in_thirty_years(path: Path) -> None:
    path.write_bytes(matroska(info(), tracks(track(1)), pictures(), cluster(10**12, block(1, 0, jpeg()))))


@crafted("5 frames")
def duration_of_nothing(path: Path) -> None:
    path.write_bytes(matroska(info(0.0), tracks(track(1)), pictures()))


@crafted("too_many_sizes")
def endless_changes_of_size(path: Path) -> None:
    blocks = (block(1, each * 40, jpeg(32 + each % 2 * 16)) for each in range(300))
    path.write_bytes(matroska(info(), tracks(track(1)), cluster(0, *blocks)))


@crafted("8 frames")
def negative_timestamps(path: Path) -> None:
    blocks = (block(1, each * 40 - 200, jpeg()) for each in range(8))
    path.write_bytes(matroska(info(), tracks(track(1)), cluster(100, *blocks)))


@crafted(r"\d+ frames")
def looping_timestamps(path: Path) -> None:
    clip = write_clip(path.with_suffix(".ts"), frames=20).read_bytes()
    path.write_bytes(clip * 3)


# Loops and nonsense.


@crafted(r"(\d+ frames.*|no_frames|not_a_video|truncated)")
def avi_whose_index_leads_to_itself(path: Path) -> None:
    data = bytearray(write_clip(path.with_suffix(".avi"), frames=10, codec="mpeg4").read_bytes())
    start = data.rindex(b"idx1")
    for entry in range(start + 8, len(data) - 15, 16):
        data[entry + 8 : entry + 12] = struct.pack("<I", start)
    path.write_bytes(data)


@crafted(r"(\d+ frames.*|no_frames|not_a_video|no_video_stream|truncated)")
def matroska_within_itself(path: Path) -> None:
    segment = SEGMENT.to_bytes(4, "big") + UNKNOWN
    path.write_bytes(matroska(info(), tracks(track(1)))[:-12] + segment * 20_000)


@crafted("not_a_video|no_video_stream|truncated")
def matroska_of_endless_depth(path: Path) -> None:
    depth = b""
    for _ in range(2000):  # SimpleTag may hold SimpleTag
        depth = element(0x67C8, element(0x45A3, b"a"), depth)
    path.write_bytes(matroska(info(), element(0x1254C367, element(0x7373, depth))))


@crafted("not_a_video|no_video_stream|truncated")
def boxes_of_endless_depth(path: Path) -> None:
    box = b""
    for _ in range(5000):
        box = struct.pack(">I", len(box) + 8) + b"moov" + box
    path.write_bytes(struct.pack(">I4s8x", 16, b"ftyp") + box)


@crafted("not_a_video|no_video_stream|no_frames|truncated")
def boxes_with_lengths_that_lie(path: Path) -> None:
    boxes = [struct.pack(">I4s", size, b"trak") for size in (0xFFFFFFFF, 0x80000000, 1, 7, 0)]
    moov = b"".join(boxes) * 50
    path.write_bytes(struct.pack(">I4s8x", 16, b"ftyp") + struct.pack(">I4s", len(moov) + 8, b"moov") + moov)


@crafted(r"(\d+ frames.*|no_frames)")
def samples_that_all_lie_in_the_header(path: Path) -> None:
    data = bytearray(write_clip(path.with_suffix(".mp4"), frames=10).read_bytes())
    start = data.index(b"stco") + 8  # ISO/IEC 14496-12, 8.7.5: a count, then offsets in the file
    (count,) = struct.unpack_from(">I", data, start)
    data[start + 4 : start + 4 + 4 * count] = bytes(4 * count)
    path.write_bytes(data)


@crafted("not_a_video|no_video_stream|no_frames|truncated")
def ogg_of_empty_pages(path: Path) -> None:
    page = b"OggS" + struct.pack("<BBqIIIB", 0, 2, 0, 1, 0, 0, 0)
    path.write_bytes(page * 10_000)


@crafted("not_a_video|no_video_stream|no_frames|truncated")
def flv_of_empty_tags(path: Path) -> None:
    path.write_bytes(b"FLV\x01\x01\0\0\0\x09\0\0\0\0" + (b"\x09" + bytes(10) + b"\0\0\0\x0b") * 20_000)


@crafted("not_a_video|no_video_stream|no_frames|truncated")
def transport_stream_of_empty_packets(path: Path) -> None:
    path.write_bytes((b"\x47\x1f\xff\x10" + b"\xff" * 184) * 5000)


# Disguises: all of them would lead to other files or addresses, or are for other programs.


def disguise(name: str, text: str | bytes, outcome: str = "not_a_video") -> None:
    """Register a file that is something else."""

    def write(path: Path) -> None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    BUILDERS[name] = (write, outcome)


NEXT: Final = "file:///etc/passwd"

disguise("playlist_hls", f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{NEXT}\n#EXT-X-ENDLIST\n" * 9)
disguise("playlist_concat", "ffconcat version 1.0\nfile '/etc/passwd'\n")
disguise("playlist_sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n")
disguise("playlist_smil", f'<smil><body><video src="{NEXT}"/></body></smil>')
disguise("playlist_rtsptext", f"RTSPtext\n{NEXT}\n")
disguise("playlist_asx", f'<asx version="3.0"><entry><ref href="{NEXT}"/></entry></asx>')
disguise("playlist_pls", f"[playlist]\nFile1={NEXT}\nNumberOfEntries=1\n")
disguise("pattern_of_pictures", "/etc/%d.png\n" * 20)
disguise("vapoursynth_script", "import os\nos.system('true')\nclip.set_output()\n")
disguise("avisynth_script", 'AviSource("/etc/passwd")\n')
disguise("subtitles_ass", "[Script Info]\nScriptType: v4.00+\n[Events]\nDialogue: 0,0:0:0,0:0:1,,,,,,,a\n")
disguise("subtitles_srt", f"1\n00:00:00,000 --> 00:00:01,000\n<img src='{NEXT}'>\n")
disguise("svg", f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{NEXT}"/></svg>')
disguise("html", f"<!doctype html><iframe src='{NEXT}'></iframe>")
disguise("pdf", "%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n")
disguise("zip", b"PK\x03\x04" + bytes(26) + b"PK\x05\x06" + bytes(18))
disguise("elf", b"\x7fELF\x02\x01\x01" + bytes(57))
disguise("shell_script", "#!/bin/sh\nexit\n")
disguise("picture_png", cv2.imencode(".png", grey(0, 64, 64))[1].tobytes())
disguise("picture_jpeg", jpeg())
disguise("nothing_but_zeros", bytes(100_000))
disguise("one_byte", b"\0")
disguise(
    "playlist_dash",
    f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    f'<Representation id="1"><BaseURL>{NEXT}</BaseURL></Representation></AdaptationSet></Period></MPD>',
)


@crafted("not_a_video|no_video_stream|5 frames")
def matroska_behind_a_playlist(path: Path) -> None:
    path.write_bytes(f"#EXTM3U\n{NEXT}\n".encode() + matroska(info(), tracks(track(1)), pictures()))


@crafted("5 frames")
def matroska_with_a_shell_script_attached(path: Path) -> None:
    name, kind = element(0x466E, b"../../etc/cron.d/x"), element(0x4660, b"application/x-sh")
    file = element(0x61A7, name, kind, element(0x465C, b"#!/bin/sh\n"), number(0x46AE, 1))
    path.write_bytes(matroska(info(), tracks(track(1)), element(0x1941A469, file), pictures()))


@crafted("5 frames")
def matroska_with_subtitles_that_name_a_file(path: Path) -> None:
    words = track(2, kind=17, codec=b"S_TEXT/UTF8")
    said = cluster(0, *(block(1, each * 40, jpeg()) for each in range(5)), block(2, 0, NEXT.encode()))
    path.write_bytes(matroska(info(), tracks(track(1), words), said))


def alias(target: str) -> bytes:
    """A QuickTime data reference to another file, as FFmpeg's demuxer reads it (`mov_read_dref`)."""
    path = target.encode().ljust(160, b"\0")
    body = (
        bytes(4 + 10) + b"\x04disk".ljust(28, b"\0") + bytes(12) + b"\x06passwd".ljust(64, b"\0") + bytes(16)
    )
    body += struct.pack(">HH", 1, 1) + bytes(16)
    body += struct.pack(">HH", 2, len(path)) + path + struct.pack(">HH", 0xFFFF, 0)
    return struct.pack(">I4s", 8 + len(body), b"alis") + body


def with_reference(data: bytes, entry: bytes) -> bytes:
    """Put another data reference into an MP4 whose header comes last."""
    old = data.index(b"dref") + 12
    (length,) = struct.unpack_from(">I", data, old)
    changed = bytearray(data[:old] + entry + data[old + length :])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        start = changed.index(name) - 4
        (size,) = struct.unpack_from(">I", changed, start)
        struct.pack_into(">I", changed, start, size + len(entry) - length)
    return bytes(changed)


@crafted(r"(\d+ frames|no_frames|not_a_video).*")
def track_that_lies_in_another_file(path: Path) -> None:
    data = write_clip(path.with_suffix(".mov"), frames=10).read_bytes()
    path.write_bytes(with_reference(data, alias("/etc/passwd")))


@crafted(r"(\d+ frames|no_frames|not_a_video).*")
def track_that_lies_at_an_address(path: Path) -> None:
    data = write_clip(path.with_suffix(".mp4"), frames=10).read_bytes()
    entry = struct.pack(">II", 0, 0) + b"http://127.0.0.1:9/video.mp4\0"
    path.write_bytes(with_reference(data, struct.pack(">I4s", 8 + len(entry) - 4, b"url ") + entry[4:]))


# Honest, but odd.


@crafted("no_video_stream")
def sound_only(path: Path) -> None:
    write_sound(path.with_suffix(".mp4")).rename(path)


@crafted("20 frames")
def avi_without_an_index(path: Path) -> None:
    data = write_clip(path.with_suffix(".avi"), frames=20, codec="mpeg4").read_bytes()
    path.write_bytes(data[: data.rindex(b"idx1")])


@crafted("30 frames")
def three_sizes_in_a_row(path: Path) -> None:
    write_changing_size(path.with_suffix(".ts"), (160, 96), (96, 64), (200, 120)).rename(path)
