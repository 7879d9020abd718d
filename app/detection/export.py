"""The OpenVINO graphs of a weights file: exported once, then found in a folder.

The folder's name holds everything that its content depends on (the weights' SHA-256, the options, the
calibration's pictures and the versions of the exporters), so that one that is there never has to be made
again. It is built elsewhere and appears by a rename, whole or not at all, however many processes export at
the same time. Its manifest says which weights it was made from and which bytes it has; whoever runs it asks
`check` first.
"""

import contextlib
import hashlib
import logging
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from app.detection.child import run_child
from app.detection.facts import Calibration, GraphFacts
from app.detection.installed import versions_of
from app.detection.manifest import Manifest, check_files, read_manifest, write_manifest
from app.detection.weights import Weights, models_folder
from app.domain.precision import Precision
from app.errors import Misconfigured
from app.settings import Settings

logger = logging.getLogger(__name__)

OPTIONS: Final = "f32-dynamic"
"""What the export was asked for; part of the folder's name."""

INT8_OPTIONS: Final = "int8-mixed"
"""What the quantizer was asked for; part of the folder's name."""

EXPORTERS: Final = ("ultralytics", "openvino")
QUANTIZERS: Final = (*EXPORTERS, "nncf")

SUFFIX: Final = ".openvino"

MADE_BY: Final = re.compile(
    rf"-ultralytics(?P<ultralytics>[^-]+)-openvino(?P<openvino>[^-]+?)(?:-nncf(?P<nncf>[^-]+?))?{re.escape(SUFFIX)}$"
)
"""The end of a folder's name."""

FACTS: Final = "facts.json"

ANY_WRITE_BIT: Final = 0o222


@dataclass(frozen=True)
class Export:
    """An export and its folder.

    Attributes:
        folder: absolute.
        facts: what is known of the graph.
        manifest: which weights and which bytes it has; None if it was made before that was written down.
    """

    folder: Path
    facts: GraphFacts
    manifest: Manifest | None = None

    @property
    def graph(self) -> Path:
        """The graph's file."""
        return self.folder / self.facts.graph

    @property
    def made_by(self) -> dict[str, str]:
        """Version of each package that took part, as the folder's name says."""
        found = MADE_BY.search(self.folder.name)
        return {} if found is None else {name: text for name, text in found.groupdict().items() if text}

    def is_of(self, versions: Mapping[str, str]) -> bool:
        """Say whether those of its makers that are installed here are so in the versions that made it."""
        return all(versions.get(name, version) == version for name, version in self.made_by.items())

    def check(self, settings: Settings) -> None:
        """Return if its files may be run; reads all of them.

        Raises:
            Misconfigured: one is not what it was when the export was made, or nothing says what that was
                although `MODEL_SHA256` is set.
        """
        if self.manifest is not None:
            needed = (FACTS, self.facts.graph, str(Path(self.facts.graph).with_suffix(".bin")))
            check_files(self.folder, self.manifest, needed)
        elif settings.model_sha256:
            raise Misconfigured(
                f"MODEL_SHA256 is set, and nothing says which weights the export {self.folder} was made "
                "from: remove that folder, and make the export anew with `kadr model export`"
            )


def folder_name(weights: Weights, *, calibration: str = "") -> str:
    """Return the folder's name: all that its content depends on.

    Args:
        weights: that are exported.
        calibration: digest of what an INT8 export was calibrated on; empty at f32.
    """
    options = f"{INT8_OPTIONS}-{calibration}" if calibration else OPTIONS
    versions = versions_of(QUANTIZERS if calibration else EXPORTERS)
    made_by = "-".join(f"{package}{version or 'none'}" for package, version in versions.items())
    return f"{weights.name}-{weights.sha256[:16]}-{options}-{made_by}{SUFFIX}"


def find_export(weights: Weights, settings: Settings) -> Export | None:
    """Return the f32 export that would be made here now, if it was made before."""
    return _kept(folder_name(weights), weights, settings)


def find_exports(weights: Weights, settings: Settings, precision: Precision) -> list[Export]:
    """Return all exports of these weights, whichever versions made them and whatever their name was."""
    options = INT8_OPTIONS if precision == "int8" else OPTIONS
    pattern = f"*-{weights.sha256[:16]}-{options}-*{SUFFIX}/{FACTS}"
    files = (file for place in _places(weights, settings) for file in place.glob(pattern))
    found = (_read(file.parent) for file in files)
    return [each for each in found if each.manifest is None or each.manifest.weights == weights.sha256]


def newest_export(exports: Iterable[Export], versions: Mapping[str, str]) -> Export | None:
    """Return the newest of those that the installed versions made; if there is none, the newest of all.

    One that can be checked comes before all that cannot.
    """

    def worth(export: Export) -> tuple[bool, bool, str, str]:
        checkable = export.manifest is not None
        return checkable, export.is_of(versions), export.facts.made, export.folder.name

    return max(exports, key=worth, default=None)


