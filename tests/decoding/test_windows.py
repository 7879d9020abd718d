"""A part of a video is exactly that part of the whole, whatever was decoded for it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from app.decoding import reader as reader_module
from app.decoding.entry import find_entry
from app.decoding.picture import Picture
from app.decoding.process import create_limits
from app.decoding.reader import VideoReader
from app.domain.messages import VideoFacts
from app.domain.sampling import Window
from app.errors import Undecodable
from app.settings import Settings
from tests.support.clips import count_frames, cut, noise, real_videos, write_clip

LIMITS = create_limits(Settings())

WINDOWS = [Window(0, 0.5), Window(0.48, 1.2), Window(1.0, 1.04), Window(1.61), Window(2.2, 9), Window(0, 9)]
"""Of a clip of 2.68 seconds: its beginning, its middle, one frame, its end, and more than there is."""


@dataclass
class Part:
    """What a reader gave of a window."""

    numbers: list[int]
    times: list[float]
    pictures: list[Picture]
    facts: VideoFacts | None
    decoded: int


def read(
    path: Path,
    window: Window,
    *,
    stride: int = 5,
    start_index: int = 0,
    only: list[int] | None = None,
    skips: bool = True,
) -> Part:
    told: list[int] = []
    part = Part([], [], [], None, 0)
    with path.open("rb", buffering=0) as video:
        reader = VideoReader(
            video, stride=stride, limits=LIMITS, window=window, on_progress=told.append, skips=skips
        )
        for sample in reader.sampled(start_index, only):
            part.numbers.append(sample.number)
            part.times.append(sample.time)
            part.pictures.append(sample.picture())
            assert sample.index * stride == sample.number
        part.facts = None if only else reader.facts
    part.decoded = max(told, default=0)
    return part


def within(whole: Part, window: Window) -> list[int]:
    return [place for place, time in enumerate(whole.times) if window.holds(time)]


def assert_is_part(part: Part, whole: Part, window: Window) -> None:
    places = within(whole, window)
    assert part.numbers == [whole.numbers[place] for place in places]
    assert part.times == [whole.times[place] for place in places]
    pictures = [whole.pictures[place] for place in places]
    assert all(map(np.array_equal, part.pictures, pictures))


def refusal(path: Path, window: Window, *, stride: int = 5) -> tuple[str, str]:
    with pytest.raises(Undecodable) as caught:
        read(path, window, stride=stride)
    return caught.value.code, caught.value.reason


@pytest.mark.parametrize("stride", [1, 5, 7])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "flv", "ts", "avi", "h264"])
def test_a_window_is_a_part_of_the_whole(tmp_path: Path, suffix: str, b_frames: int, stride: int) -> None:
    clip = write_clip(tmp_path / f"clip.{suffix}", frames=67, b_frames=b_frames, key_every=12)
    whole = read(clip, Window(), stride=stride)
    for window in WINDOWS:
        if not within(whole, window):
            assert refusal(clip, window, stride=stride)[0] == "empty_window"
            continue
        part, plain = read(clip, window, stride=stride), read(clip, window, stride=stride, skips=False)
        assert_is_part(part, whole, window)
        assert_is_part(plain, whole, window)
        assert part.facts == plain.facts


@pytest.mark.parametrize("codec", ["libx265", "mpeg4", "mjpeg", "libvpx"])
def test_codecs_without_a_proof_give_the_same_part(tmp_path: Path, codec: str) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=40, codec=codec, size=(96, 64))
    whole = read(clip, Window(), stride=1)
    for window in (Window(0.3, 0.9), Window(1.2)):
        assert_is_part(read(clip, window, stride=1), whole, window)


def test_the_facts_say_how_far_the_video_was_read_and_where_the_window_begins(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=67, b_frames=2)
    assert read(clip, Window(0.5, 1.5)).facts == VideoFacts(160, 96, 25.0, 1.44, 36, 5, first_frame=15)
    assert read(clip, Window(0.5)).facts == VideoFacts(160, 96, 25.0, 2.68, 67, 11, first_frame=15)
    assert read(clip, Window(0, 1.5)).facts == VideoFacts(160, 96, 25.0, 1.44, 36, 8)
    assert read(clip, Window()).facts == VideoFacts(160, 96, 25.0, 2.68, 67, 14)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "flv"])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("stride", [1, 5])
def test_what_lies_before_the_last_entry_is_not_decoded(
    tmp_path: Path, suffix: str, b_frames: int, stride: int
) -> None:
    clip = write_clip(tmp_path / f"clip.{suffix}", frames=200, b_frames=b_frames, key_every=20)
    with clip.open("rb", buffering=0) as video:
        entry = find_entry(video, 6.5, LIMITS, lambda: None)
    assert entry is not None
    assert entry.number == 160
    fed: list[int] = []
    original = VideoReader._see

    def note(self: VideoReader, frame: object, number: int, clock: object) -> float:
        fed.append(number)
        return original(self, frame, number, clock)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VideoReader, "_see", note)
        part = read(clip, Window(6.5, 7), stride=stride)
    assert part.numbers == [number for number in range(163, 175) if number % stride == 0]
    assert min(fed) == 160, "the pictures before were never decoded"
    assert max(fed) <= 177, "nor those behind"


@pytest.mark.parametrize("codec", ["libx265", "mpeg4"])
def test_what_lies_behind_the_end_is_not_decoded_whatever_the_codec(tmp_path: Path, codec: str) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=120, codec=codec)
    assert read(clip, Window(0, 1)).decoded <= 26


def test_an_entry_lies_at_the_windows_beginning_at_the_latest(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=60, key_every=10)
    found = {}
    for start in (0.0, 0.39, 0.4, 0.41, 0.8, 99.0):
        with clip.open("rb", buffering=0) as video:
            entry = find_entry(video, start, LIMITS, lambda: None)
        found[start] = entry.number if entry else 0
    assert found == {0.0: 0, 0.39: 0, 0.4: 10, 0.41: 10, 0.8: 20, 99.0: 50}


def test_a_container_that_cannot_be_wound_is_decoded_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=67, key_every=12)
    whole = read(clip, Window())
    with clip.open("rb", buffering=0) as video:
        entry = find_entry(video, 2.0, LIMITS, lambda: None)
    assert entry is not None
    monkeypatch.setattr(reader_module, "find_entry", lambda *_: entry._replace(size=entry.size + 1))
    assert_is_part(read(clip, Window(2.0, 2.5)), whole, Window(2.0, 2.5))


@pytest.mark.parametrize("damage", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_damage_loses_no_frame_of_a_window(tmp_path: Path, damage: float, b_frames: int) -> None:
    clip = write_clip(
        tmp_path / "clip.mp4", frames=100, b_frames=b_frames, key_every=10, size=(320, 240), picture=noise
    )
    data = bytearray(clip.read_bytes())
    start = int(len(data) * damage)
    data[start : start + 300] = bytes(300)
    clip.write_bytes(data)
    part, plain = read(clip, Window(1, 3)), read(clip, Window(1, 3), skips=False)
    assert part.times == plain.times
    assert part.numbers == plain.numbers
    assert part.facts == plain.facts


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("start_index", [0, 1, 4, 5, 9])
def test_reading_on_within_a_window_gives_what_was_left(
    tmp_path: Path, start_index: int, *, skips: bool
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=67, b_frames=2, key_every=12)
    window = Window(0.9, 2.3)
    whole = read(clip, window)
    rest = read(clip, window, start_index=start_index, skips=skips)
    assert rest.numbers == whole.numbers[start_index:]
    assert rest.facts == whole.facts
    assert all(map(np.array_equal, rest.pictures, whole.pictures[start_index:]))


@pytest.mark.parametrize("skips", [True, False])
def test_only_the_missing_frames_of_a_window_are_read_again(tmp_path: Path, *, skips: bool) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=67, b_frames=2, key_every=12)
    whole = read(clip, Window(0.9, 2.3))
    some = read(clip, Window(0.9, 2.3), only=[50, 25, 40], skips=skips)
    assert some.numbers == [25, 40, 50]
    assert all(map(np.array_equal, some.pictures, [whole.pictures[place] for place in (0, 3, 5)]))


def test_a_window_without_a_frame_says_where_the_video_ends(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=50)
    code, reason = refusal(clip, Window(2))
    assert code == "empty_window"
    assert reason.endswith("The video ends at 2.000 seconds.")
    assert refusal(clip, Window(0.01, 0.19))[1].endswith("One in 5 is looked at.")


def test_a_file_that_breaks_off_before_its_window_says_so(tmp_path: Path) -> None:
    clip = cut(write_clip(tmp_path / "clip.mkv", frames=200, size=(320, 240)), 0.5)
    code, reason = refusal(clip, Window(7.5))
    assert code == "empty_window"
    assert "The file breaks off at " in reason


def test_a_file_that_breaks_off_within_its_window_is_truncated_and_behind_it_is_not(tmp_path: Path) -> None:
    clip = cut(write_clip(tmp_path / "clip.mkv", frames=200, size=(320, 240), key_every=20), 0.6)
    frames = count_frames(clip)
    end = read(clip, Window(1)).facts
    assert end is not None
    assert (end.truncated, end.frames) == (True, frames)
    before = read(clip, Window(1, 2)).facts
    assert before is not None
    assert not before.truncated


@pytest.mark.parametrize(
    ("window", "expected"),
    [(Window(), 14), (Window(0, 1), 5), (Window(1), 9), (Window(1, 2), 5), (Window(9), 0)],
)
def test_the_expected_frames_are_those_of_the_window(tmp_path: Path, window: Window, expected: int) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=67)
    with clip.open("rb", buffering=0) as video:
        reader = VideoReader(video, stride=5, limits=LIMITS, window=window)
        for _ in reader.sampled():
            break
        assert reader.expected == expected
        seen = len(list(reader.sampled()))
    assert seen == expected


@pytest.mark.parametrize("path", real_videos("videos", "edge"))
def test_a_window_of_a_real_video_is_a_part_of_it(path: Path) -> None:
    whole = read(path, Window())
    assert whole.facts is not None
    last = whole.times[-1]
    for window in (Window(last * 0.6, last * 0.7), Window(last * 0.9)):
        if not within(whole, window):
            continue
        part, plain = read(path, window), read(path, window, skips=False)
        assert_is_part(part, whole, window)
        assert part.facts == plain.facts
