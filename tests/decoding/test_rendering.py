"""Pictures and videos that are made of a video, by a child in its sandbox."""

import os
import resource
from collections.abc import AsyncIterator, Iterator
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec
import numpy as np
import pytest

from app.decoding import studio as studio_module
from app.decoding.drawing import color_of, draw, line_width
from app.decoding.encoding import tick_of
from app.decoding.labels import create_label
from app.decoding.process import create_limits
from app.decoding.reader import VideoReader
from app.decoding.rendering_orders import Anchor
from app.decoding.seeking import find_frame
from app.decoding.studio import Studio, open_studio
from app.domain.messages import Detection, FrameResult
from app.errors import Undecodable
from app.settings import Settings
from tests.support.clips import (
    Picture,
    cut,
    noise,
    turn,
    write_changing_size,
    write_clip,
    write_sound,
    write_with_sound,
)
from tests.support.examples import MODEL, facts

LIMITS = create_limits(Settings())
ROOM = 64 << 20
BOX = Detection(class_="circle", box=(40, 30, 100, 70), conf=0.91)


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    async with open_studio(Settings()) as opened:
        yield opened


def pictures(path: Path, stride: int = 1) -> Iterator[tuple[int, float, Picture]]:
    """Every frame the plain way: number, time, pixels."""
    with path.open("rb", buffering=0) as video:
        for sample in VideoReader(video, stride=stride, limits=LIMITS, skips=False).sampled():
            yield sample.number, sample.time, sample.picture().copy()


def decoded(path: Path) -> list[tuple[float, Picture]]:
    """What a player shows of a video: times and pixels."""
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]


def result(path: Path, *rows: FrameResult) -> Path:
    head = {"status": "ready", "event_id": "a", "video": facts(len(rows)), "model": MODEL}
    path.write_bytes(msgspec.json.encode({**head, "prediction": rows}))
    return path


def jpeg(data: bytes) -> Any:  # noqa: ANN401  # cv2 has no types
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def flat(number: int, width: int, height: int) -> Picture:
    """A picture of one colour."""
    colors = ((40, 220, 90), (200, 30, 30), (30, 30, 200), (128, 128, 128))
    return np.full((height, width, 3), colors[number], np.uint8)


def nothing(_frames: int) -> None:
    pass


CODECS = [
    ("clip.mp4", "libx264", 0),
    ("clip.mp4", "libx264", 3),
    ("clip.mkv", "libx264", 2),
    ("clip.ts", "libx264", 2),
    ("clip.webm", "libvpx-vp9", 0),
    ("clip.avi", "mpeg4", 2),
    ("clip.mov", "mjpeg", 0),
    ("clip.mp4", "libx265", 0),
    ("clip.gif", "gif", 0),
    ("clip.h264", "libx264", 0),
]


@pytest.mark.parametrize(("name", "codec", "b_frames"), CODECS)
def test_a_frame_is_bit_for_bit_the_one_that_decoding_everything_gives(
    tmp_path: Path, name: str, codec: str, b_frames: int
) -> None:
    path = write_clip(tmp_path / name, frames=300, codec=codec, b_frames=b_frames)
    plain = {number: (time, picture) for number, time, picture in pictures(path)}
    for number in (0, 3, 70, 127, 249, 251, 299):
        sampled = number - number % 5
        for anchor in (None, Anchor(sampled, plain[sampled][0])):
            with path.open("rb", buffering=0) as video:
                found = find_frame(video, number, anchor=anchor, limits=LIMITS, on_progress=nothing)
                assert (found.number, found.time) == (number, plain[number][0])
                assert np.array_equal(found.picture(), plain[number][1]), (number, anchor)


@pytest.mark.parametrize(("name", "b_frames"), [("clip.mp4", 3), ("clip.mkv", 0)])
def test_a_frame_far_into_a_video_is_found_without_decoding_all_before(
    tmp_path: Path, name: str, b_frames: int
) -> None:
    path = write_clip(tmp_path / name, frames=1200, b_frames=b_frames)
    times = [time for _, time, _ in pictures(path)]
    seen: list[int] = []
    with path.open("rb", buffering=0) as video:
        find_frame(video, 1103, anchor=Anchor(1100, times[1100]), limits=LIMITS, on_progress=seen.append)
    assert min(seen) >= 1100, "nothing before the anchor is counted"


