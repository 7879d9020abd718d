"""What is read out of a video: which frames, how they look, when they are, and why not."""

import gc
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from app.decoding.container import choose_stream, create_clock, open_container
from app.decoding.picture import Picture
from app.decoding.process import create_limits
from app.decoding.protocol import Limits
from app.decoding.reader import VideoReader
from app.decoding.survey import Survey
from app.domain.messages import VideoFacts
from app.errors import Undecodable
from app.settings import Settings
from tests.hostile.crafted import alias, with_reference
from tests.support.clips import (
    count_frames,
    cut,
    noise,
    paint,
    real_videos,
    turn,
    write_changing_size,
    write_clip,
    write_sound,
)

LIMITS = create_limits(Settings())

LATE_STREAM = Path(__file__).parents[1] / "data/late_stream.flv"
"""A damaged clip, in which a stream begins behind where FFmpeg has looked for streams."""

TS_PACKET = 188
VIDEO_PID = 256
"""Size of a transport stream's packets, and which of them FFmpeg gives to the first stream."""


@dataclass
class Seen:
    """What a reader gave."""

    numbers: list[int]
    times: list[float]
    sizes: list[tuple[int, int]]
    pictures: list[Picture]
    facts: VideoFacts


def read(
    path: Path,
    *,
    start_index: int = 0,
    only: list[int] | None = None,
    limits: Limits = LIMITS,
    skips: bool = True,
    stride: int = 5,
) -> Seen:
    samples, pictures = [], []
    with path.open("rb", buffering=0) as video:
        reader = VideoReader(video, stride=stride, limits=limits, skips=skips)
        for sample in reader.sampled(start_index, only):
            samples.append(sample)
            pictures.append(sample.picture())
        facts = reader.facts
    return Seen(
        [sample.number for sample in samples],
        [sample.time for sample in samples],
        [(sample.width, sample.height) for sample in samples],
        pictures,
        facts,
    )


def same(some: list[Picture], others: list[Picture]) -> bool:
    return len(some) == len(others) and all(map(np.array_equal, some, others))


def count_skipped(path: Path, *, stride: int) -> int:
    with path.open("rb", buffering=0) as video, open_container(video, LIMITS) as container:
        stream = choose_stream(container, LIMITS)
        survey = Survey(stride, create_clock(container, stream), stream.codec_context, LIMITS)
        return sum(is_skipped for _, is_skipped in survey.plan(container.demux(stream)))


def refusal(path: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises(Undecodable) as caught:
        read(path, limits=limits)
    return caught.value.code


def outcome(path: Path) -> str:
    try:
        return f"{read(path).facts.frames} frames"
    except Undecodable as error:
        return error.code


def count_frames_if_any(path: Path) -> int:
    with suppress(av.FFmpegError, IndexError):
        return count_frames(path)
    return 0


def test_every_fifth_frame_is_read_from_frame_0(tmp_path: Path) -> None:
    seen = read(write_clip(tmp_path / "clip.mp4", frames=32))
    assert seen.numbers == [0, 5, 10, 15, 20, 25, 30]
    assert seen.times == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2]
    assert seen.facts == VideoFacts(160, 96, 25.0, 1.28, 32, 7)


def test_a_picture_is_the_frame_with_its_number(tmp_path: Path) -> None:
    seen = read(write_clip(tmp_path / "clip.mp4", b_frames=2))
    for number, picture in zip(seen.numbers, seen.pictures, strict=True):
        assert np.abs(picture.astype(int) - paint(number, 160, 96)).mean() < 12


@pytest.mark.parametrize("b_frames", [0, 1, 2, 3])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_skipping_pictures_changes_nothing(tmp_path: Path, b_frames: int, suffix: str) -> None:
    clip = write_clip(tmp_path / f"clip.{suffix}", frames=67, b_frames=b_frames)
    skipping, full = read(clip), read(clip, skips=False)
    assert same(skipping.pictures, full.pictures)
    assert (skipping.numbers, skipping.times, skipping.facts) == (full.numbers, full.times, full.facts)
    assert full.facts.frames == count_frames(clip) == 67


def test_pictures_that_nothing_refers_to_are_skipped(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=60, b_frames=2)
    assert 25 < count_skipped(clip, stride=5) < 40
    assert count_skipped(clip, stride=1) == 0


@pytest.mark.parametrize("codec", ["libvpx", "mpeg4", "libx265", "mpeg2video"])
def test_codecs_without_a_proof_are_decoded_in_full(tmp_path: Path, codec: str) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=12, codec=codec)
    assert count_skipped(clip, stride=5) == 0
    assert read(clip).facts.frames == 12


