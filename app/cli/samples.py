"""Pictures and frames of videos, prepared exactly as the pipeline prepares them."""

import asyncio
import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import cv2
import msgspec
import numpy as np

from app.decoding.picture import encode_jpeg, preprocess, shrink
from app.decoding.process import DecoderCrashed, DecodingPool, open_decoding_pool
from app.decoding.protocol import Job
from app.domain.messages import Failure, FrameSampled
from app.errors import KadrError
from app.settings import Settings

PICTURES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
VIDEOS: Final = frozenset(
    {".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm"}
)
"""Endings of the files that are taken from a folder; a file that is named itself may have any."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Sample:
    """A picture as it travels to the model.

    Attributes:
        file: where it is from.
        jpeg: preprocessed, longest side at most the model's input size.
        width: of the source, in pixels.
        height: of the source, in pixels.
    """

    file: Path
    jpeg: bytes
    width: int
    height: int


class NoPictures(KadrError):
    """Nothing that could be looked at was found."""


class Unreadable(KadrError):
    """A file is no picture and no video that can be read."""


class Spread(Generic[_T]):
    """Keeps a bounded number of things, evenly spread over however many come.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._step = 1
        self._seen = 0
        self._kept: list[_T] = []

    def add(self, thing: _T) -> None:
        """Take the next one."""
        if self._seen % self._step == 0:
            self._kept.append(thing)
        self._seen += 1
        # Twice as many as wanted, so that never fewer than wanted are left.
        if len(self._kept) > 2 * self._most:
            del self._kept[1::2]
            self._step *= 2

    @property
    def kept(self) -> list[_T]:
        """The things that are kept, in the order in which they came."""
        return spread(self._kept, self._most)


def spread(things: Sequence[_T], most: int) -> list[_T]:
    """Return at most so many of the things, evenly spread."""
    if len(things) <= most:
        return list(things)
    return [things[(2 * number + 1) * len(things) // (2 * most)] for number in range(most)]


def list_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files that are meant: those named, and the pictures and videos in folders, in order.

    Raises:
        OSError: a path does not exist or cannot be read.
        NoPictures: the folders hold neither pictures nor videos.
    """
    paths = [path.absolute() for path in paths]  # a decoding child works in another folder
    files = [file for path in paths for file in _files_of(path)]
    if not files:
        raise NoPictures(f"there are no pictures and no videos in {', '.join(map(str, paths))}")
    return files


def _files_of(path: Path) -> Iterator[Path]:
    path.stat()  # a path that does not exist is an error, not an empty folder
    if not path.is_dir():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() in PICTURES | VIDEOS and file.is_file():
            yield file


async def read_samples(
    files: Sequence[Path], settings: Settings, *, most: int
) -> tuple[list[Sample], list[str]]:
    """Return at most so many pictures, evenly spread over all files, and what was left out.

    Args:
        files: pictures and videos.
        settings: `imgsz` and the limits of videos matter.
        most: how many pictures.

    Raises:
        NoPictures: not one file could be read.
    """
    pictures = [file for file in files if _is_picture(file)]
    share = _share(most, len(pictures), len(files) - len(pictures))
    samples: list[Sample] = []
    problems: list[str] = []
    async with open_decoding_pool(settings, spares=0) as pool:
        for file in files:
            try:
                if _is_picture(file):
                    samples.append(await asyncio.to_thread(_read_picture, file, settings.imgsz))
                else:
                    samples += await _read_video(file, pool, most=share)
            except Unreadable as error:
                problems.append(str(error))
    if not samples:
        raise NoPictures(f"not one picture could be read: {problems[0]}")
    return spread(samples, most), problems


def _share(most: int, pictures: int, videos: int) -> int:
    """Return how many pictures one video gives: together what single pictures leave, and half at least."""
    return -(-max(most - pictures, most // 2) // max(videos, 1))


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in PICTURES


def _read_picture(file: Path, longest: int) -> Sample:
    data = np.frombuffer(file.read_bytes(), np.uint8)
    pixels: Any = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if pixels is None:
        raise Unreadable(f"{file}: not a picture")
    height, width = pixels.shape[:2]
    return Sample(file, encode_jpeg(shrink(preprocess(pixels), longest)), width, height)


async def _read_video(file: Path, pool: DecodingPool, *, most: int) -> list[Sample]:
    kept = Spread[Sample](most)
    job = Job(video_id="sample", attempt=1, path=str(file))
    try:
        async with pool.decode(job) as split:
            async for _, value, _ in split.frames():
                task = msgspec.json.decode(value, type=FrameSampled)
                kept.add(Sample(file, base64.b64decode(task.image), task.width, task.height))
            failed = split.outcome
    except DecoderCrashed as error:
        raise Unreadable(f"{file}: {error}") from error
    if isinstance(failed, Failure):
        raise Unreadable(f"{file}: {failed.message}")
    return kept.kept
