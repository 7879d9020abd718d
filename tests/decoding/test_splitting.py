"""How far a child runs ahead of its parent, and what it hands over together."""

import os
import resource
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Event

import pytest
from msgspec.structs import replace

from app.decoding import splitting as splitting_module
from app.decoding.process import create_limits
from app.decoding.protocol import HEADER, TAKEN, TAKEN_AT_ONCE, WINDOW, Job, Kind, Order, read_header
from app.decoding.splitting import Splitter
from app.domain.messages import Options, VideoFacts
from app.settings import Settings
from tests.support.clips import grey, write_clip

LIMITS = replace(create_limits(Settings()), pixels=1 << 20, frames=1000, seconds=100)


def frames_in(output: BytesIO) -> int:
    data, position, frames = output.getvalue(), 0, 0
    while position < len(data):
        kind, _, key, value = read_header(data[position : position + HEADER.size])
        frames += kind in (Kind.FRAME, Kind.HELD)
        position += HEADER.size + key + value
    return frames


def settled(output: BytesIO, frames: int) -> int:
    """Wait for so many frames, then a little longer; return how many there are."""
    end = time.monotonic() + 20
    while frames_in(output) < frames and time.monotonic() < end:
        time.sleep(0.01)
    Event().wait(0.2)
    return frames_in(output)


class Output(BytesIO):
    """Keeps what is written, and how many frames there were each time that they were handed over."""

    def __init__(self) -> None:
        super().__init__()
        self.handed_over: list[int] = []

    def flush(self) -> None:
        self.handed_over.append(frames_in(self))


@pytest.fixture(autouse=True)
def processor_time() -> Iterator[None]:
    """A splitter bounds the processor time of its process: here ours, and that of all we start later."""
    before = resource.getrlimit(resource.RLIMIT_CPU)
    yield
    resource.setrlimit(resource.RLIMIT_CPU, before)


@contextmanager
def splitting(path: Path) -> Iterator[tuple[int, Output, Future[VideoFacts]]]:
    """Split a video in a thread; give where to say what was taken, and what was written."""
    reading, writing = os.pipe()
    output = Output()
    order = Order(Job("v", 1, str(path), Options(vid_stride=1)), 640, LIMITS)
    with (
        path.open("rb", buffering=0) as video,
        os.fdopen(reading, "rb") as taken,
        ThreadPoolExecutor(1) as threads,
    ):
        split = threads.submit(Splitter(order, video, taken, output).split)
        try:
            yield writing, output, split
        finally:
            os.close(writing)


def test_a_child_waits_when_it_is_a_window_ahead(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "many.mp4", frames=100, picture=grey)
    with splitting(path) as (taken, output, split):
        assert settled(output, WINDOW) == WINDOW
        os.write(taken, TAKEN)
        assert settled(output, WINDOW + TAKEN_AT_ONCE) == WINDOW + TAKEN_AT_ONCE
        os.write(taken, 2 * TAKEN)
        assert settled(output, WINDOW + 3 * TAKEN_AT_ONCE) == WINDOW + 3 * TAKEN_AT_ONCE
        assert not split.done()
    assert split.result().frames == 100, "a parent that is gone is waited for no longer"
    assert frames_in(output) == 100


@pytest.mark.parametrize(
    ("hold", "handed_over"),
    [(60.0, [0, 1, 2, 4, 7, 11, 16]), (0.0, list(range(17)))],
    ids=["in time", "too slow to wait for others"],
)
def test_the_first_frame_is_handed_over_alone_and_then_more_and_more_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hold: float, handed_over: list[int]
) -> None:
    monkeypatch.setattr(splitting_module, "HOLD_SECONDS", hold)
    path = write_clip(tmp_path / "many.mp4", frames=50, picture=grey)
    with splitting(path) as (taken, output, _):
        assert settled(output, WINDOW) == WINDOW
        assert output.handed_over == handed_over
        os.write(taken, 9 * TAKEN)