def test_an_anchor_that_is_wrong_misleads_nobody(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=200)
    plain = {number: picture for number, _, picture in pictures(path)}
    for anchor in (Anchor(150, 5.9991), Anchor(150, 500.0)):
        with path.open("rb", buffering=0) as video:
            found = find_frame(video, 152, anchor=anchor, limits=LIMITS, on_progress=nothing)
            assert np.array_equal(found.picture(), plain[152])


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
async def test_a_frame_is_upright_and_has_the_size_of_the_source(
    studio: Studio, tmp_path: Path, degrees: int
) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=8, size=(320, 200))
    if degrees:
        turn(path, degrees)
    plain = next(picture for number, _, picture in pictures(path) if number == 6)
    picture = jpeg(await studio.frame(path, 6, anchor=None, objects=[]))
    assert picture.shape == plain.shape == ((200, 320, 3) if degrees in (0, 180) else (320, 200, 3))
    assert np.abs(picture.astype(int) - plain.astype(int)).mean() < 4


async def test_boxes_are_where_the_result_says(studio: Studio, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=8)
    bare = jpeg(await studio.frame(path, 5, anchor=None, objects=[]))
    drawn = jpeg(await studio.frame(path, 5, anchor=None, objects=[BOX]))
    assert_box(drawn, bare, BOX)


def assert_box(drawn: Picture, bare: Picture, found: Detection, *, within: int = 60) -> None:
    """The edges have the class's colour; a few pixels inside and outside nothing has changed."""
    left, top, right, bottom = found.box
    color = np.array(color_of(found.class_))
    middle, half = (left + right) // 2, (top + bottom) // 2
    for x, y in ((left, half), (right, half), (middle, bottom)):
        assert np.abs(drawn[y, x].astype(int) - color).max() <= within, (x, y)
    for x, y in ((left + 8, half), (right - 8, half), (middle, bottom - 8), (right + 8, half)):
        assert np.abs(drawn[y, x].astype(int) - bare[y, x].astype(int)).max() <= 25, (x, y)


def test_a_label_stays_within_the_picture_whatever_the_box() -> None:
    for box in ((0, 0, 5, 5), (155, 90, 159, 95), (-50, -50, 500, 500), (0, 95, 159, 95)):
        picture = np.full((96, 160, 3), 128, np.uint8)
        draw(picture, [Detection(class_="автомобиль" * 9, box=box, conf=1.0)])
        assert (picture != 128).any()
    assert line_width(96, 160) == 2
    assert line_width(2160, 3840) == 9


def test_classes_are_named_in_their_own_script_and_symbols_in_words() -> None:
    def label(name: str) -> bytes:
        picture = np.zeros((60, 400, 3), np.uint8)
        text = create_label(name, 2)
        text.write(picture, 0, 40, (255, 255, 255))
        inked = np.argwhere(picture.any(axis=2))
        assert text.width >= inked[:, 1].max() - 1
        assert text.above >= 40 - inked[:, 0].min() - 1
        assert text.below >= inked[:, 0].max() - 40
        return picture.tobytes()

    names = ["car", "кот", "猫", "ねこ", "고양이", "σκύλος", "قطة", "חתול", "café", "😀", "🚗"]
    drawn = {label(name) for name in names}
    unknown = {label("?" * count) for count in range(1, 12)}
    assert len(drawn) == len(names)
    assert not drawn & unknown
    assert label("🚗") == label("automobile")
    assert label("ไทย") == label("???"), "letters that the font lacks can at least be counted"
    assert label("a\n\u200db") == label("a?b")


async def test_a_frame_beyond_the_end_is_none(studio: Studio, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=8)
    with pytest.raises(Undecodable) as caught:
        await studio.frame(path, 8, anchor=None, objects=[])
    assert caught.value.code == "no_such_frame"


