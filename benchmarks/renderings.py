"""`python -m benchmarks.renderings`: what a video with its boxes costs, beside bare decoding and encoding.

Bare is the least that anybody can do with these libraries: decode every frame with FFmpeg in one thread, and
encode it as it is, by the same encoder with the same options in one thread. Kadr's child does that, turns
pictures into BGR and back, draws what was found, and may use a second thread. Times are processor time, which
others on the machine disturb least, and of the wall; each is the median of some turns, taken one after the
other.
"""

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import av
import msgspec

from app.decoding.encoding import OPTIONS
from app.decoding.studio import open_studio
from app.domain.messages import Detection, FrameResult, ModelFacts, VideoFacts
from app.domain.renderings import RenderingKind
from app.settings import Settings
from models.shapes import write_clip

SIZES: Final = {"1080p": (1920, 1080), "4K": (3840, 2160)}

FPS: Final = 25
STRIDE: Final = 5

OBJECTS: Final = 8
"""That are drawn into each frame."""

ROOM: Final = 4 << 30
"""Bytes that a rendering may have."""


class Spent(NamedTuple):
    """Seconds: of all processors, and of the wall."""

    processor: float
    wall: float


def main() -> None:
    """Print a line for each size and kind of rendering."""
    asked = _parse()
    print(f"{asked.frames} frames, median of {asked.turns} turns; ms of processor time a frame (wall)")
    print(f"{'':6} {'bare':>16} {'annotated':>16} {'ratio':>6} {'preview':>16} {'ratio':>6}")
    with tempfile.TemporaryDirectory(prefix="kadr-renderings-") as root:
        for name, size in SIZES.items():
            print(_line(name, _measure(Path(root), size, asked), asked.frames), flush=True)


def _measure(root: Path, size: tuple[int, int], asked: argparse.Namespace) -> dict[str, Spent]:
    clip, result, target = root / "clip.mp4", root / "result.json", root / "out.mp4"
    write_clip(clip, seed=1, frames=asked.frames, fps=FPS, size=size, objects=OBJECTS)
    result.write_bytes(_result(asked.frames, size))
    ways: dict[str, Callable[[], None]] = {
        "bare": lambda: _transcode(clip, target),
        "annotated": lambda: asyncio.run(_render(clip, "annotated", target, result)),
        "preview": lambda: asyncio.run(_render(clip, "preview", target, None)),
    }
    spent: dict[str, list[Spent]] = {name: [] for name in ways}
    for _ in range(asked.turns):
        for name, do in ways.items():
            spent[name].append(_time(do))
            target.unlink()
    return {
        name: Spent(median(each.processor for each in some), median(each.wall for each in some))
        for name, some in spent.items()
    }


def _line(name: str, spent: dict[str, Spent], frames: int) -> str:
    def said(way: str) -> str:
        each = spent[way]
        return f"{1000 * each.processor / frames:7.1f} ({1000 * each.wall / frames:6.1f})"

    def ratio(way: str) -> str:
        return f"{spent[way].processor / spent['bare'].processor:6.2f}"

    cells = [f"{said(way):>16} {ratio(way)}" for way in ("annotated", "preview")]
    return f"{name:6} {said('bare'):>16} {' '.join(cells)}"


def _time(do: Callable[[], None]) -> Spent:
    before, began = _processor_time(), time.monotonic()
    do()
    return Spent(_processor_time() - before, time.monotonic() - began)


def _processor_time() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _transcode(source: Path, target: Path) -> None:
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        video = read.streams.video[0]
        video.codec_context.thread_type, video.codec_context.thread_count = "NONE", 1
        stream = written.add_stream("libx264", rate=FPS, options=OPTIONS)
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in read.decode(video):
            written.mux(stream.encode(frame))
        written.mux(stream.encode(None))


async def _render(source: Path, kind: RenderingKind, target: Path, result: Path | None) -> None:
    async with open_studio(Settings()) as studio:
        await studio.video(
            source, kind, target=target, most=ROOM, result=result, on_progress=lambda _frames: None
        )


def _result(frames: int, size: tuple[int, int]) -> bytes:
    width, height = size
    sampled = range(0, frames, STRIDE)
    facts = VideoFacts(width, height, FPS, frames / FPS, frames, len(sampled))
    step = width // OBJECTS
    found = [
        Detection("car", (step * lane, height // 4, step * lane + step // 2, height // 2), 0.87)
        for lane in range(OBJECTS)
    ]
    rows = [FrameResult(number, number / FPS, found) for number in sampled]
    head = {"status": "ready", "event_id": "a", "video": facts, "model": ModelFacts("none", "0" * 64, "none")}
    return msgspec.json.encode({**head, "prediction": rows})


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.renderings", description=__doc__)
    parser.add_argument("--frames", type=int, default=100, help="of each clip")
    parser.add_argument("--turns", type=int, default=3, help="of each way")
    return parser.parse_args()


if __name__ == "__main__":
    main()
