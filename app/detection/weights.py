"""Which weights are used: those of the setting `MODEL`, else `models/best.pt`, else the demo model."""

import asyncio
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.detection.child import run_child
from app.errors import Misconfigured
from app.settings import Settings

MODELS: Final = Path(__file__).resolve().parents[2] / "models"
"""The folder of models in the checkout (and in the image, which has the same layout)."""

OWN_MODEL: Final = "best.pt"
DEMO_MODEL: Final = "demo.pt"


@dataclass(frozen=True)
class Weights:
    """A weights file that looks like one, and its SHA-256.

    Attributes:
        path: absolute.
        sha256: of the file, in hexadecimal.
        is_demo: whether it is the demo model that comes with Kadr.
    """

    path: Path
    sha256: str
    is_demo: bool

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


async def find_weights(settings: Settings, *, models: Path = MODELS) -> Weights:
    """Return the weights to use, downloading them when `MODEL` is a name that Ultralytics knows.

    Args:
        settings: `model`, `model_download`, `model_sha256` and `data_dir` matter.
        models: the folder with the default weights.

    Raises:
        Misconfigured: there are none, they cannot be downloaded, they are not those that `MODEL_SHA256`
            names, or the file is no checkpoint.
    """
    path = await _fetched(settings) if _is_name(settings.model) else _chosen(settings.model, models)
    return await asyncio.to_thread(_inspected, path, models / DEMO_MODEL, pin=settings.model_sha256)


def models_folder(settings: Settings) -> Path:
    """Return where models that are downloaded, and exports that have no better place, are kept."""
    return settings.data_dir.resolve() / "models"


def _is_name(model: str) -> bool:
    """Say whether `MODEL` names a model rather than a file: a bare name, and no such file."""
    return bool(model) and Path(model).name == model and not Path(model).exists()


def _chosen(model: str, models: Path) -> Path:
    if model:
        return Path(model).expanduser().resolve()
    own, demo = models / OWN_MODEL, models / DEMO_MODEL
    return own if own.exists() else demo


async def _fetched(settings: Settings) -> Path:
    # As Ultralytics does, `yolo11n` means `yolo11n.pt`.
    name = settings.model if settings.model.endswith(".pt") else f"{settings.model}.pt"
    folder = models_folder(settings)
    path = folder / name
    if path.exists():
        return path
    if not settings.model_download:
        message = f"MODEL={settings.model} is not a file, and MODEL_DOWNLOAD is off: set MODEL to a .pt file"
        raise Misconfigured(message)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as temporary:
        outcome = await run_child("fetch", name, Path(temporary), data_dir=settings.data_dir)
        if outcome.error:
            raise Misconfigured(f"{outcome.error}; set MODEL to a .pt file")
        # Whole or not at all, however many processes download the same model.
        (Path(temporary) / name).replace(path)
    return path


def _inspected(path: Path, demo: Path, *, pin: str) -> Weights:
    _refuse(path, _problem_of_file(path))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if pin and digest != pin:
        raise Misconfigured(
            f"the weights {path} are not loaded: their SHA-256 is {digest}, and MODEL_SHA256 asks for {pin}"
        )
    # Only now is anything in it looked at.
    _refuse(path, _problem_of_content(path))
    return Weights(path, digest, is_demo=demo.exists() and path.samefile(demo))


def _refuse(path: Path, problem: str) -> None:
    if problem:
        raise Misconfigured(
            f"the weights {path} {problem}; set MODEL to a .pt file, or a name such as yolo11n.pt"
        )


def _problem_of_file(path: Path) -> str:
    """Say what is wrong with the file before it is opened; empty when nothing is."""
    return _first_problem(
        (path.exists, "do not exist"),
        (path.is_file, "are not a file"),
        (lambda: path.suffix == ".pt", "do not end in .pt"),
        (lambda: os.access(path, os.R_OK), "may not be read by this process"),
        (lambda: path.stat().st_size > 0, "are empty"),
    )


def _problem_of_content(path: Path) -> str:
    """Say what is wrong with the file as far as can be seen without loading it; empty when nothing is."""
    return _first_problem(
        # The directory of a zip archive stands at its end, so that a file that breaks off has none.
        (lambda: zipfile.is_zipfile(path), "are truncated, or no PyTorch checkpoint"),
        (lambda: _has_pickle(path), "are a zip archive, but no PyTorch checkpoint"),
    )


def _first_problem(*checks: tuple[Callable[[], bool], str]) -> str:
    return next((problem for holds, problem in checks if not holds()), "")


def _has_pickle(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/data.pkl") for name in archive.namelist())