async def test_what_cannot_be_read_fails_with_the_codes_of_splitting(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.mp4").write_bytes(b"notes" * 1000)
    write_sound(tmp_path / "sound.mp4")
    cut(write_clip(tmp_path / "cut.mp4", frames=50), 0.4)
    codes = []
    for name in ("empty", "notes", "sound", "cut"):
        path = tmp_path / f"{name}.mp4"
        with pytest.raises(Undecodable) as caught:
            await studio.frame(path, 0, anchor=None, objects=[])
        codes.append(caught.value.code)
        with pytest.raises(Undecodable) as caught:
            await made(studio, path, tmp_path / "out.mp4", kind="preview")
        codes.append(caught.value.code)
    assert codes == [
        *("not_a_video", "not_a_video", "not_a_video", "not_a_video"),
        *("no_video_stream", "no_video_stream", "truncated", "truncated"),
    ]


async def made(
    studio: Studio,
    path: Path,
    target: Path,
    *,
    kind: Any = "annotated",  # noqa: ANN401  # a literal
    rows: list[FrameResult] | None = None,
    most: int = ROOM,
) -> Path:
    boxes = None if kind == "preview" else result(target.with_suffix(".json"), *(rows or []))
    await studio.video(path, kind, target=target, most=most, result=boxes, on_progress=nothing)
    return target


JUMPS = list(accumulate([7, 40, 33, 200, 1, 41, 500, 40, 3, 25] * 4))


@pytest.mark.parametrize(
    ("name", "times"), [("clip.mp4", None), ("clip.mkv", JUMPS), ("clip.ts", None), ("clip.mp4", JUMPS)]
)
async def test_a_video_keeps_every_frame_and_its_time(
    studio: Studio, tmp_path: Path, name: str, times: list[int] | None
) -> None:
    path = write_clip(tmp_path / name, frames=40, times=times, b_frames=2)
    plain = [time for _, time, _ in pictures(path)]
    made_of = decoded(await made(studio, path, tmp_path / "out.mp4"))
    assert [time for time, _ in made_of] == pytest.approx(plain, abs=1e-6)
    assert len(plain) == 40


async def test_boxes_stay_from_one_frame_that_was_looked_at_until_the_next(
    studio: Studio, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=15, size=(320, 240))
    first = Detection(class_="circle", box=(40, 60, 140, 160), conf=0.9)
    second = Detection(class_="square", box=(180, 80, 280, 180), conf=0.8)
    rows = [FrameResult(0, 0.0, [first]), FrameResult(5, 0.2, [second]), FrameResult(10, 0.4, [])]
    bare = decoded(await made(studio, path, tmp_path / "bare.mp4"))
    drawn = decoded(await made(studio, path, tmp_path / "drawn.mp4", rows=rows))
    for number in range(15):
        (_, without), (_, with_boxes) = bare[number], drawn[number]
        for box, shown_in in ((first, range(5)), (second, range(5, 10))):
            _, top, right, bottom = box.box
            edge = with_boxes[(top + bottom) // 2, right].astype(int)
            is_drawn = np.abs(edge - color_of(box.class_)).max() <= 60
            assert is_drawn == (number in shown_in), (number, box)
        assert np.abs(without.astype(int) - with_boxes.astype(int)).mean() < 30


async def test_a_rendering_is_what_browsers_play_and_begins_with_its_index(
    studio: Studio, tmp_path: Path
) -> None:
    path = write_with_sound(tmp_path / "clip.mp4")
    target = await made(studio, path, tmp_path / "out.mp4")
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(target)) as container:
        (stream,) = container.streams
        context = stream.codec_context
        assert (context.codec.name, context.pix_fmt, context.width, context.height) == (
            *("h264", "yuv420p"),
            *(160, 96),
        )


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1920, 1080), (1280, 720)), ((162, 98), (162, 98)), ((720, 2560), (360, 1280))],
)
async def test_a_preview_is_small(
    studio: Studio, tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    path = write_clip(tmp_path / "clip.mkv", frames=3, size=size, codec="mpeg4")
    target = await made(studio, path, tmp_path / "out.mp4", kind="preview")
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert (context.width, context.height) == expected


async def test_colours_stay_what_they_are(studio: Studio, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=4, size=(1280, 720), picture=flat)
    before = [picture for _, _, picture in pictures(path)]
    after = decoded(await made(studio, path, tmp_path / "out.mp4"))
    for plain, (_, picture) in zip(before, after, strict=True):
        means = plain.mean(axis=(0, 1)), picture.mean(axis=(0, 1))
        assert np.abs(means[0] - means[1]).max() < 5, "another matrix changes them by more than ten"


@pytest.mark.parametrize("size", [(161, 97), (101, 64)])
async def test_odd_sizes_are_made_even(studio: Studio, tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_clip(tmp_path / "clip.gif", frames=3, size=size, codec="gif")
    target = await made(studio, path, tmp_path / "out.mp4")
    height, width = decoded(target)[0][1].shape[:2]
    assert (width, height) == tuple(side + side % 2 for side in size)


async def test_frames_that_change_their_size_become_one_size(studio: Studio, tmp_path: Path) -> None:
    path = write_changing_size(tmp_path / "clip.ts", (160, 96), (96, 160), (320, 192))
    frames = decoded(await made(studio, path, tmp_path / "out.mp4"))
    assert {picture.shape for _, picture in frames} == {(96, 160, 3)}
    assert len(frames) == 30


async def test_damage_in_the_middle_costs_no_other_frame(studio: Studio, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", frames=120, size=(320, 240))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    path.write_bytes(data)
    plain = [time for _, time, _ in pictures(path)]
    made_of = decoded(await made(studio, path, tmp_path / "out.mp4"))
    assert [time for time, _ in made_of] == pytest.approx(plain, abs=1e-6)
    assert 30 < len(plain) <= 120, "what is behind the next key frame is whole"


async def test_a_rendering_that_gets_too_large_fails_and_says_so(studio: Studio, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=15, size=(640, 480), picture=noise)
    with pytest.raises(Undecodable) as caught:
        await made(studio, path, tmp_path / "out.mp4", most=1 << 20)
    assert caught.value.code == "rendering_too_large"
    assert (tmp_path / "out.mp4").stat().st_size <= 1 << 20


async def test_a_child_that_renders_may_do_no_more_than_one_that_splits(
    studio: Studio, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=200, size=(320, 240))
    seen: dict[str, object] = {}

    def look(_frames: int) -> None:
        (child,) = studio._busy
        process = Path(f"/proc/{child.pid}")
        seen["status"] = (process / "status").read_text()
        seen["protections"] = child.protections
        seen["limits"] = [
            resource.prlimit(child.pid, what)[1] for what in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)
        ]
        seen["files"] = len(list((process / "fd").iterdir()))
        seen["niceness"] = os.getpriority(os.PRIO_PROCESS, child.pid) - os.getpriority(os.PRIO_PROCESS, 0)

    boxes = result(tmp_path / "result.json")
    target = tmp_path / "out.mp4"
    await studio.video(path, "annotated", target=target, most=ROOM, result=boxes, on_progress=look)
    protections = seen["protections"]
    assert isinstance(protections, dict)
    assert not protections["no_new_privileges"]
    if not protections["seccomp"]:
        assert "Seccomp:\t2" in str(seen["status"])
    assert seen["limits"] == [ROOM, 16]
    # Three pipes, the one to the parent kept aside, three files, and the video once more for FFmpeg.
    assert seen["files"] == 8
    assert seen["niceness"] == studio_module.VIDEO_NICENESS
    assert not studio._busy


def test_times_are_counted_at_least_as_finely_as_in_the_source() -> None:
    for base in (
        Fraction(1, 25),
        Fraction(1001, 30000),
        Fraction(1, 90000),
        Fraction(1, 1000),
        Fraction(1, 2),
    ):
        assert (base / tick_of(base)).denominator == 1
    assert tick_of(Fraction(1, 1 << 30)) == Fraction(1, 90000)
