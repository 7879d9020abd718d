"""Tiny videos made on the spot, and the folder of real ones where there is one."""

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
import cv2
import numpy as np
import pytest

from app.decoding.container import AvContainer, AvStream

Picture: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

TICK = Fraction(1, 1000)
"""Seconds per unit of the clips' timestamps."""

PIXELS = {"mjpeg": "yuvj420p", "gif": "rgb8", "prores_ks": "yuv422p10le"}
"""Formats of pixels that encoders insist on."""

MATRICES = {
    90: (0, 1, 0, -1, 0, 0, 0, 0, 1 << 14),
    180: (-1, 0, 0, 0, -1, 0, 0, 0, 1 << 14),
    270: (0, -1, 0, 1, 0, 0, 0, 0, 1 << 14),
}
"""Display matrices (before scaling by 65536) of a camera held clockwise by so many degrees."""


def data_folder() -> Path | None:
    """Return the folder of real videos, if this machine has one."""
    named = os.environ.get("KADR_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "data"
    return folder if folder.is_dir() else None


def remux(
    source: Path, target: Path, *, form: str | None = None, options: dict[str, str] | None = None
) -> Path:
    """Pack the pictures of a file anew: into the container that the target's name says, or `form`."""
    with av.open(str(source)) as found, av.open(str(target), "w", format=form, options=options) as packed:
        stream = packed.add_stream_from_template(found.streams.video[0])
        for packet in found.demux(video=0):
            if packet.dts is not None:  # the last one only says that there are no more
                packet.stream = stream
                packed.mux(packet)
    return target


LARGE_FILE = 1_000_000
"""Bytes: larger videos are for tests that take long."""


def real_videos(*folders: str) -> list[Any]:
    """Return one test parameter per real video; a single skipped one where there are none."""
    data = data_folder()
    if data is None:
        skipped = pytest.mark.skip(reason="no folder of real videos; set KADR_TEST_DATA")
        return [pytest.param(Path(), id="no-data", marks=[pytest.mark.data, skipped])]
    files = (path for folder in folders for path in sorted((data / folder).iterdir()))
    return [pytest.param(path, id=path.name, marks=_marks(path)) for path in files]


def _marks(path: Path) -> list[pytest.MarkDecorator]:
    is_long = path.stat().st_size > LARGE_FILE
    return [pytest.mark.data, pytest.mark.long] if is_long else [pytest.mark.data]


def paint(number: int, width: int, height: int) -> Picture:
    """Return a picture that differs from every other number's: a ramp, and a square on its way."""
    ramp = np.add.outer(np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32)) * 2 + number * 3
    picture = np.stack([ramp, ramp // 2, 255 - ramp], axis=2).astype(np.uint8)
    left = number * 7 % max(1, width - height // 3)
    cv2.rectangle(picture, (left, height // 3), (left + height // 3, 2 * height // 3), (40, 220, 90), -1)
    return picture


def noise(number: int, width: int, height: int) -> Picture:
    """Return a picture that no codec makes small."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def grey(_number: int, width: int, height: int) -> Picture:
    """Return a picture that costs next to nothing to make."""
    return np.full((height, width, 3), 128, np.uint8)


def write_clip(
    path: Path,
    *,
    frames: int = 32,
    size: tuple[int, int] = (160, 96),
    rate: int = 25,
    codec: str = "libx264",
    b_frames: int = 0,
    key_every: int | None = None,
    times: Iterable[int] | None = None,
    picture: Callable[[int, int, int], Picture] = paint,
) -> Path:
    """Write a clip of painted frames; the container follows from the name.

    Args:
        path: where.
        frames: how many.
        size: width and height in pixels.
        rate: frames per second.
        codec: an encoder of FFmpeg.
        b_frames: consecutive pictures that no other refers to.
        key_every: frames from one IDR picture to the next; None leaves it to the encoder.
        times: milliseconds of each frame, for a variable rate.
        picture: paints a frame, given its number, width and height.
    """
    tick = Fraction(1, rate) if times is None else TICK
    with _own_priority(), av.open(str(path), "w") as container:
        stream = _add_stream(container, codec, size=size, rate=rate, b_frames=b_frames)
        if key_every is not None:
            stream.options |= {"g": str(key_every), "sc_threshold": "0"}
        stream.codec_context.time_base = tick
        for number, pts in enumerate(range(frames) if times is None else times):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="bgr24")
            frame.pts, frame.time_base = pts, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@contextmanager
def _own_priority() -> Iterator[None]:
    """Keep the thread's place in the queue for the processor, and that of all processes that it starts later.

    libsvtav1 makes whoever uses it a real-time thread, where it may: as root.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def write_sound(path: Path) -> Path:
    """Write a file that holds a second of sound and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_with_sound(path: Path, *, frames: int = 32) -> Path:
    """Write a clip with sound, both in packets whose lengths the container tells where it can."""
    with av.open(str(path), "w") as container:
        pictures = _add_stream(container, "libx264", size=(160, 96), rate=25, b_frames=0)
        sound = container.add_stream("aac", rate=48000)
        silence = np.zeros((1, 1024), np.float32)
        played = 0
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(paint(number, 160, 96), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(pictures.encode(frame))
            while played * 25 < (number + 1) * 48000:
                heard = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
                heard.sample_rate, heard.pts, heard.time_base = 48000, played, Fraction(1, 48000)
                container.mux(sound.encode(heard))
                played += 1024
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    return path


def write_changing_size(path: Path, *sizes: tuple[int, int], frames: int = 10) -> Path:
    """Write a transport stream whose pictures change their size on the way."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = _add_stream(container, "libx264", size=sizes[0], rate=25, b_frames=0)
        stream.codec_context.time_base = TICK
        for part, size in enumerate(sizes):
            encoder = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height = size
            encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", TICK, Fraction(25)
            encoder.options = {"bf": "0", "preset": "ultrafast"}
            for number in range(frames):
                frame = av.VideoFrame.from_ndarray(paint(number, *size), format="bgr24")
                frame.pts, frame.time_base = (part * frames + number) * 40, TICK
                _mux(container, stream, encoder.encode(frame))
            _mux(container, stream, encoder.encode(None))
    return path


def turn(path: Path, degrees: int) -> Path:
    """Mark an MP4 as filmed with the camera held clockwise by 90, 180 or 270 degrees."""
    data = bytearray(path.read_bytes())
    # ISO/IEC 14496-12, 8.3.2: in version 0 of the track header 40 bytes come before the matrix.
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = struct.pack(">9i", *(value << 16 for value in MATRICES[degrees]))
    path.write_bytes(data)
    return path


def cut(path: Path, share: float) -> Path:
    """Cut a file off after this share of its bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def count_frames(path: Path) -> int:
    """Count frames the plainest way: decode all, skip what cannot be decoded."""
    count = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for packet in container.demux(stream):
            try:
                count += len(packet.decode())
            except av.FFmpegError:
                continue
    return count


def _add_stream(
    container: AvContainer, codec: str, *, size: tuple[int, int], rate: int, b_frames: int
) -> AvStream:
    stream = container.add_stream(codec, rate=rate)
    stream.width, stream.height = size
    stream.pix_fmt = PIXELS.get(codec, "yuv420p")
    if codec == "libx264":
        # Exactly as many as asked for, and none that refers to another: the encoder decides nothing.
        stream.options = {"bf": str(b_frames), "b_strategy": "0", "x264-params": "b-pyramid=none:threads=1"}
        stream.options |= {"preset": "veryfast"}
    return stream


def _mux(container: AvContainer, stream: AvStream, packets: Iterable[Any]) -> None:
    for packet in packets:
        packet.stream = stream
        container.mux(packet)
