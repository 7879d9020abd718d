"""Who runs a model here, and why: decided before anything is loaded."""

from dataclasses import dataclass
from enum import Enum, auto

from app.detection.export import Export, find_export, find_exports, newest_export
from app.detection.installed import Here
from app.detection.weights import Weights
from app.domain.precision import on_gpu
from app.errors import Misconfigured
from app.settings import Settings

INSTALL = "install kadr[inference], which brings torch and Ultralytics"
EXPORT = "run `kadr model export` where they are and put the folder that it names beside the weights"
EXPORT_INT8 = "kadr model export --precision int8 --calibrate FOLDER"
SLOW_INT8 = "this processor has no instructions for INT8, such as VNNI, so that it is hardly faster than f32"


class Way(Enum):
    """How a model is run."""

    OPENVINO = auto()
    EXPORT_FIRST = auto()
    ULTRALYTICS = auto()


@dataclass(frozen=True)
class Choice:
    """Who answers.

    Attributes:
        way: how.
        reason: why, for people.
        export: what OpenVINO reads; None on the other ways.
    """

    way: Way
    reason: str
    export: Export | None = None


@dataclass(frozen=True)
class Exports:
    """What was exported of some weights before.

    Attributes:
        exact: at f32, by the very versions that are installed.
        f32: all at f32.
        int8: all in INT8.
    """

    exact: Export | None
    f32: list[Export]
    int8: list[Export]

    @classmethod
    def of(cls, weights: Weights, settings: Settings) -> "Exports":
        """Look beside the weights and in the data folder."""
        found = (find_exports(weights, settings, "f32"), find_exports(weights, settings, "int8"))
        return cls(find_export(weights, settings), *found)


def choose(weights: Weights, settings: Settings, here: Here, exports: Exports) -> Choice:
    """Decide who runs the model; nothing is loaded or made.

    Raises:
        Misconfigured: nobody can, or not in the precision that is asked for.
    """
    precision = settings.detector_precision
    if here.has_gpu:
        floats = on_gpu(precision)
        more = f", on which DETECTOR_PRECISION={precision} is {floats}" if floats != precision else ""
        return Choice(Way.ULTRALYTICS, f"there is a GPU{more}")
    if precision == "int8":
        return _choose_int8(weights, here, exports)
    if not here.has_openvino:
        return without_graph(weights, settings, here, "OpenVINO is not installed")
    found = exports.exact
    if found is None and here.has_torch:
        return Choice(Way.EXPORT_FIRST, "there is no GPU")
    found = found or newest_export(exports.f32, here.versions)
    if found is None:
        message = (
            f"the weights {weights.path} have no OpenVINO export, and making one needs torch and "
            f"Ultralytics, which are not installed: {INSTALL}, or {EXPORT}"
        )
        raise Misconfigured(message)
    return exported(found, weights, settings, here)


def exported(export: Export, weights: Weights, settings: Settings, here: Here) -> Choice:
    """Decide who runs a model without a GPU, once its export is there.

    Raises:
        Misconfigured: nobody can, or not in the precision that is asked for.
    """
    if export.facts.graph:
        return Choice(Way.OPENVINO, "there is no GPU", export)
    return without_graph(weights, settings, here, export.facts.no_graph)


def without_graph(weights: Weights, settings: Settings, here: Here, reason: str) -> Choice:
    """Decide who runs a model that OpenVINO does not run.

    Raises:
        Misconfigured: nobody can, or not in the precision that is asked for.
    """
    if settings.detector_precision != "f32":
        asked = f"DETECTOR_PRECISION={settings.detector_precision}"
        raise Misconfigured(f"{asked} cannot be had for {weights.path}: {reason}")
    if not here.has_torch:
        raise Misconfigured(
            f"the weights {weights.path} cannot be run on OpenVINO ({reason}), nor without it: {INSTALL}"
        )
    return Choice(Way.ULTRALYTICS, reason)


def _choose_int8(weights: Weights, here: Here, exports: Exports) -> Choice:
    if not here.has_openvino:
        raise Misconfigured("DETECTOR_PRECISION=int8 needs OpenVINO: install kadr[inference-slim]")
    found = newest_export(exports.int8, here.versions)
    if found is None:
        raise Misconfigured(
            f"DETECTOR_PRECISION=int8, but {weights.path} has no INT8 export: run `{EXPORT_INT8}`"
        )
    slow = "" if here.has_int8 else f"; {SLOW_INT8}"
    return Choice(Way.OPENVINO, f"there is no GPU{slow}", found)
