"""The children that a benchmark measures in, and the videos that it draws."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import av
import msgspec
import pytest
from av.video.frame import PictureType

from app.errors import Misconfigured
from benchmarks.child import Answer, Order
from benchmarks.videos import collect, write_full_hd
from tests.support.clips import write_clip

CHECKOUT = Path(__file__).parents[2]


def test_a_child_does_its_job_each_time_it_is_told_to_and_says_what_it_took(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=32, b_frames=2)
    orders = [Order(str(clip), 160, 96)] * 20 + [Order(str(clip), 160, 96, frames=3)]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.child", "decode", "."],
        input=b"".join(msgspec.json.encode(order) + b"\n" for order in orders),
        stdout=subprocess.PIPE,
        cwd=CHECKOUT,
        check=True,
    )
    ready, *answers = [msgspec.json.decode(line, type=Answer) for line in done.stdout.splitlines()]
    assert ready.frames == 0
    assert [answer.frames for answer in answers] == [7] * 20 + [3]
    for answer in answers:
        assert began < answer.began < answer.ended < time.monotonic()
    # Of all together: where the kernel counts in ticks, one that falls between two of them took nothing.
    assert sum(answer.cpu for answer in answers) > 0


def test_the_same_video_is_drawn_each_time_and_half_of_its_pictures_can_be_skipped(tmp_path: Path) -> None:
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    for path in (one, two):
        write_full_hd(path, frames=16, size=(320, 180))
    assert one.read_bytes() == two.read_bytes()
    with av.open(str(one)) as container:
        kinds = Counter(PictureType(frame.pict_type) for frame in container.decode(video=0))
    assert kinds.total() == 16
    assert kinds[PictureType.B] >= 8


def test_a_file_is_a_video_too(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "mine.mp4", frames=12)
    (video,) = collect([str(clip)], tmp_path)
    assert (video.name, video.facts.frames, video.facts.is_drawn) == ("mine", 12, False)


def test_a_video_that_is_not_there_is_refused_with_the_names_of_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="1080p"):
        collect(["nowhere.mp4"], tmp_path)
