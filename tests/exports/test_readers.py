"""Each form is read by the tool that it is made for, and says there what the result says."""

import io
import json
import zipfile
from pathlib import Path

import cv2
import motmetrics
import numpy as np
import pandas as pd
import pytest
import supervision
import yaml
from pyarrow import parquet
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from app.detection import checkpoint
from app.domain.messages import Detection, FrameResult
from app.exports.selection import Selection
from tests.exports.conftest import Export
from tests.support.made_results import HEIGHT, WIDTH, frames_of, undecodable

FRAMES = [*frames_of(20, objects=3), FrameResult(100, 4.0, []), undecodable(21)]
FOUND = [(frame, found) for frame in FRAMES for found in frame.objects]


async def test_pycocotools_loads_coco(export: Export, tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_bytes(await export("coco", FRAMES))
    coco = COCO(str(path))
    assert len(coco.getImgIds()) == 21, "also one without objects, and none that was not looked at"
    assert {each["name"] for each in coco.loadCats(coco.getCatIds())} == {"car", "person"}
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=[5], catIds=coco.getCatIds(catNms=["person"])))
    (wanted,) = [found for found in FRAMES[1].objects if found.class_ == "person"]
    left, top, right, bottom = wanted.box
    assert [each["bbox"] for each in annotations] == [[left, top, right - left, bottom - top]]
    assert [each["score"] for each in annotations] == [wanted.conf]
    assert coco.loadImgs([5])[0]["file_name"] == "00000005.jpg"
    assert len(coco.getAnnIds()) == len(FOUND)


async def test_pycocotools_scores_a_coco_result_against_itself_as_perfect(
    export: Export, tmp_path: Path
) -> None:
    path = tmp_path / "coco.json"
    path.write_bytes(await export("coco", FRAMES))
    truth = COCO(str(path))
    evaluation = COCOeval(truth, truth.loadRes(truth.dataset["annotations"]), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


async def labelled(export: Export, folder: Path, selection: Selection | None = None) -> Path:
    """Unpack the labels, and put a picture beside each."""
    with zipfile.ZipFile(io.BytesIO(await export("yolo", FRAMES, selection))) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    (folder / "images").mkdir()
    for label in (folder / "labels").glob("*.txt"):
        picture = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "images" / f"{label.stem}.jpg"), picture)
    return folder


async def test_ultralytics_loads_yolo(export: Export, tmp_path: Path) -> None:
    folder = await labelled(export, tmp_path)
    description = yaml.safe_load((folder / "data.yaml").read_text())
    (folder / "data.yaml").write_text(yaml.safe_dump(description | {"path": str(folder)}))
    # As the detector imports it: the way in which weights are loaded is settled then, for the whole process.
    checkpoint._import_safely()
    from ultralytics.data.dataset import YOLODataset  # noqa: PLC0415 - only after the line above
    from ultralytics.data.utils import check_det_dataset  # noqa: PLC0415 - only after the line above

    data = check_det_dataset(str(folder / "data.yaml"), autodownload=False)
    dataset = YOLODataset(img_path=str(folder / "images"), data=data, task="detect", augment=False)
    labels = {Path(each["im_file"]).stem: each for each in dataset.labels}
    assert len(labels) == 21
    for frame in FRAMES[:20]:
        label = labels[f"{frame.frame:08d}"]
        assert [data["names"][int(number)] for number in label["cls"][:, 0]] == [
            found.class_ for found in frame.objects
        ]
        x, y, w, h = (label["bboxes"] * [WIDTH, HEIGHT, WIDTH, HEIGHT]).T
        corners = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)
        assert corners == pytest.approx(np.array([found.box for found in frame.objects]), abs=0.01)


async def test_supervision_loads_yolo_with_the_classes_in_the_order_asked_for(
    export: Export, tmp_path: Path
) -> None:
    folder = await labelled(export, tmp_path, Selection(classes=["person", "car"]))
    dataset = supervision.DetectionDataset.from_yolo(
        images_directory_path=str(folder / "images"),
        annotations_directory_path=str(folder / "labels"),
        data_yaml_path=str(folder / "data.yaml"),
    )
    assert dataset.classes == ["person", "car"]
    found = {Path(name).stem: each for name, each in dataset.annotations.items()}
    assert found["00000005"].xyxy == pytest.approx(
        np.array([each.box for each in FRAMES[1].objects]), abs=0.01
    )
    assert len(found["00000100"]) == 0


