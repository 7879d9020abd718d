"""A model is exported once, safely, whole, and where it can be kept."""

import asyncio
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app.detection import child, export
from app.detection.detector import open_detector
from app.detection.export import folder_name, load_export
from app.detection.facts import GraphFacts, Outcome
from app.detection.frames import BatchDetector
from app.detection.weights import Weights, find_weights
from app.errors import Misconfigured
from app.settings import Settings
from tests.detection.tiny_models import TaskOf

SettingsFor = Callable[[Path], Settings]


@pytest.fixture
def own_copy(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model in a folder of this test, where it was never exported."""
    folder = tmp_path / "models"
    folder.mkdir()
    return Path(shutil.copy(tiny_model, folder))


class _Canary:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self._path,))


def damage(weights: Path) -> None:
    """Overwrite the pickle of a checkpoint; the archive around it stays whole."""
    data = bytearray(weights.read_bytes())
    start = data.index(b"PK\x03\x04")
    data[start + 100 : start + 2000] = bytes(1900)
    weights.write_bytes(data)


async def test_an_export_is_made_once_and_then_found(
    own_copy: Path, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(own_copy)
    weights = await find_weights(settings)
    made = await load_export(weights, settings)

    async def refuse(*_: object, **__: object) -> Outcome:
        raise AssertionError

    monkeypatch.setattr(export, "run_child", refuse)
    assert await load_export(weights, settings) == made
    assert made.folder.parent == own_copy.parent
    assert weights.sha256[:16] in made.folder.name
    assert made.facts.names == ["circle", "square", "triangle"]
    assert (made.facts.stride, made.facts.end2end) == (32, False)


async def test_exporters_at_the_same_time_leave_one_whole_export_and_nothing_else(
    own_copy: Path, settings_for: SettingsFor
) -> None:
    settings = settings_for(own_copy)
    weights = await find_weights(settings)
    one, other = await asyncio.gather(load_export(weights, settings), load_export(weights, settings))
    assert one == other
    assert one.graph.is_file()
    assert sorted(path.name for path in own_copy.parent.iterdir()) == sorted(
        [own_copy.name, folder_name(weights)]
    )


async def test_beside_weights_in_a_read_only_folder_nothing_is_written(
    own_copy: Path, settings_for: SettingsFor
) -> None:
    own_copy.parent.chmod(0o555)
    settings = settings_for(own_copy)
    made = await load_export(await find_weights(settings), settings)
    own_copy.parent.chmod(0o755)
    assert made.folder.parent == settings.data_dir / "models"
    assert list(own_copy.parent.iterdir()) == [own_copy]


async def test_weights_that_run_code_when_loaded_are_refused_and_run_nothing(
    tmp_path: Path, settings_for: SettingsFor
) -> None:
    path, canary = tmp_path / "evil.pt", tmp_path / "canary"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"model": _Canary(canary)}, protocol=2))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    pickle.loads(pickle.dumps(_Canary(tmp_path / "proof")))  # noqa: S301  # shows that the trap works
    assert (tmp_path / "proof").exists()
    with pytest.raises(Misconfigured, match=r"evil\.pt cannot be loaded") as refused:
        async with open_detector(settings_for(path)):
            pass
    assert not canary.exists()
    assert "\n" not in str(refused.value)


async def test_damaged_weights_stop_the_worker_with_one_line(
    own_copy: Path, settings_for: SettingsFor
) -> None:
    damage(own_copy)
    with pytest.raises(Misconfigured, match=r"tiny\.pt cannot be loaded") as refused:
        async with open_detector(settings_for(own_copy)):
            pass
    assert "\n" not in str(refused.value)
    assert list(own_copy.parent.iterdir()) == [own_copy]


async def test_a_model_that_finds_no_objects_is_refused(
    classification_model: Path, settings_for: SettingsFor
) -> None:
    with pytest.raises(Misconfigured, match="for the task 'classify' and find no objects"):
        async with open_detector(settings_for(classification_model)):
            pass


async def test_an_unknown_name_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"MODEL=nonsense\.pt is neither a file nor a model that Ultra"):
        await find_weights(Settings(model="nonsense.pt", data_dir=tmp_path))


async def test_a_child_that_dies_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Misconfigured, match="ended with status 1: it said nothing"):
        await child.run_child("export", "model.pt", tmp_path, data_dir=tmp_path)


async def test_a_child_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "hangs"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(child, "PATIENCE", 0.2)
    with pytest.raises(Misconfigured, match="took longer than"):
        await child.run_child("export", "model.pt", tmp_path, data_dir=tmp_path)


@pytest.mark.filterwarnings("ignore")  # torch and Ultralytics are not ours to silence
async def test_a_model_whose_export_fails_runs_on_ultralytics(
    own_copy: Path, settings_for: SettingsFor, task_of: TaskOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def without_graph(weights: Weights, _: Settings) -> export.Export:
        facts = GraphFacts("detect", [], no_graph="its export failed: out of luck")
        return export.Export(weights.path.parent, facts)

    async with open_detector(settings_for(own_copy)) as detector:
        expected = await detector.detect([task_of(1), task_of(2)])
    monkeypatch.setattr("app.detection.detector.make_export", without_graph)
    monkeypatch.setattr("app.detection.choice.find_export", lambda *_: None)
    async with open_detector(settings_for(own_copy)) as detector:
        assert isinstance(detector, BatchDetector)
        assert detector.facts.backend == "ultralytics cpu f32"
        bad = task_of(3).__class__("video", 1, 3, 0.3, 10, 10, "")
        first, failed, second = await detector.detect([task_of(1), bad, task_of(2)])
    assert [[o.box for o in result.objects] for result in (first, second)] == [
        [o.box for o in result.objects] for result in expected
    ]
    assert failed.error
