"""While a server is away each process says so once, and once that it is back; never thousands of times."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from app.local.processes import ROLES
from models.shapes import write_clip
from tests.support.pipeline import Pipeline

pytestmark = [pytest.mark.long, pytest.mark.servers, pytest.mark.timeout(240)]

NAMES = ("api", *ROLES)

AWAY = {"stopped": 12.0, "frozen": 7.0}
"""Seconds of an outage. Every process asks each of its servers every ten seconds at the latest."""

MOST_LINES = 20
MOST_WARNINGS = 10

CONCERNED = {"kafka": ROLES, "mongo": ("api", "outbox", "runner"), "s3": ("api",)}
"""Who asks a server without being asked: each of them has to notice that it was stopped."""

PEER = {"kafka": '"peer":"Kafka"', "mongo": '"peer":"Mongo', "s3": '"peer":"S3"'}

BACK_WITHIN = 90.0
"""Seconds until a server is started again on a busy machine, and everybody has noticed."""

OF_VIDEOS = (
    "video state changed",
    "event sent",
    "video accepted",
    "video is split",
    "frames looked at",
    "split parked",
    "result stored",
    "video is ready",
    "video was asked for again",
)
"""Lines that tell of videos and not of the world."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("logs") / "clip.mp4"
    write_clip(path, seed=23, frames=700, fps=25, size=(640, 360))
    return path


def logged(pipeline: Pipeline, sizes: Mapping[str, int]) -> dict[str, list[str]]:
    """Return the lines of each process since its log had this size, without those of videos."""
    found = {}
    for name in NAMES:
        with pipeline.stack.folder.log(name).open("rb") as log:
            log.seek(sizes[name])
            lines = log.read().decode(errors="replace").splitlines()
        found[name] = [line for line in lines if not any(text in line for text in OF_VIDEOS)]
    return found


def is_loud(line: str) -> bool:
    """Return whether a line is a warning or worse, or belongs to a traceback."""
    return '"level":"INFO"' not in line


def said(lines: Sequence[str], event: str, server: str) -> int:
    """Return how often a process has said something of a server."""
    return len([line for line in lines if f'"event":"{event}"' in line and PEER[server] in line])


@pytest.mark.parametrize(
    ("server", "how"),
    [
        pytest.param("kafka", "stopped", marks=pytest.mark.long),
        pytest.param("mongo", "stopped", marks=pytest.mark.long),
        ("s3", "stopped"),
        ("s3", "frozen"),
    ],
)
def test_each_process_says_once_that_a_server_is_away_and_once_that_it_is_back(
    pipeline: Pipeline, clip: Path, server: str, how: str
) -> None:
    stack = pipeline.stack
    video_ids = [pipeline.submit(clip) for _ in range(2)]
    pipeline.wait_until(lambda: (pipeline.record(video_ids[0]) or {}).get("split_frames", 0) > 0, seconds=30)
    sizes = {name: stack.folder.log(name).stat().st_size for name in NAMES}
    end = time.monotonic() + AWAY[how]
    (stack.stop_program if how == "stopped" else stack.freeze_program)(server)
    try:
        pipeline.wait_until(lambda: time.monotonic() > end)
    finally:
        (stack.start_program if how == "stopped" else stack.thaw_program)(server)

    def is_over() -> bool:
        lines = logged(pipeline, sizes)
        return all(
            said(each, "connection lost", server) == said(each, "connection made", server)
            for each in lines.values()
        )

    pipeline.wait_until(is_over, seconds=BACK_WITHIN, otherwise=lambda: str(logged(pipeline, sizes)))
    assert [pipeline.wait_for(video_id)["status"] for video_id in video_ids] == ["ready", "ready"]
    for name, lines in logged(pipeline, sizes).items():
        text = f"{name}:\n" + "\n".join(lines)
        assert len(lines) <= MOST_LINES, text
        assert len([line for line in lines if is_loud(line)]) <= MOST_WARNINGS, text
        assert said(lines, "connection lost", server) <= 1, text
        if how == "stopped" and name in CONCERNED[server]:
            assert said(lines, "connection lost", server) == 1, text
