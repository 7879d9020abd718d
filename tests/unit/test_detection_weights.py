"""Which weights are chosen, and what an operator is told when they are none."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.detection import weights
from app.detection.weights import find_weights
from app.errors import Misconfigured
from app.settings import Settings


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def checkpoint(path: Path) -> Path:
    """Write what looks like a checkpoint from outside."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02N.")
    return path


def settings(tmp_path: Path, **given: object) -> Settings:
    return Settings.model_validate({"data_dir": tmp_path / "data", **given})


async def test_the_demo_model_is_the_default_and_known_as_such(models: Path, tmp_path: Path) -> None:
    demo = checkpoint(models / "demo.pt")
    found = await find_weights(settings(tmp_path), models=models)
    assert (found.path, found.name, found.is_demo) == (demo, "demo", True)
    assert len(found.sha256) == 64


async def test_ones_own_best_model_comes_before_the_demo_model(models: Path, tmp_path: Path) -> None:
    checkpoint(models / "demo.pt")
    best = checkpoint(models / "best.pt")
    found = await find_weights(settings(tmp_path), models=models)
    assert (found.path, found.is_demo) == (best, False)


async def test_the_setting_comes_before_both(models: Path, tmp_path: Path) -> None:
    checkpoint(models / "best.pt")
    mine = checkpoint(tmp_path / "mine.pt")
    found = await find_weights(settings(tmp_path, model=str(mine)), models=models)
    assert found.path == mine


async def test_a_file_in_the_working_folder_is_a_file_and_not_a_name(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = checkpoint(tmp_path / "yolo11n.pt")
    assert (await find_weights(settings(tmp_path, model="yolo11n.pt"), models=models)).path == mine


async def test_a_model_that_was_downloaded_before_is_not_downloaded_again(
    models: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "data" / "models" / "yolo11n.pt"
    kept.parent.mkdir(parents=True)
    checkpoint(kept)
    given = settings(tmp_path, model="yolo11n", model_download=False)
    assert (await find_weights(given, models=models)).path == kept


async def test_a_name_is_refused_in_one_line_when_nothing_may_be_downloaded(
    models: Path, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured) as refused:
        await find_weights(settings(tmp_path, model="yolo11n.pt", model_download=False), models=models)
    assert str(refused.value) == (
        "MODEL=yolo11n.pt is not a file, and MODEL_DOWNLOAD is off: set MODEL to a .pt file"
    )


async def test_without_any_weights_the_line_names_the_file_and_the_setting(
    models: Path, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match=r"demo\.pt do not exist; set MODEL to"):
        await find_weights(settings(tmp_path), models=models)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "are empty"),
        (b"hello", "are truncated, or no PyTorch checkpoint"),
        (b"PK\x03\x04 and no end", "are truncated, or no PyTorch checkpoint"),
    ],
)
async def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    with pytest.raises(Misconfigured) as refused:
        await find_weights(settings(tmp_path, model=str(path)))
    assert str(refused.value).startswith(f"the weights {path} {problem}; set MODEL")
    assert "\n" not in str(refused.value)


async def test_a_folder_another_archive_and_another_ending_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.pt").mkdir()
    with zipfile.ZipFile(tmp_path / "archive.pt", "w") as archive:
        archive.writestr("letter.txt", "hello")
    checkpoint(tmp_path / "model.onnx")
    expected = {
        "folder.pt": "are not a file",
        "archive.pt": "are a zip archive, but no PyTorch checkpoint",
        "model.onnx": "do not end in",
    }
    for name, problem in expected.items():
        with pytest.raises(Misconfigured, match=problem):
            await find_weights(settings(tmp_path, model=str(tmp_path / name)))


def test_the_folder_of_models_is_the_projects_own() -> None:
    assert (weights.MODELS.parent / "app" / "detection" / "weights.py").is_file()


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("spelled", [str.lower, str.upper, lambda digest: f" {digest} "])
async def test_weights_that_are_pinned_are_used(tmp_path: Path, spelled: Callable[[str], str]) -> None:
    mine = checkpoint(tmp_path / "mine.pt")
    given = settings(tmp_path, model=str(mine), model_sha256=spelled(digest_of(mine)))
    assert (await find_weights(given)).sha256 == digest_of(mine)


@pytest.mark.parametrize("name", ["", "other.pt", "yolo11n.pt"])
async def test_other_weights_than_the_pinned_are_refused_however_they_were_found(
    models: Path, tmp_path: Path, name: str
) -> None:
    """The default, a file, and what was downloaded under a name."""
    kept = tmp_path / "data" / "models" / "yolo11n.pt"
    kept.parent.mkdir(parents=True)
    found = {
        "": checkpoint(models / "demo.pt"),
        "other.pt": checkpoint(tmp_path / "other.pt"),
        "yolo11n.pt": checkpoint(kept),
    }[name]
    asked = str(found) if name == "other.pt" else name
    given = settings(tmp_path, model=asked, model_sha256="ab" * 32)
    with pytest.raises(Misconfigured) as refused:
        await find_weights(given, models=models)
    assert str(refused.value) == (
        f"the weights {found} are not loaded: their SHA-256 is {digest_of(found)}, "
        f"and MODEL_SHA256 asks for {'ab' * 32}"
    )


async def test_nothing_in_a_file_that_is_not_the_pinned_one_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise AssertionError

    monkeypatch.setattr(zipfile, "is_zipfile", refuse)
    monkeypatch.setattr(zipfile, "ZipFile", refuse)
    path = tmp_path / "hostile.pt"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(Misconfigured, match="are not loaded: their SHA-256 is"):
        await find_weights(settings(tmp_path, model=str(path), model_sha256="ab" * 32))


@pytest.mark.parametrize("pin", ["ab" * 31, "ab" * 33, "xy" * 32, "sha256:" + "ab" * 32, "31e20dde3def"])
def test_a_pin_that_is_cut_off_or_no_sha256_is_no_setting(tmp_path: Path, pin: str) -> None:
    with pytest.raises(ValidationError, match="must be a whole SHA-256, 64 hexadecimal digits"):
        settings(tmp_path, model_sha256=pin)
