"""The OpenVINO graph of a weights file: exported once, then found in a folder.

The folder's name holds everything that its content depends on (the weights' SHA-256, the options and the
versions of the exporter), so that it never has to be checked. It is built elsewhere and appears by a
rename, whole or not at all, however many processes export at the same time.
"""

import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from app.detection.checkpoint import GraphFacts
from app.detection.child import run_child
from app.detection.weights import Weights, models_folder
from app.errors import Misconfigured
from app.settings import Settings

logger = logging.getLogger(__name__)

OPTIONS: Final = "f32-dynamic"
"""What the export was asked for; part of the folder's name."""

SUFFIX: Final = ".openvino"
FACTS: Final = "facts.json"

ANY_WRITE_BIT: Final = 0o222


@dataclass(frozen=True)
class Export:
    """An export and its folder."""

    folder: Path
    facts: GraphFacts

    @property
    def graph(self) -> Path:
        """The graph's file."""
        return self.folder / self.facts.graph


def folder_name(weights: Weights) -> str:
    """Return the folder's name: all that its content depends on."""
    made_by = "-".join(f"{package}{_version(package)}" for package in ("ultralytics", "openvino"))
    return f"{weights.name}-{weights.sha256[:16]}-{OPTIONS}-{made_by}{SUFFIX}"


async def load_export(weights: Weights, settings: Settings) -> Export:
    """Return the export of these weights, made now if it was not made before.

    Raises:
        Misconfigured: the weights cannot be loaded safely, or nowhere can an export be kept.
    """
    places = (weights.path.parent, models_folder(settings))
    name = folder_name(weights)
    for place in places:
        if (place / name / FACTS).is_file():
            return _read(place / name)
    started = time.monotonic()
    with _workplace(places) as workplace:
        target = workplace.parent / name
        outcome = await run_child("export", str(weights.path), workplace, data_dir=settings.data_dir)
        if outcome.facts is None:
            raise Misconfigured(outcome.error)
        if outcome.facts.task == "detect" and not outcome.facts.graph:
            # Perhaps only today, for want of memory or space: not remembered.
            return Export(target, outcome.facts)
        _publish(workplace, target, outcome.facts)
    logger.info(
        "model exported", extra={"folder": str(target), "seconds": round(time.monotonic() - started, 1)}
    )
    return _read(target)


@contextlib.contextmanager
def _workplace(places: tuple[Path, ...]) -> Iterator[Path]:
    """Make an empty folder in the first place that takes one; remove what is left of it."""
    workplace = _first_folder(places)
    try:
        yield workplace
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _first_folder(places: tuple[Path, ...]) -> Path:
    causes = []
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            # Root may write everywhere; a folder without one write bit is still meant to be left alone.
            if place.stat().st_mode & ANY_WRITE_BIT:
                return Path(tempfile.mkdtemp(prefix=".new-", suffix=SUFFIX, dir=place))
            causes.append(f"{place} is read-only")
        except OSError as error:
            causes.append(f"{place}: {error.strerror}")
    raise Misconfigured(f"there is no place for the exported model: {'; '.join(causes)}; set DATA_DIR")


def _publish(workplace: Path, target: Path, facts: GraphFacts) -> None:
    for checkpoint in workplace.glob("*.pt"):
        checkpoint.unlink()
    (workplace / FACTS).write_bytes(msgspec.json.encode(facts))
    # Private to us until now (`mkdtemp`); other users of the same models may read it.
    workplace.chmod(0o755)
    try:
        workplace.rename(target)
    except OSError:
        # Somebody else was faster: theirs is the same.
        if not (target / FACTS).is_file():
            raise


def _read(folder: Path) -> Export:
    return Export(folder, msgspec.json.decode((folder / FACTS).read_bytes(), type=GraphFacts))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
