"""INT8 by choice: exported by a command, found by the worker, and never taken for f32."""

import asyncio
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from app.cli.entry import run
from app.detection import detector
from app.detection.detector import open_detector
from app.detection.export import find_exports
from app.detection.frames import ParallelDetector
from app.detection.installed import Here
from app.detection.weights import find_weights
from app.errors import EXIT_MISCONFIGURED, Misconfigured
from app.settings import Settings
from tests.detection.tiny_models import TaskOf, blobs

pytestmark = pytest.mark.long

SettingsFor = Callable[[Path], Settings]

COMMAND = "kadr model export --precision int8 --calibrate FOLDER"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled pictures, as a data set of Ultralytics has them."""
    root = tmp_path_factory.mktemp("set")
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for seed in range(6):
        cv2.imwrite(str(root / "images" / f"{seed}.png"), blobs(seed, 240, 320))
        (root / "labels" / f"{seed}.txt").write_text("0 0.5 0.5 0.3 0.3\n2 0.2 0.2 0.1 0.1\n")
    return root / "images"


@pytest.fixture(scope="module")
def quantized(tiny_model: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights with an f32 and an INT8 export beside them."""
    weights = Path(shutil.copy(tiny_model, tmp_path_factory.mktemp("quantized")))
    assert export_int8(weights, pictures) == 0
    return weights


@pytest.fixture
def foreign(quantized: Path, tmp_path: Path) -> Path:
    """The same weights under another name, with an export of other versions."""
    (made,) = quantized.parent.glob("*f32-dynamic*")
    name = re.sub("ultralytics.*", "ultralytics1-openvino1.openvino", made.name)
    shutil.copytree(made, tmp_path / "models" / name)
    return Path(shutil.copy(quantized, tmp_path / "models" / "renamed.pt"))


@pytest.fixture(autouse=True)
def _own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command of a test writes into the checkout."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


def export_int8(weights: Path, pictures: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMGSZ", "320")
        patch.setenv("DATA_DIR", str(weights.parent / "data"))
        return run(["model", "export", str(weights), "--precision", "int8", "--calibrate", str(pictures)])


def in_int8(settings: Settings) -> Settings:
    return settings.model_copy(update={"detector_precision": "int8"})


async def test_asked_for_int8_the_worker_runs_it_and_says_so(
    quantized: Path, settings_for: SettingsFor, task_of: TaskOf
) -> None:
    tasks = [task_of(number) for number in range(4)]
    async with open_detector(in_int8(settings_for(quantized))) as opened:
        assert opened.facts.backend == "openvino int8"
        assert isinstance(opened, ParallelDetector)
        found = await opened.detect(tasks)
    async with open_detector(settings_for(quantized)) as opened:
        assert opened.facts.backend == "openvino f32"
        exact = await opened.detect(tasks)
    assert found != exact
    assert 0.5 < sum(len(one.objects) for one in found) / sum(len(one.objects) for one in exact) < 2


async def test_asked_for_int8_without_an_export_the_worker_names_the_command(
    tiny_model: Path, tmp_path: Path, settings_for: SettingsFor
) -> None:
    weights = Path(shutil.copy(tiny_model, tmp_path))
    with pytest.raises(Misconfigured, match=re.escape(f"has no INT8 export: run `{COMMAND}`")):
        async with open_detector(in_int8(settings_for(weights))):
            pass
    assert find_exports(await find_weights(settings_for(weights)), settings_for(weights), "f32") == []


def test_an_int8_export_says_how_it_was_made_and_is_made_once(
    quantized: Path, pictures: Path, settings_for: SettingsFor, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(quantized)
    (found,) = find_exports(asyncio.run(find_weights(settings)), settings, "int8")
    assert (found.facts.precision, found.facts.calibrated_on) == ("int8", 6)
    assert found.made_by.keys() == {"ultralytics", "openvino", "nncf"}
    assert found.folder.parent == quantized.parent
    made = found.graph.stat().st_mtime_ns
    capsys.readouterr()
    assert export_int8(quantized, pictures) == 0
    assert capsys.readouterr().out == f"{found.folder}\n"
    assert found.graph.stat().st_mtime_ns == made


@pytest.mark.timeout(300)
def test_the_comparison_tells_boxes_time_and_agreement_with_labels(
    quantized: Path, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGSZ", "320")
    assert run(["model", "compare", str(pictures), "--model", str(quantized)]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert re.fullmatch(r"6, in which f32 finds \d+ boxes", said["pictures"])
    assert re.fullmatch(
        r"int8 is [\d.]+ times as fast \(.* in 5 rounds; [\d.]+ in processor time\)", said["speed"]
    )
    assert {"matched", "lost", "new", "confidence"} <= said.keys()
    assert re.fullmatch(r"f32 [01]\.\d{4}, int8 [01]\.\d{4} \(6 labelled pictures\)", said["mAP50"])


async def test_without_torch_an_export_that_others_made_is_run(
    foreign: Path,
    settings_for: SettingsFor,
    monkeypatch: pytest.MonkeyPatch,
    task_of: TaskOf,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(detector, "look_around", lambda: Here(has_gpu=False, versions={"openvino": "2"}))
    async with open_detector(settings_for(foreign)) as opened:
        assert opened.facts.backend == "openvino f32"
        assert (await opened.detect([task_of(1)]))[0].objects
    assert "the export was made by other versions than are installed" in caplog.messages


def test_info_says_what_runs_here_and_changes_nothing(
    quantized: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(quantized.parent.iterdir())
    assert run(["model", "info", str(quantized)]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert said["weights"] == str(quantized)
    assert said["classes"] == "3: circle, square, triangle"
    assert said["runs"] == "on    openvino f32, because there is no GPU"
    assert "calibrated on 6 pictures" in said["int8"]
    assert "torch" in said["installed"]
    assert sorted(quantized.parent.iterdir()) == before


def test_info_says_of_a_model_with_another_head_that_its_boxes_are_used(
    segmentation_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = Path(shutil.copy(segmentation_model, tmp_path))
    assert run(["model", "info", str(weights)]) == 0
    said = capsys.readouterr().out
    assert "segment: of what it finds, the boxes are used" in said
    assert "ultralytics cpu f32, because it is a model for the task 'segment'" in said
    assert run(["model", "export", str(weights)]) == EXIT_MISCONFIGURED


def test_info_ends_as_a_worker_would(
    foreign: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETECTOR_PRECISION", "int8")
    assert run(["model", "info", str(foreign)]) == EXIT_MISCONFIGURED
    said = capsys.readouterr()
    assert "nothing: see below" in said.out
    assert COMMAND in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["export", "--precision", "int8"], 2, "needs --calibrate"),
        (["export", "--precision", "f32", "--calibrate", "x"], 2, "is for --precision int8"),
        (["export", "--precision", "bf16", "--calibrate", "x"], 2, "is for --precision int8"),
        (["export", "--precision", "int4"], 2, "int4"),
        (["compare", "x", "--precision", "f32"], 2, "is what the others are compared with"),
        (
            ["export", "--precision", "int8", "--calibrate", "/nowhere/at/all"],
            74,
            "/nowhere/at/all: No such file",
        ),
        (["compare", "/nowhere/at/all"], 74, "/nowhere/at/all: No such file"),
        (["info", "/nowhere/at.pt"], 78, "do not exist"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["model", *arguments]) == code
    notes = capsys.readouterr().err
    assert re.fullmatch(r"kadr: .+\n", notes)
    assert said in notes