async def make_export(weights: Weights, settings: Settings) -> Export:
    """Make the f32 export, unless somebody was faster; one that has no graph says why.

    Raises:
        Misconfigured: the weights cannot be loaded safely, or nowhere can an export be kept.
    """
    with _workplace(_places(weights, settings)) as workplace:
        target = workplace.parent / folder_name(weights)
        started = time.monotonic()
        outcome = await run_child(
            "export", str(weights.path), workplace, data_dir=settings.data_dir, sha256=weights.sha256
        )
        if outcome.facts is None:
            raise Misconfigured(outcome.error)
        if outcome.facts.task == "detect" and not outcome.facts.graph:
            # Perhaps only today, for want of memory or space: not remembered.
            return Export(target, outcome.facts)
        return _publish(workplace, target, outcome.facts, weights, started)


async def load_export(weights: Weights, settings: Settings) -> Export:
    """Return the f32 export of these weights, made now if it was not made before.

    Raises:
        Misconfigured: the weights cannot be loaded safely, or nowhere can an export be kept.
    """
    return find_export(weights, settings) or await make_export(weights, settings)


async def load_int8(
    export: Export, weights: Weights, settings: Settings, pictures: Sequence[bytes]
) -> Export:
    """Return the INT8 export that was calibrated on these pictures, made now if it was not made before.

    Args:
        export: of the same weights, at f32.
        weights: that are exported.
        settings: `imgsz` and `data_dir` matter.
        pictures: JPEGs, preprocessed, as they travel.

    Raises:
        Misconfigured: it cannot be made, or nowhere can it be kept.
    """
    name = folder_name(weights, calibration=calibration_digest(pictures, settings.imgsz))
    kept = _kept(name, weights, settings)
    if kept is not None:
        return kept
    with (
        _workplace(_places(weights, settings)) as workplace,
        tempfile.TemporaryDirectory(prefix="kadr-calibration-") as shelf,
    ):
        started = time.monotonic()
        paths = [Path(shelf) / f"{number:06}.jpg" for number in range(len(pictures))]
        for path, picture in zip(paths, pictures, strict=True):
            path.write_bytes(picture)
        order = Path(shelf) / "calibration.json"
        facts = export.facts
        told = Calibration(str(export.graph), list(map(str, paths)), settings.imgsz, facts.stride)
        order.write_bytes(msgspec.json.encode(told))
        outcome = await run_child("quantize", str(order), workplace, data_dir=settings.data_dir)
        if outcome.error:
            raise Misconfigured(outcome.error)
        known = msgspec.structs.replace(
            facts, graph="model.xml", precision="int8", calibrated_on=len(pictures)
        )
        return _publish(workplace, workplace.parent / name, known, weights, started)


def calibration_digest(pictures: Iterable[bytes], imgsz: int) -> str:
    """Return what stands for a set of pictures, in their order, on a canvas of this size."""
    digest = hashlib.sha256(f"{imgsz}".encode())
    for picture in pictures:
        digest.update(hashlib.sha256(picture).digest())
    return digest.hexdigest()[:12]


def _places(weights: Weights, settings: Settings) -> tuple[Path, ...]:
    return (weights.path.parent, models_folder(settings))


def _kept(name: str, weights: Weights, settings: Settings) -> Export | None:
    found = (_found(place / name, weights) for place in _places(weights, settings))
    return next((each for each in found if each is not None), None)


def _found(folder: Path, weights: Weights) -> Export | None:
    """Return the export in a folder, if there is one and it says that it is of these weights."""
    if not (folder / FACTS).is_file():
        return None
    export = _read(folder)
    return export if export.manifest is not None and export.manifest.weights == weights.sha256 else None


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


def _publish(workplace: Path, target: Path, facts: GraphFacts, weights: Weights, started: float) -> Export:
    for checkpoint in workplace.glob("*.pt"):
        checkpoint.unlink()
    known = msgspec.structs.replace(facts, made=datetime.now(UTC).isoformat(timespec="seconds"))
    (workplace / FACTS).write_bytes(msgspec.json.encode(known))
    write_manifest(workplace, weights.sha256)
    # Private to us until now (`mkdtemp`); other users of the same models may read it.
    workplace.chmod(0o755)
    try:
        workplace.rename(target)
    except OSError:
        if not (target / FACTS).is_file():
            raise
        # Somebody else was faster, and theirs is the same; or it was made before exports had a manifest.
        if _found(target, weights) is None:
            _replace(target, workplace)
    seconds = round(time.monotonic() - started, 1)
    logger.info("model exported", extra={"folder": str(target), "seconds": seconds})
    return _read(target)


def _replace(target: Path, fresh: Path) -> None:
    old = Path(tempfile.mkdtemp(prefix=".old-", suffix=SUFFIX, dir=target.parent))
    try:
        target.rename(old)
        fresh.rename(target)
    finally:
        shutil.rmtree(old)


def _read(folder: Path) -> Export:
    try:
        facts = msgspec.json.decode((folder / FACTS).read_bytes(), type=GraphFacts)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"the export {folder} is damaged ({FACTS} cannot be read: {error}): remove it"
        ) from error
    return Export(folder, facts, read_manifest(folder))