@pytest.mark.parametrize("damage", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_damage_in_the_middle_costs_no_other_frame(tmp_path: Path, damage: float, b_frames: int) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=100, b_frames=b_frames, size=(320, 240), picture=noise)
    data = bytearray(clip.read_bytes())
    start = int(len(data) * damage)
    data[start : start + 300] = bytes(300)
    clip.write_bytes(data)
    skipping, full = read(clip), read(clip, skips=False)
    assert skipping.numbers == full.numbers
    assert full.facts.frames == count_frames(clip) > 20


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("start_index", [1, 4, 12, 13])
def test_reading_on_gives_the_frames_that_were_left(tmp_path: Path, start_index: int, *, skips: bool) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=64, b_frames=2)
    whole, rest = read(clip), read(clip, start_index=start_index, skips=skips)
    assert rest.numbers == whole.numbers[start_index:]
    assert rest.times == whole.times[start_index:]
    assert same(rest.pictures, whole.pictures[start_index:])
    assert rest.facts == whole.facts


@pytest.mark.parametrize("skips", [True, False])
def test_only_the_missing_frames_are_read_again(tmp_path: Path, *, skips: bool) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=64, b_frames=2)
    whole, some = read(clip), read(clip, only=[45, 5, 20], skips=skips)
    assert some.numbers == [5, 20, 45]
    assert same(some.pictures, [whole.pictures[index] for index in (1, 4, 9)])


@pytest.mark.parametrize("skips", [True, False])
def test_the_first_frame_alone_can_be_read_again(tmp_path: Path, *, skips: bool) -> None:
    some = read(write_clip(tmp_path / "clip.mp4", frames=64, b_frames=2), only=[0], skips=skips)
    assert (some.numbers, some.facts.frames, some.facts.sampled) == ([0], 1, 1)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_video_is_read_as_a_player_shows_it(tmp_path: Path, degrees: int) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    upright = read(clip).pictures[0]
    turned = read(turn(clip, degrees))  # the same bytes: x264 does not always write the same ones twice
    names = {90: "clock", 180: None, 270: "cclock"}
    expected = _transpose(upright, names[degrees])
    assert np.array_equal(turned.pictures[0], expected)
    assert turned.sizes[0] == (expected.shape[1], expected.shape[0])
    assert (turned.facts.width, turned.facts.height) == turned.sizes[0]


