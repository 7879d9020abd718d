"""`python -m tests.hostile.fuzz --minutes N --seed S`: damaged videos, each given to a real child.

Forty small videos in every container and codec that can be written here are changed at random: bits,
blocks, lengths, ends, two files in one. What may happen is that a video fails, with a code, or that its child
dies and nothing else. Whatever kills a child is kept in a folder. The same seed makes the same files.
"""

import argparse
import asyncio
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

import av

from app.decoding.process import open_decoding_pool
from app.settings import Settings
from tests.hostile.verdicts import HEAD, Verdict, judge, summarize
from tests.support.clips import data_folder, write_clip

Bytes = bytearray
Mutation = Callable[[random.Random, Bytes, bytes], None]

ENCODERS: Final = (
    ("mp4", "libx264"),
    ("mp4", "libx265"),
    ("mp4", "mpeg4"),
    ("mp4", "libsvtav1"),
    ("mov", "libx264"),
    ("mov", "prores_ks"),
    ("mov", "mjpeg"),
    ("mkv", "libx264"),
    ("mkv", "libx265"),
    ("mkv", "mpeg2video"),
    ("mkv", "msmpeg4v2"),
    ("mkv", "msmpeg4"),
    ("mkv", "libtheora"),
    ("webm", "libvpx"),
    ("webm", "libvpx-vp9"),
    ("avi", "mpeg4"),
    ("avi", "mjpeg"),
    ("avi", "msmpeg4"),
    ("avi", "libx264"),
    ("ts", "libx264"),
    ("ts", "libx265"),
    ("ts", "mpeg2video"),
    ("mpg", "mpeg1video"),
    ("mpg", "mpeg2video"),
    ("ogv", "libtheora"),
    ("ogv", "libvpx"),
    ("flv", "libx264"),
    ("gif", "gif"),
    ("h264", "libx264"),
    ("hevc", "libx265"),
)
"""Containers and encoders; what this build of FFmpeg cannot write is left out."""

SEEDS: Final = 40
LARGEST: Final = 120_000
"""Bytes of a file that is a seed: small ones are decoded fast, and damage hits their headers often."""

INTERESTING: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Numbers at which lengths and counts go wrong."""

SETTINGS: Final = Settings(
    decoder_stall=timedelta(seconds=5),
    decoder_wall=timedelta(seconds=60),
    decoder_cpu_least=timedelta(seconds=20),
    decoder_memory=512 << 20,
    max_frames=20_000,
)
"""Tighter than the defaults: a limit that is reached late would only take time."""


def write_seeds(folder: Path) -> list[Path]:
    """Write the videos that are changed; return them in a fixed order."""
    found = []
    for number, (suffix, encoder) in enumerate(ENCODERS):
        path = folder / f"{number:02}-{encoder}.{suffix}"
        with suppress(av.FFmpegError, ValueError):  # this build has no such encoder, or not for it
            found.append(write_clip(path, frames=12, size=(96, 64), codec=encoder, b_frames=number % 3))
    data = data_folder()
    if data is not None:
        real = sorted((data / "edge").iterdir(), key=lambda each: (each.stat().st_size, each.name))
        found += [each for each in real if each.stat().st_size < LARGEST][: SEEDS - len(found)]
    return found


def flip_bits(chance: random.Random, data: Bytes, _other: bytes) -> None:
    for _ in range(chance.randint(1, 16)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def flip_bits_at_the_beginning(chance: random.Random, data: Bytes, _other: bytes) -> None:
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(min(len(data), 1024))] ^= 1 << chance.randrange(8)


def overwrite_block(chance: random.Random, data: Bytes, other: bytes) -> None:
    size = chance.randint(1, 256)
    start, source = chance.randrange(len(data)), chance.randrange(len(other))
    block = other[source : source + size]
    data[start : start + len(block)] = block


def repeat_block(chance: random.Random, data: Bytes, _other: bytes) -> None:
    start = chance.randrange(len(data))
    block = data[start : start + chance.randint(1, 512)]
    at = chance.randrange(len(data))
    data[at:at] = block * chance.randint(1, 20)


def remove_block(chance: random.Random, data: Bytes, _other: bytes) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.randint(1, 512)]


def fill_block(chance: random.Random, data: Bytes, _other: bytes) -> None:
    start = chance.randrange(len(data))
    size = min(chance.randint(1, 256), len(data) - start)
    data[start : start + size] = bytes([chance.choice((0, 0xFF, chance.randrange(256)))]) * size


def cut_off(chance: random.Random, data: Bytes, _other: bytes) -> None:
    del data[chance.randrange(len(data)) :]


def splice(chance: random.Random, data: Bytes, other: bytes) -> None:
    data[chance.randrange(len(data)) :] = other[chance.randrange(len(other)) :]


def change_length(chance: random.Random, data: Bytes, _other: bytes) -> None:
    """Put a number at which lengths go wrong where one may be: of 2, 4 or 8 bytes, in either order."""
    size = chance.choice((2, 4, 4, 4, 8))
    value = (chance.choice(INTERESTING) + chance.randint(-1, 1)) % (1 << 8 * size)
    start = chance.randrange(len(data))
    data[start : start + size] = value.to_bytes(size, chance.choice(("big", "little")))


MUTATIONS: Final[tuple[Mutation, ...]] = (
    flip_bits,
    flip_bits_at_the_beginning,
    overwrite_block,
    repeat_block,
    remove_block,
    fill_block,
    cut_off,
    splice,
    change_length,
    change_length,
)


def mutate(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return one of the seeds with a few changes."""
    data, other = bytearray(chance.choice(seeds)), chance.choice(seeds)
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        if data:
            chance.choice(MUTATIONS)(chance, data, other)
    return bytes(data)


