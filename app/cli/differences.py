"""What INT8 or bf16 changes: a model at f32 and so, on the same pictures, side by side."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

import msgspec

from app.cli.labels import Labels, find_labels, read_labels
from app.cli.samples import Sample, list_files, read_samples
from app.detection.boxes import Boxes
from app.detection.child import run_child
from app.detection.choice import EXPORT_INT8
from app.detection.comparison import Agreement, Look, Race, race
from app.detection.detector import THREADS, load_graph
from app.detection.export import Export, find_exports, load_export, newest_export
from app.detection.facts import Labelled, Score
from app.detection.installed import look_around
from app.detection.pictures import Pixels, decode_picture, jpeg_size
from app.detection.process import tune_process
from app.detection.wanted import Wanted
from app.detection.weights import Weights, find_weights
from app.domain.precision import Precision
from app.errors import Misconfigured
from app.settings import Settings

Detect: TypeAlias = Callable[..., Boxes]

COMPARED_PICTURES: Final = 1000
"""Enough to tell shares of a tenth of a percent apart, and a matter of a minute."""

RACED_PICTURES: Final = 40
ROUNDS: Final = 5

CONF: Final = 0.25
"""As when nothing is asked for."""

VALIDATION_CONF: Final = 0.001
VALIDATION_IOU: Final = 0.7
"""What Ultralytics' own validation looks with: an average precision needs the unlikely boxes too."""


@dataclass(frozen=True)
class Differences:
    """What another precision changes.

    Attributes:
        second: the other precision.
        exports: what is run at f32, and in the other precision.
        agreement: of their boxes.
        race: between them.
        scores: of both, held against labels; None without labels.
        labelled: how many pictures had labels.
        notes: files that could not be looked at, and what could not be done.
    """

    second: Precision
    exports: tuple[Export, Export]
    agreement: Agreement
    race: Race
    scores: tuple[Score, Score] | None
    labelled: int
    notes: list[str]

    @property
    def lines(self) -> list[tuple[str, str]]:
        """What a person is told: headings and texts."""
        found, raced = self.agreement, self.race
        lines = [
            *zip(("f32", self.second), (str(export.folder) for export in self.exports), strict=True),
            ("pictures", f"{found.pictures}, in which f32 finds {found.boxes} boxes"),
            ("matched", f"{len(found.changes)} at an IoU of 0.5 or more"),
            ("lost", _left(found.lost, found.boxes)),
            ("new", _left(found.new, found.boxes)),
        ]
        if found.changes:
            absolute = fmean(map(abs, found.changes))
            lines.append(("confidence", f"{fmean(found.changes):+.4f} on average, {absolute:.4f} either way"))
        rounds = f"{raced.slowest:.2f} to {raced.fastest:.2f} in {ROUNDS} rounds"
        times = f"{raced.wall:.2f} times as fast ({rounds}; {raced.processor:.2f} in processor time)"
        lines.append(("speed", f"{self.second} is {times}"))
        if self.scores is not None:
            first, second = self.scores
            labelled = f"{self.labelled} labelled pictures"
            lines.append(("mAP50", f"f32 {first.map50:.4f}, {self.second} {second.map50:.4f} ({labelled})"))
            lines.append(("mAP50-95", f"f32 {first.map50_95:.4f}, {self.second} {second.map50_95:.4f}"))
        return lines


async def compare_model(settings: Settings, precision: Precision, paths: Sequence[Path]) -> Differences:
    """Let a model look at the same pictures at f32 and in another precision.

    Args:
        settings: `model`, `imgsz` and `data_dir` matter.
        precision: the other one.
        paths: pictures, videos and folders of them.

    Raises:
        Misconfigured: there is no INT8 export, the processor does not know bf16, or OpenVINO is not here.
        NoPictures: there is nothing to look at.
        WrongLabels: there are labels, but not of this model's classes.
    """
    tune_process()
    files = list_files(paths)
    weights = await find_weights(settings)
    exports = await _both(weights, settings, precision)
    samples, notes = await read_samples(files, settings, most=COMPARED_PICTURES)
    # By shape, of which few graphs are kept: one after the other each is compiled once.
    samples.sort(key=lambda sample: jpeg_size(sample.jpeg))
    pictures = [decode_picture(sample.jpeg) for sample in samples]
    labelled = _labelled(samples, pictures, classes=len(exports[0].facts.names))
    if labelled and not look_around().has_torch:
        notes.append("labels are left out: an average precision needs torch and Ultralytics")
        labelled = []
    first, second = _looks(exports, settings, precision)
    with ThreadPoolExecutor(THREADS) as threads:
        looks = partial(first, wanted=Wanted(CONF)), partial(second, wanted=Wanted(CONF))
        agreement = _agreement(looks, pictures, threads)
        raced = race(*looks, _of_one_shape(pictures), rounds=ROUNDS, threads=threads)
        scores = None
        if labelled:
            findings = [_findings(each, labelled, threads) for each in (first, second)]
            scores = await _scores(findings, settings)
    return Differences(precision, exports, agreement, raced, scores, len(labelled), notes)


