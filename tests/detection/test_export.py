"""A model is exported once, safely, whole, and where it can be kept."""

import asyncio
import hashlib
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
from app.detection.fallback import TorchModel
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


def write_trap(path: Path, canary: Path) -> None:
    """Write a checkpoint that makes a file when its pickle is loaded without care."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"model": _Canary(canary)}, protocol=2))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")


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


@pytest.mark.long
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


@pytest.mark.long
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
    write_trap(path, canary)
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


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def change_one_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("ending", [pytest.param(".xml", marks=pytest.mark.long), ".bin"])
async def test_an_export_with_another_byte_stops_the_worker_with_one_line(
    own_copy: Path, settings_for: SettingsFor, ending: str
) -> None:
    settings = settings_for(own_copy)
    made = await load_export(await find_weights(settings), settings)
    change_one_byte(made.graph.with_suffix(ending))
    with pytest.raises(Misconfigured, match=rf"the export .*{ending} has the SHA-256") as refused:
        async with open_detector(settings):
            pass
    assert "\n" not in str(refused.value)


@pytest.mark.long
async def test_an_export_from_before_manifests_is_made_anew_where_torch_is(
    own_copy: Path, settings_for: SettingsFor, task_of: TaskOf
) -> None:
    settings = settings_for(own_copy)
    made = await load_export(await find_weights(settings), settings)
    (made.folder / "manifest.json").unlink()
    (made.folder / "left.txt").touch()
    async with open_detector(settings.model_copy(update={"model_sha256": digest_of(own_copy)})) as detector:
        (found,) = await detector.detect([task_of(1)])
    assert found.objects
    assert (made.folder / "manifest.json").is_file()
    assert not (made.folder / "left.txt").exists()
    assert sorted(path.name for path in own_copy.parent.iterdir()) == sorted(
        [own_copy.name, made.folder.name]
    )


async def test_a_graph_that_is_swapped_after_the_check_is_not_read(
    own_copy: Path, settings_for: SettingsFor, task_of: TaskOf
) -> None:
    """A canvas of another shape needs another graph, which is made from what was read at first."""
    settings = settings_for(own_copy)
    made = await load_export(await find_weights(settings), settings)
    async with open_detector(settings) as detector:
        (before,) = await detector.detect([task_of(1, height=320, width=240)])
    async with open_detector(settings) as detector:
        for path in (made.graph, made.graph.with_suffix(".bin")):
            swapped = path.with_name("swapped")
            swapped.write_bytes(b"nothing that OpenVINO reads")
            swapped.replace(path)
        (after,) = await detector.detect([task_of(1, height=320, width=240)])
    assert before.objects
    assert after.objects == before.objects


async def test_weights_that_change_after_they_were_hashed_are_not_loaded(
    own_copy: Path, settings_for: SettingsFor
) -> None:
    settings = settings_for(own_copy)
    weights = await find_weights(settings)
    change_one_byte(own_copy)
    with pytest.raises(Misconfigured, match="have changed while they were looked at"):
        await load_export(weights, settings)
    with pytest.raises(Misconfigured, match="have changed while they were looked at"):
        TorchModel(own_copy, weights.sha256, 320, data_dir=settings.data_dir)


async def test_whoever_loads_weights_loads_them_safely(tmp_path: Path, settings_for: SettingsFor) -> None:
    """The worker's export, the look of `kadr model info`, and Ultralytics where there is no export."""
    path, canary = tmp_path / "evil.pt", tmp_path / "canary"
    write_trap(path, canary)
    settings = settings_for(path)
    weights = await find_weights(settings)
    with pytest.raises(Misconfigured, match=r"evil\.pt cannot be loaded"):
        await load_export(weights, settings)
    (tmp_path / "look").mkdir()
    looked = await child.run_child(
        "inspect", str(path), tmp_path / "look", data_dir=settings.data_dir, sha256=weights.sha256
    )
    assert "evil.pt cannot be loaded" in looked.error
    with pytest.raises(Misconfigured, match=r"evil\.pt cannot be loaded"):
        TorchModel(path, weights.sha256, 320, data_dir=settings.data_dir)
    assert not canary.exists()


async def test_a_job_is_told_no_setting_and_so_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "shows"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\necho '{{}}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setenv("MINIO_SECRET_KEY", "a-secret")
    monkeypatch.setenv("mongo_uri", "mongodb://me:a-secret@mongo/")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    await child.run_child("fetch", "model.pt", tmp_path, data_dir=tmp_path)
    told = (tmp_path / "environment").read_text()
    assert "HTTPS_PROXY" in told
    assert "a-secret" not in told