def mutants(seed: int, seeds: Sequence[bytes]) -> Iterator[bytes]:
    """Yield changed files for ever, the same ones for the same seed."""
    for number in range(sys.maxsize):
        yield mutate(random.Random(f"{seed}/{number}"), seeds)  # noqa: S311  (to be repeated, not to be secret)


def keep(folder: Path, name: str, data: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


async def fuzz(*, seconds: float, seed: int, kept: Path, at_once: int = 2) -> list[Verdict]:
    """Give changed files to children until the time is over; keep in a folder what killed one."""
    end = time.monotonic() + seconds
    found: list[Verdict] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        seeds = [path.read_bytes() for path in write_seeds(folder)]
        files = enumerate(mutants(seed, seeds))
        async with open_decoding_pool(SETTINGS, spares=at_once) as pool:

            async def work() -> None:
                while time.monotonic() < end:
                    number, data = next(files)
                    path = folder / f"seed-{seed}-{number}"
                    path.write_bytes(data)
                    verdict = await judge(pool, path)
                    found.append(verdict)
                    if verdict.death:
                        keep(kept, path.name, data)
                    path.unlink()

            await asyncio.gather(*(work() for _ in range(at_once)))
    return found


def report(verdicts: Sequence[Verdict], *, seed: int, seconds: float, kept: Path) -> str:
    """Return what came of it, as a table and the deaths, each kind once."""
    deaths = Counter(f"{each.outcome}: {each.death}" for each in verdicts if each.death)
    lines = [HEAD, summarize(f"fuzz, seed {seed}, {seconds / 60:.1f} min", verdicts), ""]
    lines += [f"* {count} of {what}" for what, count in deaths.most_common()]
    lines += [f"What killed a child is in {kept}."] if deaths else ["No child died."]
    return "\n".join(lines)


def main() -> None:
    """Fuzz for a while and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="file that the table is written to, too")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "kadr-fuzz")
    parser.add_argument("--at-once", type=int, default=2, help="children at a time")
    given = parser.parse_args()
    seconds = given.minutes * 60
    verdicts = asyncio.run(fuzz(seconds=seconds, seed=given.seed, kept=given.keep, at_once=given.at_once))
    text = report(verdicts, seed=given.seed, seconds=seconds, kept=given.keep)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    text += f"\nLargest child of all: {children} MiB. Worker deaths: 0 (this process is the worker)."
    print(text)  # noqa: T201  (a command's output)
    if given.report is not None:
        given.report.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
