"""Pictures and videos become what the pipeline would make of them, and no more than were asked for."""

from pathlib import Path

import cv2
import pytest

from app.cli.labels import WrongLabels, find_labels, read_labels
from app.cli.samples import NoPictures, Spread, list_files, read_samples, spread
from app.decoding.picture import encode_jpeg, preprocess, shrink
from app.settings import Settings
from tests.support.clips import paint, write_clip

SETTINGS = Settings(imgsz=64)


def picture(path: Path, number: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), paint(number, 160, 120))
    return path


async def test_a_picture_is_prepared_as_a_frame_of_the_pipeline(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    (sample,), problems = await read_samples([file], SETTINGS, most=9)
    assert sample.jpeg == encode_jpeg(shrink(preprocess(paint(0, 160, 120)), 64))
    assert (sample.width, sample.height, problems) == (160, 120, [])


async def test_a_video_gives_its_sampled_frames_evenly(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=100)
    samples, _ = await read_samples([clip], SETTINGS, most=4)
    assert len(samples) == 4
    assert len({sample.jpeg for sample in samples}) == 4
    everything, _ = await read_samples([clip], SETTINGS, most=99)
    assert len(everything) == 20
    assert samples == [everything[0], everything[4], everything[12], everything[16]]


async def test_a_broken_file_is_left_out_with_its_reason(tmp_path: Path) -> None:
    good = picture(tmp_path / "good.png")
    for name in ("bad.jpg", "bad.mp4"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
    samples, problems = await read_samples(list_files([tmp_path]), SETTINGS, most=9)
    assert [sample.file for sample in samples] == [good]
    assert len(problems) == 2
    with pytest.raises(NoPictures, match=r"bad\.jpg: not a picture"):
        await read_samples([tmp_path / "bad.jpg"], SETTINGS, most=9)


def test_a_folder_gives_its_pictures_and_videos_in_order(tmp_path: Path) -> None:
    for name in ("b.jpg", "sub/c.MP4", "a.mp4", "labels.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    named = tmp_path / "labels.txt"
    found = [file.relative_to(tmp_path).as_posix() for file in list_files([tmp_path, named])]
    assert found == ["a.mp4", "b.jpg", "sub/c.MP4", "labels.txt"]


def test_an_empty_folder_and_a_missing_path_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NoPictures, match="no pictures and no videos in"):
        list_files([tmp_path])
    with pytest.raises(FileNotFoundError):
        list_files([tmp_path / "nothing"])


@pytest.mark.parametrize("seen", [0, 1, 7, 8, 9, 100, 1000])
def test_what_is_kept_is_bounded_and_spread_over_all(seen: int) -> None:
    kept = Spread[int](8)
    for number in range(seen):
        kept.add(number)
    assert len(kept.kept) == min(seen, 8)
    gaps = [after - before for before, after in zip(kept.kept, kept.kept[1:], strict=False)]
    assert max(gaps, default=1) <= 2 * max(min(gaps, default=1), 1)


def test_few_things_are_all_kept() -> None:
    assert spread([1, 2], 5) == [1, 2]


def test_labels_are_found_where_ultralytics_looks(tmp_path: Path) -> None:
    file = picture(tmp_path / "images" / "val" / "a.jpg")
    labels = tmp_path / "labels" / "val" / "a.txt"
    assert find_labels(file) is None
    labels.parent.mkdir(parents=True)
    labels.write_text("1 0.5 0.5 0.5 1.0\n")
    assert find_labels(file) == labels
    assert find_labels(tmp_path / "a.jpg") is None
    found = read_labels(labels, width=160, height=120, classes=2)
    assert (found.boxes, found.classes) == ([[40.0, 0.0, 120.0, 120.0]], [1])


@pytest.mark.parametrize("line", ["1 0.5 0.5 0.5", "cat 0.5 0.5 0.5 0.5", "2 0.5 0.5 0.5 0.5"])
def test_labels_of_another_kind_or_of_other_classes_are_refused_with_their_line(
    tmp_path: Path, line: str
) -> None:
    file = tmp_path / "a.txt"
    file.write_text(f"0 0.5 0.5 1 1\n{line}\n")
    with pytest.raises(WrongLabels, match=r"a\.txt:2: "):
        read_labels(file, width=10, height=10, classes=2)
