"""Clips in every container, and what is left of them when they are cut."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.support.clips import remux, write_clip, write_with_sound

FRAMES: Final = 100
SHARES: Final = tuple(range(10, 100, 10))
"""Percent of a file that are left."""


def plain(suffix: str, codec: str = "libx264", **more: Any) -> Callable[[Path], Path]:  # noqa: ANN401 - of `write_clip`
    """Return what writes a clip into a container."""
    return lambda path: write_clip(path.with_suffix(f".{suffix}"), frames=FRAMES, codec=codec, **more)


def remuxed(suffix: str, options: dict[str, str]) -> Callable[[Path], Path]:
    """Return what writes a clip with options of FFmpeg's muxer."""

    def write(path: Path) -> Path:
        source = write_clip(path.with_suffix(".source.mp4"), frames=FRAMES)
        return remux(source, path.with_suffix(f".{suffix}"), options=options)

    return write


CLIPS: Final[dict[str, Callable[[Path], Path]]] = {
    "mp4": plain("mp4"),
    "mp4_index_first": remuxed("mp4", {"movflags": "faststart"}),
    "mp4_fragmented": remuxed("mp4", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "400000"}),
    "mkv": plain("mkv"),
    "mkv_live": remuxed("mkv", {"live": "1"}),
    "webm": plain("webm", "libvpx"),
    "avi": plain("avi", "mpeg4"),
    "ts": plain("ts"),
    "ts_with_sound": lambda path: write_with_sound(path.with_suffix(".ts"), frames=FRAMES),
    "mpg": plain("mpg", "mpeg2video"),
    "ogv": plain("ogv", "libvpx"),
    "flv": plain("flv"),
    "gif": plain("gif", "gif"),
    "h264": plain("h264"),
}
"""By name: what writes a clip of 100 frames, 4 seconds."""


def write_cuts(folder: Path, name: str) -> list[Path]:
    """Write what is left of a clip, from a tenth of it to nine."""
    data = CLIPS[name](folder / name).read_bytes()
    found = []
    for share in SHARES:
        path = folder / f"{name}-{share}"
        path.write_bytes(data[: len(data) * share // 100])
        found.append(path)
    return found