async def _both(weights: Weights, settings: Settings, precision: Precision) -> tuple[Export, Export]:
    here = look_around()
    if not here.has_openvino:
        raise Misconfigured("OpenVINO, which runs exports, is not installed: install kadr[inference-slim]")
    second = newest_export(find_exports(weights, settings, "int8"), here.versions)
    if precision == "int8" and second is None:
        raise Misconfigured(f"the weights {weights.path} have no INT8 export: run `{EXPORT_INT8}`")
    older = None if here.has_torch else newest_export(find_exports(weights, settings, "f32"), here.versions)
    first = older or await load_export(weights, settings)
    return first, second if precision == "int8" and second is not None else first


def _looks(exports: tuple[Export, Export], settings: Settings, precision: Precision) -> tuple[Detect, Detect]:
    looks = []
    for export, asked in zip(exports, ("f32", precision), strict=True):
        graph = load_graph(export, settings.model_copy(update={"detector_precision": asked}))
        if isinstance(graph, str):
            raise Misconfigured(f"the export {export.folder} cannot be run in {asked}: {graph}")
        looks.append(graph.detect_one)
    return looks[0], looks[1]


def _agreement(looks: tuple[Look, Look], pictures: Sequence[Pixels], threads: Executor) -> Agreement:
    agreement = Agreement()
    first, second = (threads.map(look, pictures) for look in looks)
    for one, other in zip(first, second, strict=True):
        agreement.add(one, other)
    return agreement


def _of_one_shape(pictures: Sequence[Pixels]) -> list[Pixels]:
    """Return pictures of the commonest shape: a graph for another one is compiled first, which is no race."""
    ((shape, _),) = Counter(picture.shape for picture in pictures).most_common(1)
    return list(islice(cycle(picture for picture in pictures if picture.shape == shape), RACED_PICTURES))


def _labelled(
    samples: Sequence[Sample], pictures: Sequence[Pixels], *, classes: int
) -> list[tuple[Pixels, Labels]]:
    found = []
    for sample, picture in zip(samples, pictures, strict=True):
        file = find_labels(sample.file)
        if file is not None:
            height, width = picture.shape[:2]
            found.append((picture, read_labels(file, width=width, height=height, classes=classes)))
    return found


def _findings(detect: Detect, labelled: Sequence[tuple[Pixels, Labels]], threads: Executor) -> list[Labelled]:
    look = partial(detect, wanted=Wanted(VALIDATION_CONF, VALIDATION_IOU))
    answers = threads.map(look, [picture for picture, _ in labelled])
    return [
        Labelled(
            boxes.corners.tolist(),
            boxes.scores.tolist(),
            boxes.classes.tolist(),
            labels.boxes,
            labels.classes,
        )
        for boxes, (_, labels) in zip(answers, labelled, strict=True)
    ]


async def _scores(findings: list[list[Labelled]], settings: Settings) -> tuple[Score, Score]:
    with TemporaryDirectory(prefix="kadr-score-") as folder:
        file = Path(folder) / "findings.json"
        file.write_bytes(msgspec.json.encode(findings))
        outcome = await run_child("score", str(file), Path(folder), data_dir=settings.data_dir)
    if outcome.error:
        raise Misconfigured(outcome.error)
    first, second = outcome.scores
    return first, second


def _left(confidences: list[float], boxes: int) -> str:
    if not confidences:
        return "0"
    share = f" ({len(confidences) / boxes:.1%} of f32's)" if boxes else ""
    return f"{len(confidences)}{share}, the most confident {max(confidences):.2f}"
