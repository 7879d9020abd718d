"""Exports a model's weights, and says which model runs here and how."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from app.cli.samples import list_files, read_samples
from app.detection.child import run_child
from app.detection.choice import EXPORT_INT8, Choice, Exports, Way, choose, without_graph
from app.detection.detector import load_graph
from app.detection.export import Export, load_export, load_int8, newest_export
from app.detection.facts import DETECT, GraphFacts
from app.detection.installed import Here, look_around
from app.detection.process import tune_process
from app.detection.weights import Weights, find_weights
from app.domain.precision import Precision, on_gpu
from app.errors import Misconfigured
from app.settings import Settings

CALIBRATION_PICTURES: Final = 300
"""As many as NNCF looks at by itself."""

FEW_PICTURES: Final = 30
"""Fewer show a model so little that what it sees later may not fit the range that was measured."""

NAMES_SHOWN: Final = 10


@dataclass(frozen=True)
class Exported:
    """An export that is there now.

    Attributes:
        export: where it is and what it is.
        notes: what the operator may want to know.
    """

    export: Export
    notes: list[str]


@dataclass(frozen=True)
class Report:
    """Which model runs here, and how.

    Attributes:
        settings: what is asked for.
        weights: which they are.
        here: what is installed.
        exports: what was exported before.
        facts: what is known of the model; None where nothing here can tell.
        bf16: whether it can be run so here.
        choice: who runs it; None where nobody can.
        refusal: why nobody can.
    """

    settings: Settings
    weights: Weights
    here: Here
    exports: Exports
    facts: GraphFacts | None
    bf16: str
    choice: Choice | None
    refusal: str

    @property
    def _backend(self) -> str:
        if self.choice is None:
            return "nothing: see below"
        floats = on_gpu(self.settings.detector_precision)
        on = {
            Way.OPENVINO: f"openvino {self.settings.detector_precision}",
            Way.EXPORT_FIRST: (
                f"openvino {self.settings.detector_precision}, once the first worker has exported it"
            ),
            Way.ULTRALYTICS: f"ultralytics {f'cuda {floats}' if self.here.has_gpu else 'cpu f32'}",
        }
        return f"{on[self.choice.way]}, because {self.choice.reason}"

    @property
    def lines(self) -> list[tuple[str, str]]:
        """What a person is told: headings and texts."""
        names = self.facts.names if self.facts else []
        more = f", … {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        classes = (
            f"{len(names)}: {', '.join(names[:NAMES_SHOWN])}{more}" if names else "unknown until exported"
        )
        return [
            ("weights", f"{self.weights.path}{' (the demo model)' if self.weights.is_demo else ''}"),
            ("sha256", self.weights.sha256),
            ("to pin it", f"MODEL_SHA256={self.weights.sha256}"),
            ("task", _task(self.facts)),
            ("classes", classes),
            ("precision", f"{self.settings.detector_precision} (DETECTOR_PRECISION)"),
            ("runs on", self._backend),
            ("export", _export_line(self.choice.export if self.choice else None)),
            ("f32", _export_line(self.exports.exact or newest_export(self.exports.f32, self.here.versions))),
            ("bf16", self.bf16),
            ("int8", _export_line(newest_export(self.exports.int8, self.here.versions), EXPORT_INT8)),
            ("GPU", "yes" if self.here.has_gpu else "none that torch can use"),
            ("installed", ", ".join(f"{name} {version}" for name, version in self.here.versions.items())),
        ]


async def export_model(settings: Settings, precision: Precision, paths: Sequence[Path]) -> Exported:
    """Export the weights, unless they have been exported so before.

    Args:
        settings: `model` and `data_dir` matter, `imgsz` for INT8.
        precision: of the export.
        paths: pictures, videos and folders of them to calibrate INT8 on.

    Raises:
        Misconfigured: it cannot be made.
        NoPictures: there is nothing to calibrate on.
    """
    tune_process()
    files = list_files(paths) if precision == "int8" else []
    weights = await find_weights(settings)
    export = await load_export(weights, settings)
    if not export.facts.graph:
        raise Misconfigured(
            f"the weights {weights.path} have no OpenVINO graph ({export.facts.no_graph}) and need none"
        )
    loaded = load_graph(export, settings)
    if isinstance(loaded, str):
        raise Misconfigured(f"the export {export.folder} is of no use here: {loaded}")
    if precision != "int8":  # in bf16 the same export is run
        return Exported(export, [])
    samples, notes = await read_samples(files, settings, most=CALIBRATION_PICTURES)
    if len(samples) < FEW_PICTURES:
        notes.append(f"{len(samples)} pictures are few to calibrate on; {CALIBRATION_PICTURES} are looked at")
    pictures = [sample.jpeg for sample in samples]
    return Exported(await load_int8(export, weights, settings, pictures), notes)


async def report_model(settings: Settings) -> Report:
    """Say which model runs here and how; nothing is exported.

    Raises:
        Misconfigured: there are no weights, or they are no model that finds objects.
    """
    weights = await find_weights(settings)
    here = look_around()
    exports = Exports.of(weights, settings)
    known = [each for each in (exports.exact, *exports.f32, *exports.int8) if each is not None]
    facts = known[0].facts if known else await _inspected(weights, settings) if here.has_torch else None
    try:
        choice, refusal = _tried(choose(weights, settings, here, exports), weights, settings, here), ""
    except Misconfigured as error:
        choice, refusal = None, str(error)
    if choice is not None and choice.way is Way.EXPORT_FIRST and facts is not None and facts.no_graph:
        choice = Choice(Way.ULTRALYTICS, facts.no_graph)
    return Report(settings, weights, here, exports, facts, _tell_bf16(here), choice, refusal)


def _tell_bf16(here: Here) -> str:
    if not here.has_openvino:
        return "unknown: OpenVINO is not installed"
    from app.detection.graph import knows_bf16  # noqa: PLC0415  # OpenVINO, of which was made sure just before

    return "the f32 export can be run so" if knows_bf16() else "this processor does not know it"


def _tried(choice: Choice, weights: Weights, settings: Settings, here: Here) -> Choice:
    """Load what would be loaded: whether OpenVINO takes it is known afterwards only."""
    loaded = load_graph(choice.export, settings) if choice.export else ""
    return without_graph(weights, settings, here, loaded) if loaded and isinstance(loaded, str) else choice


async def _inspected(weights: Weights, settings: Settings) -> GraphFacts:
    with TemporaryDirectory(prefix="kadr-model-") as folder:
        outcome = await run_child(
            "inspect", str(weights.path), Path(folder), data_dir=settings.data_dir, sha256=weights.sha256
        )
    if outcome.facts is None:
        raise Misconfigured(outcome.error)
    return outcome.facts


def _task(facts: GraphFacts | None) -> str:
    if facts is None:
        return "unknown until exported"
    # Only boxes go into a result.
    return facts.task if facts.task == DETECT else f"{facts.task}: of what it finds, the boxes are used"


def _export_line(export: Export | None, command: str = "") -> str:
    if export is None:
        return f"none; made by `{command}`" if command else "none"
    facts = export.facts
    if not facts.graph:
        return f"none: {facts.no_graph}"
    made_by = ", ".join(f"{name} {version}" for name, version in export.made_by.items())
    calibrated = f", calibrated on {facts.calibrated_on} pictures" if facts.calibrated_on else ""
    unchecked = "" if export.manifest else "; it has no manifest, so that its files cannot be checked"
    return f"{export.folder} ({made_by}{calibrated}{unchecked})"
