"""Results of any length, as the pipeline writes them."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from app.domain.documents import ready_document
from app.domain.messages import Detection, Failure, FrameResult, VideoFacts
from app.domain.result_rows import RESULT
from app.domain.results import Found, Row, Tracker
from tests.support.examples import MODEL

FPS = 25.0
STRIDE = 5
WIDTH, HEIGHT = 1920, 1080

TWO_HOURS = 36_000
"""Frames that are looked at in two hours at these rates."""


def video_of(frames: int) -> VideoFacts:
    """Facts of a video of which so many frames were looked at."""
    total = frames * STRIDE
    return VideoFacts(WIDTH, HEIGHT, FPS, total / FPS, total, frames)


def moving(index: int, count: int) -> list[Detection]:
    """Cars and persons that drive from left to right, each in a lane of its own."""
    return [
        Detection(
            class_="person" if lane % 3 == 2 else "car",
            box=(
                left := (index * 8 + lane * 37) % (WIDTH - 120),
                top := lane * 45 % 1000,
                left + 100,
                top + 40,
            ),
            conf=round(0.95 - (index + lane) % 20 / 100, 4),
        )
        for lane in range(count)
    ]


def frames_of(count: int, *, objects: int = 2) -> list[FrameResult]:
    """Frames in which the same things move on."""
    return [FrameResult(n * STRIDE, n * STRIDE / FPS, moving(n, objects)) for n in range(count)]


def undecodable(index: int) -> FrameResult:
    """A frame that could not be looked at."""
    return FrameResult(index * STRIDE, None, [], Failure("undecodable", "No picture."))


async def made_result(
    video_id: str, frames: int, *, objects: int = 2, given: Sequence[FrameResult] | None = None
) -> AsyncIterator[bytes]:
    """Yield a result of so many frames, or of these, a thousand of them at a time."""

    async def rows() -> AsyncIterator[list[bytes]]:
        for start in range(0, frames, 1000):
            numbers = range(start, min(start + 1000, frames))
            some = (
                given[start : start + 1000]
                if given is not None
                else [FrameResult(n * STRIDE, n * STRIDE / FPS, moving(n, objects)) for n in numbers]
            )
            yield [msgspec.json.encode(each) for each in some]

    async for piece in ready_document(
        video_id, video=video_of(frames), model=MODEL, options=None, rows=rows()
    ):
        yield piece


async def made_tracked(video_id: str, frames: int, *, objects: int = 2) -> AsyncIterator[bytes]:
    """Yield the same result as if it had been followed: each lane is a track."""
    made = made_result(video_id, 0)
    head = (await anext(made)).partition(RESULT.opening)[0]
    yield head + b'"tracker":' + msgspec.json.encode(Tracker("2.0", FPS / STRIDE)) + b"," + RESULT.opening
    for start in range(0, frames, 1000):
        rows = [_followed(n, objects) for n in range(start, min(start + 1000, frames))]
        yield (b"," if start else b"") + msgspec.json.encode(rows)[1:-1]
    yield b"]}"


def _followed(index: int, count: int) -> Row:
    found = [
        Found(each.class_, each.box, each.conf, lane) for lane, each in enumerate(moving(index, count), 1)
    ]
    return Row(index * STRIDE, index * STRIDE / FPS, found)


async def result_of(given: Sequence[FrameResult], *, video_id: str = "a") -> bytes:
    """Return a result with these frames."""
    made = made_result(video_id, len(given), given=given)
    return b"".join([piece async for piece in made])
