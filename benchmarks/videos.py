"""The videos that everybody looks at: real ones where there are any, and drawn ones."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np

from app.errors import Misconfigured
from benchmarks.findings import VideoFacts
from models.shapes import (
    GAP,
    Picture,
    draw_background,
    move_bodies,
    place_bodies,
    write_clip,
)

REAL: Final = {
    "vtest": "vtest_480x360_h264.mp4",
    "car": "intel_car-detection.mp4",
    "udacity": "udacity_solidWhiteRight.mp4",
}
"""Files below `videos/` of the data folder."""

DRAWN: Final = ("1080p", "shapes")

STRIDE: Final = 5
"""Every how manieth frame is looked at: Kadr's default, and `vid_stride` of the others."""

LATENCY_FRAMES: Final = 50
"""10 sampled ones."""

FULL_HD: Final = (1920, 1080)
FULL_HD_FRAMES: Final = 500

GRAIN: Final = 3.6
"""Standard deviation of the film grain. With it, a pixel costs as much to decode as in the real videos."""

GRAINS: Final = 8
"""Different fields of grain, which take turns."""


@dataclass(frozen=True)
class Video:
    """A video and where it lies."""

    path: Path
    facts: VideoFacts

    @property
    def name(self) -> str:
        """As in the tables."""
        return self.facts.name


def data_folder() -> Path | None:
    """Return the folder of real videos and weights, if this machine has one."""
    named = os.environ.get("KADR_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


def default_names() -> list[str]:
    """Return what is looked at when nobody says what: real videos where there are any, and 1080p."""
    found = [name for name in REAL if _real(name) is not None]
    return [*(found or ["shapes"]), "1080p"]


def collect(names: Sequence[str], folder: Path) -> list[Video]:
    """Return the videos of these names, drawing into `folder` what has to be drawn.

    Args:
        names: keys of `REAL`, of `DRAWN`, or paths of files.
        folder: for drawn videos.

    Raises:
        Misconfigured: there is no such video.
    """
    return [_collect(name, folder) for name in names]


def draw_latency_clip(folder: Path) -> Path:
    """Draw the clip of 10 sampled frames."""
    clip = folder / "latency.mp4"
    write_clip(clip, seed=7, frames=LATENCY_FRAMES, size=(640, 360), objects=4)
    return clip


def _collect(name: str, folder: Path) -> Video:
    if name == "1080p":
        path = folder / "1080p.mp4"
        write_full_hd(path)
    elif name == "shapes":
        path = folder / "shapes.mp4"
        write_clip(path, seed=8, frames=400, size=(640, 360), objects=4)
    else:
        found = _real(name) if name in REAL else Path(name)
        if found is None or not found.is_file():
            known = ", ".join((*REAL, *DRAWN))
            raise Misconfigured(f"there is no video {name}: name a file, or one of {known}")
        path, name = found, name if name in REAL else found.stem
    return Video(path, _facts(name, path))


def _real(name: str) -> Path | None:
    data = data_folder()
    path = data / "videos" / REAL[name] if data else None
    return path if path is not None and path.is_file() else None


def _facts(name: str, path: Path) -> VideoFacts:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for packet in container.demux(stream) if packet.size)
        return VideoFacts(name, stream.width, stream.height, frames, is_drawn=name in DRAWN)


def write_full_hd(path: Path, *, frames: int = FULL_HD_FRAMES, size: tuple[int, int] = FULL_HD) -> None:
    """Write an H.264 video with B-frames: shapes before a textured ground that a camera pans over.

    The same arguments give the same bytes.
    """
    with av.open(str(path), "w", format="mp4") as container:
        # x264's macroblock tree and its threads decide differently from run to run.
        options = {"preset": "veryfast", "crf": "24", "bf": "3", "b-pyramid": "none", "mbtree": "0"}
        stream = container.add_stream("libx264", rate=Fraction(25), options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for picture in _draw_full_hd(frames, size):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())


def _draw_full_hd(frames: int, size: tuple[int, int]) -> Iterator[Picture]:
    rng = np.random.default_rng(1080)
    width, height = size
    margin = 160
    ground = draw_background(rng, size=(width + 2 * margin, height + 2 * margin), scale=2)
    grains = [rng.normal(0, GRAIN, (height, width, 1)).astype(np.int8).repeat(3, 2) for _ in range(GRAINS)]
    bodies = place_bodies(rng, count=12, size=size, scale=2.5, gap=GAP)
    for number in range(frames):
        left = margin + round(margin * np.cos(number / 40))
        top = margin + round(margin * np.sin(number / 55))
        picture = ground[top : top + height, left : left + width].copy()
        for body in bodies:
            body.draw(picture)
        yield np.asarray(cv2.add(picture, grains[number % GRAINS], dtype=cv2.CV_8U))
        bodies = move_bodies(bodies, size=size)