# motmetrics 1.4 subtracts a tuple from two columns.
@pytest.mark.filterwarnings("ignore:Operation with tuple is deprecated")
async def test_motmetrics_loads_mot(export: Export, tmp_path: Path) -> None:
    path = tmp_path / "mot.txt"
    path.write_bytes(await export("mot", FRAMES, follow=True))
    frame = motmetrics.io.loadtxt(str(path), fmt="mot15-2D")
    assert set(frame.index.get_level_values("Id")) == {1, 2, 3}
    first = frame.loc[6]  # counted from 1: frame 5
    boxes = {tuple(row) for row in first[["X", "Y", "Width", "Height"]].to_numpy().tolist()}
    assert boxes == {
        (left, top, right - left, bottom - top)
        for left, top, right, bottom in (o.box for o in FRAMES[1].objects)
    }, "motmetrics counts pixels from 0 again"
    assert set(first["Confidence"]) == {found.conf for found in FRAMES[1].objects}


async def test_pandas_loads_parquet_csv_and_json_lines(export: Export) -> None:
    columns = ["frame", "time", "class", "conf", "left", "top", "right", "bottom"]
    wanted = pd.DataFrame(
        [(frame.frame, frame.time, found.class_, found.conf, *found.box) for frame, found in FOUND],
        columns=columns,
    )
    tables = {
        "parquet": pd.read_parquet(io.BytesIO(await export("parquet", FRAMES))),
        "csv": pd.read_csv(io.BytesIO(await export("csv", FRAMES))),
    }
    for found in tables.values():
        pd.testing.assert_frame_equal(found, wanted, check_dtype=False)
    lines = pd.read_json(io.BytesIO(await export("jsonl", FRAMES)), lines=True)
    assert lines["frame"].tolist() == [frame.frame for frame in FRAMES]


async def test_tracks_are_a_column_where_they_were_looked_for(export: Export) -> None:
    table = pd.read_parquet(io.BytesIO(await export("parquet", FRAMES, follow=True)))
    assert sorted(table["track"].dropna().unique()) == [1, 2, 3]
    text = (await export("csv", FRAMES, Selection(tracks=[2]), follow=True)).decode()
    assert {line.rpartition(",")[2] for line in text.splitlines()} == {"track", "2"}


async def test_parquet_says_which_video_and_model_it_is_of(export: Export) -> None:
    schema = parquet.read_schema(io.BytesIO(await export("parquet", FRAMES)))
    head = json.loads(schema.metadata[b"kadr"])
    assert (head["event_id"], head["model"]["name"]) == ("a", "demo.pt")


@pytest.mark.parametrize("kind", ["coco", "yolo", "mot", "vtt", "parquet", "csv", "json", "jsonl"])
async def test_a_video_in_which_nothing_was_found_is_a_good_file_too(export: Export, kind: str) -> None:
    data = await export(kind, [FrameResult(0, 0.0, [])])
    match kind:
        case "coco":
            assert json.loads(data)["categories"] == []
        case "yolo":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                assert archive.namelist() == ["labels/00000000.txt", "data.yaml"]
                assert yaml.safe_load(archive.read("data.yaml"))["names"] == {}
        case "parquet":
            assert len(pd.read_parquet(io.BytesIO(data))) == 0
        case "json":
            assert json.loads(data)["prediction"] == [{"frame": 0, "time": 0.0, "objects": []}]
        case "csv":
            assert data == b"frame,time,class,conf,left,top,right,bottom\r\n"
        case _:
            assert data in {b"", b"WEBVTT\n\n", b'{"frame":0,"time":0.0,"objects":[]}\n'}


async def test_a_class_may_have_any_name(export: Export) -> None:
    name = 'a: "b"\n- {c}'
    frames = [FrameResult(0, 0.0, [Detection(name, (0, 0, 10, 10), 0.5)])]
    with zipfile.ZipFile(io.BytesIO(await export("yolo", frames))) as archive:
        assert yaml.safe_load(archive.read("data.yaml"))["names"] == {0: name}
    assert pd.read_csv(io.BytesIO(await export("csv", frames)))["class"].tolist() == [name]
    assert b"-->" not in (await export("vtt", frames)).split(b"\n", 3)[3]
