"""What graphs compute in: f32 whatever the processor prefers, or bf16 by choice where it knows that."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import openvino
import pytest

from app.cli.entry import run
from app.detection import graph
from app.detection.boxes import Boxes
from app.detection.detector import open_detector
from app.detection.export import Export, load_export
from app.detection.graph import Floats, GraphModel, Graphs, knows_bf16
from app.detection.wanted import Wanted
from app.detection.weights import find_weights
from app.domain.precision import Precision
from app.errors import EXIT_MISCONFIGURED, Misconfigured
from app.settings import Settings
from tests.detection.tiny_models import TaskOf, blobs

SettingsFor = Callable[[Path], Settings]

needs_bf16 = pytest.mark.skipif(not knows_bf16(), reason="this processor does not know bf16")


@pytest.fixture(autouse=True)
def _own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command of a test writes into the checkout."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("IMGSZ", "320")


@pytest.fixture
def without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that does not know bf16."""
    monkeypatch.setattr(graph, "knows_bf16", lambda: False)


def asked_for(settings: Settings, precision: Precision) -> Settings:
    return settings.model_copy(update={"detector_precision": precision})


async def exported(weights: Path, settings_for: SettingsFor) -> Export:
    settings = settings_for(weights)
    return await load_export(await find_weights(settings), settings)


def computes_in(export: Export, *floats: Floats) -> str:
    compiled = Graphs(export.graph, *floats).requests((320, 320)).get().get_compiled_model()
    told: openvino.Type = compiled.get_property("INFERENCE_PRECISION_HINT")
    return str(told.to_string())


async def test_a_graph_computes_in_f32_whatever_the_processor_prefers(
    tiny_model: Path, settings_for: SettingsFor
) -> None:
    assert computes_in(await exported(tiny_model, settings_for)) == "f32"


@needs_bf16
async def test_asked_for_bf16_a_graph_computes_in_it(tiny_model: Path, settings_for: SettingsFor) -> None:
    assert computes_in(await exported(tiny_model, settings_for), "bf16") == "bf16"


@needs_bf16
async def test_in_bf16_nearly_the_same_is_found(tiny_model: Path, settings_for: SettingsFor) -> None:
    export = await exported(tiny_model, settings_for)
    exact, rounded = GraphModel(export, 320), GraphModel(export, 320, "bf16")
    found: list[tuple[Boxes, Boxes]] = [
        (exact.detect_one(picture, Wanted(0.25)), rounded.detect_one(picture, Wanted(0.25)))
        for picture in (blobs(seed, 240, 320) for seed in range(8))
    ]
    assert any(one.scores.tolist() != other.scores.tolist() for one, other in found)
    counts = [sum(len(boxes.scores) for boxes in side) for side in zip(*found, strict=True)]
    assert counts[0] > 100
    assert counts[1] == pytest.approx(counts[0], rel=0.1)


@needs_bf16
async def test_asked_for_bf16_the_worker_runs_the_f32_export_so_and_says_it(
    tiny_model: Path, settings_for: SettingsFor, task_of: TaskOf
) -> None:
    async with open_detector(asked_for(settings_for(tiny_model), "bf16")) as opened:
        assert opened.facts.backend == "openvino bf16"
        assert (await opened.detect([task_of(1)]))[0].objects


@pytest.mark.usefixtures("without_bf16")
async def test_on_a_processor_without_bf16_the_worker_ends_with_one_line_and_never_runs_f32(
    tiny_model: Path, settings_for: SettingsFor
) -> None:
    said = r"DETECTOR_PRECISION=bf16 cannot be had for .*: this processor does not know bf16"
    with pytest.raises(Misconfigured, match=said):
        async with open_detector(asked_for(settings_for(tiny_model), "bf16")):
            pass


async def test_a_model_without_a_graph_is_not_run_in_f32_instead(
    segmentation_model: Path, settings_for: SettingsFor
) -> None:
    with pytest.raises(
        Misconfigured, match=r"bf16 cannot be had for .*: it is a model for the task 'segment'"
    ):
        async with open_detector(asked_for(settings_for(segmentation_model), "bf16")):
            pass


@needs_bf16
@pytest.mark.long
def test_the_comparison_needs_no_export_of_its_own(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import cv2  # noqa: PLC0415  # only here a picture is written

    cv2.imwrite(str(tmp_path / "one.png"), blobs(1, 240, 320))
    weights = Path(shutil.copy(tiny_model, tmp_path))
    monkeypatch.setenv("DETECTOR_PRECISION", "bf16")
    assert run(["model", "compare", str(tmp_path / "one.png"), "--model", str(weights)]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert said["bf16"] == said["f32"]
    assert re.match(r"bf16 is [\d.]+ times as fast", said["speed"])


@pytest.mark.usefixtures("without_bf16")
def test_what_cannot_be_compared_here_is_one_line(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import cv2  # noqa: PLC0415  # only here a picture is written

    cv2.imwrite(str(tmp_path / "one.png"), blobs(1, 240, 320))
    asked = ["model", "compare", str(tmp_path / "one.png"), "--model", str(tiny_model), "--precision", "bf16"]
    assert run(asked) == EXIT_MISCONFIGURED
    assert re.search(r"cannot be run in bf16: this processor does not know bf16\n$", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        pytest.param(True, "the f32 export can be run so", marks=needs_bf16),
        (False, "this processor does not know it"),
    ],
)
def test_info_says_whether_bf16_can_be_had(
    tiny_model: Path,
    *,
    known: bool,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(graph, "knows_bf16", lambda: known)
    assert run(["model", "info", str(tiny_model)]) == 0
    assert dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())["bf16"] == said