def _transpose(picture: Picture, direction: str | None) -> Picture:
    """Turn a picture with FFmpeg's own filters, those that its command line adds for such a file."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=picture.shape[1], height=picture.shape[0], format="bgr24", time_base="1/25"
    )
    steps = [graph.add("transpose", direction)] if direction else [graph.add("hflip"), graph.add("vflip")]
    graph.link_nodes(source, *steps, graph.add("buffersink")).configure()
    graph.push(av.VideoFrame.from_ndarray(picture, format="bgr24"))
    turned: Picture = graph.pull().to_ndarray()
    return turned


def test_times_are_the_containers_where_the_rate_varies(tmp_path: Path) -> None:
    times = [0, 10, 50, 60, 500, 510, 700, 1900, 1950, 2000, 2500, 2600]
    seen = read(write_clip(tmp_path / "clip.mkv", times=times))
    assert seen.times == [0.0, 0.51, 2.5]


def test_frames_may_change_their_size_on_the_way(tmp_path: Path) -> None:
    clip = write_changing_size(tmp_path / "clip.ts", (160, 96), (96, 64), (200, 120))
    seen = read(clip)
    assert count_frames(clip) == seen.facts.frames == 30
    assert seen.sizes == [(160, 96)] * 2 + [(96, 64)] * 2 + [(200, 120)] * 2
    assert [picture.shape[1::-1] for picture in seen.pictures] == seen.sizes


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi"])
def test_a_file_that_breaks_off_gives_what_it_holds_and_says_so(tmp_path: Path, suffix: str) -> None:
    clip = cut(write_clip(tmp_path / f"clip.{suffix}", frames=200, size=(320, 240)), 0.6)
    if suffix == "ts":  # a cut between two pictures would be an end like any other
        _tear(clip)
    facts = read(clip).facts
    assert facts.frames == count_frames(clip)
    assert 60 < facts.frames < 190, facts
    assert facts.truncated
    assert facts.truncated_at == facts.duration


@pytest.mark.parametrize("surplus", [0, 94])
def test_a_transport_stream_may_break_off_within_a_picture(tmp_path: Path, surplus: int) -> None:
    """At the end of a packet, as most do that a recorder did not finish, and in the middle of one."""
    clip = cut(write_clip(tmp_path / "clip.ts", frames=200, size=(320, 240)), 0.6)
    whole = clip.read_bytes()
    starts = range(0, len(whole) - TS_PACKET, TS_PACKET)
    within = [
        at for at in starts if _video(whole, at) == "begins" and _video(whole, at + TS_PACKET) == "goes on"
    ]
    assert len(within) > 50
    for at in within[-20:]:
        clip.write_bytes(whole[: at + TS_PACKET + surplus])
        assert read(clip).facts.truncated, at


def _video(stream: bytes, packet: int) -> str:
    """Say what a packet of a transport stream has to do with its pictures (ISO/IEC 13818-1, 2.4.3.2)."""
    flags_and_identifier = int.from_bytes(stream[packet + 1 : packet + 3], "big")
    if flags_and_identifier & 0x1FFF != VIDEO_PID:
        return "nothing"
    return "begins" if flags_and_identifier & 0x4000 else "goes on"


def _tear(stream: Path) -> None:
    """Take half a packet off a transport stream."""
    data = stream.read_bytes()
    stream.write_bytes(data[: len(data) // TS_PACKET * TS_PACKET - TS_PACKET // 2])


def test_an_avi_may_break_off_anywhere(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.avi", frames=50, size=(320, 240)).read_bytes()
    clip = tmp_path / "clip.avi"
    start = len(whole) // 2
    unseen = []
    for end in range(start, start + 1200, 5):  # some chunks with their headers
        clip.write_bytes(whole[:end])
        if not read(clip).facts.truncated:
            unseen.append(end)
    assert unseen == []


def test_a_whole_file_is_not_called_truncated(tmp_path: Path) -> None:
    for name in ("clip.mp4", "clip.mkv", "clip.avi", "clip.ts", "clip.flv"):
        assert not read(write_clip(tmp_path / name, frames=50)).facts.truncated


def test_a_stream_that_begins_late_is_let_pass() -> None:
    reading = read(LATE_STREAM)
    assert (reading.facts.sampled, reading.facts.truncated) == (2, True)


def test_what_is_no_video_is_refused_with_its_reason(tmp_path: Path) -> None:
    empty, text, picture = (tmp_path / name for name in ("empty.mp4", "text.mp4", "picture.mp4"))
    empty.touch()
    text.write_text("#EXTM3U\n#EXTINF:1\nfile:///etc/passwd\n" * 50)
    assert cv2.imwrite(str(tmp_path / "picture.png"), paint(0, 64, 64))
    (tmp_path / "picture.png").rename(picture)
    assert [refusal(path) for path in (empty, text, picture)] == ["not_a_video"] * 3
    assert refusal(write_sound(tmp_path / "sound.mp4")) == "no_video_stream"
    assert refusal(write_clip(tmp_path / "clip.mkv", codec="ffv1")) == "unsupported_codec"


def test_a_list_of_other_files_is_not_followed(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4")
    playlist = tmp_path / "list.mp4"
    playlist.write_text("ffconcat version 1.0\nfile 'clip.mp4'\n")
    assert refusal(playlist) == "not_a_video"


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("too_many_pixels", replace(LIMITS, pixels=160 * 96 - 1)),
        ("too_many_frames", replace(LIMITS, frames=31)),
        ("too_long", replace(LIMITS, seconds=1.2)),
    ],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_more_than_the_limits_allow_is_refused(
    tmp_path: Path, name: str, limits: Limits, suffix: str
) -> None:
    clip = write_clip(tmp_path / f"clip.{suffix}", frames=32)
    assert refusal(clip, limits) == name
    exact = replace(LIMITS, pixels=160 * 96, frames=32, seconds=1.5)
    assert read(clip, limits=exact).facts.frames == 32


def test_progress_is_told_for_every_packet(tmp_path: Path) -> None:
    told: list[int] = []
    clip = write_clip(tmp_path / "clip.mp4", frames=32)
    with clip.open("rb", buffering=0) as video:
        reader = VideoReader(video, stride=5, limits=LIMITS, on_progress=told.append)
        assert len(list(reader.sampled())) == 7
    assert len(told) > 32
    assert told[-1] == 32


@pytest.mark.parametrize("path", real_videos("videos", "edge"))
def test_a_real_video_is_read_whole_and_skipping_changes_nothing(path: Path) -> None:
    frames = count_frames(path)
    skipping, full = read(path), read(path, skips=False)
    assert full.facts.frames == frames
    assert len(full.pictures) == full.facts.sampled == -(-frames // 5)
    assert same(skipping.pictures, full.pictures)
    assert (skipping.numbers, skipping.times, skipping.facts) == (full.numbers, full.times, full.facts)
    assert full.times == sorted(full.times)


@pytest.mark.parametrize("path", real_videos("corrupt"))
def test_a_damaged_real_video_is_read_or_refused_with_its_reason(path: Path) -> None:
    reasons = {"not_a_video", "no_video_stream", "unsupported_codec", "encrypted", "no_frames"}
    assert outcome(path) in reasons | {f"{count_frames_if_any(path)} frames"}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch's objects, where a test before this had it
def test_the_pixels_of_a_frame_go_with_it_and_do_not_wait_for_the_collector(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=60)
    most = seen = 0
    gc.collect()
    gc.disable()
    try:
        with path.open("rb", buffering=0) as video:
            reader = VideoReader(video, stride=1, limits=LIMITS)
            for _sample in reader.sampled():
                seen += 1
                most = max(most, sum(isinstance(each, av.VideoFrame) for each in gc.get_objects()))
    finally:
        gc.enable()
    assert seen == 60
    assert most <= 3


def test_a_track_that_lies_in_another_file_is_not_followed(tmp_path: Path) -> None:
    """Here without the sandbox: FFmpeg itself has to leave the other file alone."""
    whole = write_clip(tmp_path / "whole.mov", frames=10)
    clip = tmp_path / "clip.mov"
    clip.write_bytes(with_reference(whole.read_bytes(), alias(str(whole))))
    assert outcome(whole) == "10 frames"
    assert outcome(clip) == "no_frames"
