"""The videos of every round: several short ones, a long one, one that is none and one that breaks off."""

from pathlib import Path
from typing import Final

from models.shapes import write_clip
from tests.support.clips import count_frames, cut, remux

SIZE: Final = (512, 288)

FULL: Final = {"short-1": 40, "short-2": 64, "short-3": 90, "short-4": 120, "long": 1200}
QUICK: Final = {"short-1": 40, "short-2": 64, "long": 400}
"""Frames of each clip."""

CORRUPT: Final = "corrupt"
TRUNCATED: Final = "truncated"


def draw_clips(folder: Path, *, is_quick: bool) -> dict[str, Path]:
    """Write the clips of a run and return them by name."""
    lengths = QUICK if is_quick else FULL
    clips: dict[str, Path] = {}
    for number, (name, frames) in enumerate(lengths.items()):
        clips[name] = folder / f"{name}.mp4"
        write_clip(clips[name], seed=100 + number, frames=frames, size=SIZE)
    clips[CORRUPT] = folder / f"{CORRUPT}.mp4"
    clips[CORRUPT].write_bytes(b"This was never a video.\n" * 400)
    if not is_quick:
        # A Matroska file can be read as far as it goes, an MP4 file only when it is whole.
        whole = remux(clips["short-4"], folder / f"{TRUNCATED}.mp4", form="matroska")
        clips[TRUNCATED] = cut(whole, 0.6)
    return clips


def sampled_of(path: Path, stride: int = 5) -> int:
    """Return how many frames of an undamaged clip are sampled, counted the plainest way."""
    return -(-count_frames(path) // stride)
