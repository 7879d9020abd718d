"""The only module that imports Ultralytics and torch: loads weights safely, exports and fetches them.

Run as a program it does one job and ends, so that the process that asked never loads torch (926 MB
resident instead of 258):

    python -m app.detection.checkpoint export WEIGHTS SHA256 FOLDER
    python -m app.detection.checkpoint inspect WEIGHTS SHA256 FOLDER
    python -m app.detection.checkpoint fetch NAME FOLDER
    python -m app.detection.checkpoint score FINDINGS FOLDER

It prints one line of JSON; see `app.detection.child`, which reads it.

One module, because what makes loading safe is an environment variable that Ultralytics reads while it is
imported: here nobody can import it earlier. Inside functions, because a process with an exported model
never needs either.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from app.detection.facts import DETECT, GraphFacts, Labelled, Outcome, Score
from app.errors import Misconfigured

COPIED_AT_ONCE: Final = 1 << 20
"""Bytes."""

EXPORT_SIZE: Final = 640
"""Side of the example picture of the export; the graph takes any size."""

WITH_BOXES: Final = frozenset({"detect", "segment", "pose", "obb"})
"""Tasks of Ultralytics whose answer contains boxes."""


def safe_environment(data_dir: Path, *, offline: bool) -> dict[str, str]:
    """Return the variables that make Ultralytics load safely, install nothing, and write to `data_dir`."""
    return {
        # Unpickling is restricted to a list of known classes: a weights file cannot run code.
        "ULTRALYTICS_SAFE_LOAD": "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_OFFLINE": str(offline).lower(),
        "YOLO_CONFIG_DIR": str(data_dir.resolve() / "ultralytics"),
    }


def load_model(weights: Path, sha256: str) -> Any:  # noqa: ANN401  # a vendor's object, for this package
    """Return Ultralytics' model of a weights file; a pickle that names foreign code is refused.

    Args:
        weights: the file.
        sha256: of what was found there, which is what is loaded or nothing.

    Raises:
        Misconfigured: the file has changed, cannot be loaded, or holds no model that finds objects.
    """
    with tempfile.TemporaryDirectory(prefix="kadr-weights-") as folder:
        copy = Path(folder) / weights.name
        _copy(weights, copy, sha256)
        return _loaded(copy, shown_as=weights)


def _copy(weights: Path, copy: Path, sha256: str) -> None:
    """Copy a file that nobody else writes to; what is loaded is then what was hashed.

    Raises:
        Misconfigured: it is another file than it was.
    """
    digest = hashlib.sha256()
    with weights.open("rb") as source, copy.open("xb") as target:
        while block := source.read(COPIED_AT_ONCE):
            digest.update(block)
            target.write(block)
    if digest.hexdigest() != sha256:
        raise Misconfigured(f"the weights {weights} have changed while they were looked at: start again")


def _loaded(weights: Path, *, shown_as: Path) -> Any:  # noqa: ANN401  # see load_model
    ultralytics = _import_safely()
    try:
        model = ultralytics.YOLO(str(weights))
    except Exception as error:
        message = f"the weights {shown_as} cannot be loaded: {one_line(error)}; set MODEL to other weights"
        raise Misconfigured(message) from error
    if model.task not in WITH_BOXES:
        message = (
            f"the weights {shown_as} are for the task {model.task!r} and find no objects: set MODEL to others"
        )
        raise Misconfigured(message)
    return model


def has_cuda() -> bool:
    """Return whether torch is here and sees a GPU."""
    try:
        import torch  # noqa: PLC0415  # heavy
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def forbid_rounding() -> None:
    """Have a GPU convolve in f32: torch lets cuDNN round to TF32, which has the 11 bits of f16."""
    import torch  # noqa: PLC0415  # heavy; whoever asks has it loaded

    torch.backends.cudnn.allow_tf32 = False


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether torch says that a GPU has no more memory."""
    import torch  # noqa: PLC0415  # heavy; whoever asks has it loaded

    return isinstance(error, torch.OutOfMemoryError)


def free_memory() -> None:
    """Give back what torch keeps of a GPU's memory without using it."""
    import torch  # noqa: PLC0415  # likewise

    torch.cuda.empty_cache()


def one_line(error: BaseException) -> str:
    """Return the first line of an error's text without the ornaments of Ultralytics."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text.encode("ascii", "ignore").decode().removeprefix("ERROR").strip()[:500]


def _import_safely() -> Any:  # noqa: ANN401  # a module
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "true"
    try:
        import ultralytics.nn.tasks  # noqa: PLC0415  # heavy, and only after the line above
    except ImportError as error:
        message = f"this needs torch and Ultralytics: install kadr[inference] ({error})"
        raise Misconfigured(message) from error
    # With an older torch Ultralytics falls back, silently, to loading that runs what it finds.
    if not ultralytics.nn.tasks._SafeLoad.restricted():  # noqa: SLF001  # there is no public way to ask
        raise Misconfigured("weights cannot be loaded safely here: ULTRALYTICS_SAFE_LOAD has no effect")
    return ultralytics


def _load_copy(weights: Path, sha256: str) -> tuple[Any, GraphFacts]:
    # Ultralytics writes beside the file it loaded, and edits that file's path as text: a bare name is safe.
    copy = Path(weights.name)
    _copy(weights, copy, sha256)
    model = _loaded(copy, shown_as=weights)
    names = [str(model.names.get(i, i)) for i in range(max(model.names, default=-1) + 1)]
    facts = GraphFacts(task=model.task, names=names)
    if model.task != DETECT:
        facts.no_graph = f"it is a model for the task {model.task!r}"
    return model, facts


def _inspect(weights: str, sha256: str) -> Outcome:
    return Outcome(facts=_load_copy(Path(weights), sha256)[1])


def _export(weights: str, sha256: str) -> Outcome:
    model, facts = _load_copy(Path(weights), sha256)
    if facts.no_graph:
        return Outcome(facts=facts)
    try:
        written = Path(model.export(format="openvino", dynamic=True, imgsz=EXPORT_SIZE, verbose=False))
        metadata = _import_safely().utils.YAML.load(written / "metadata.yaml")
    except Exception as error:  # noqa: BLE001  # whatever an exporter fails with, the model still runs without it
        facts.no_graph = f"its export failed: {one_line(error)}"
        return Outcome(facts=facts)
    facts.stride = int(metadata["stride"])
    facts.end2end = bool(metadata.get("end2end", False))
    facts.graph = str(next(written.glob("*.xml")))
    return Outcome(facts=facts)


def _score(findings: str) -> Outcome:
    answers = msgspec.json.decode(Path(findings).read_bytes(), type=list[list[Labelled]])
    return Outcome(scores=[_precision(pictures) for pictures in answers])


def _precision(pictures: Sequence[Labelled]) -> Score:
    """Hold boxes against labels with the arithmetic of Ultralytics' own validation."""
    _import_safely()
    import torch  # noqa: PLC0415  # heavy
    from ultralytics.models.yolo.detect import DetectionValidator  # noqa: PLC0415  # after the first line only
    from ultralytics.utils.metrics import ap_per_class, box_iou  # noqa: PLC0415  # the same

    validator = DetectionValidator(args={"plots": False})
    matches = []
    for picture in pictures:
        found, true = (torch.tensor(boxes).reshape(-1, 4) for boxes in (picture.boxes, picture.true_boxes))
        classes = (torch.tensor(picture.classes), torch.tensor(picture.true_classes))
        matches.append(validator.match_predictions(*classes, box_iou(true, found)).numpy())
    scores, found_classes, true_classes = (
        np.concatenate([np.asarray(getattr(picture, name), kind) for picture in pictures])
        for name, kind in (("scores", float), ("classes", int), ("true_classes", int))
    )
    precisions = ap_per_class(np.concatenate(matches), scores, found_classes, true_classes)[5]
    return Score(float(precisions[:, 0].mean()), float(precisions.mean()))


def _fetch(name: str) -> Outcome:
    downloads = _import_safely().utils.downloads
    if name not in downloads.GITHUB_ASSETS_NAMES:
        return Outcome(error=f"MODEL={name} is neither a file nor a model that Ultralytics knows")
    try:
        downloads.attempt_download_asset(name, retry=1)
    except Exception as error:  # noqa: BLE001  # every way a download fails means the same to the operator
        return Outcome(error=f"MODEL={name} cannot be downloaded: {one_line(error)}")
    if not Path(name).is_file():
        return Outcome(error=f"MODEL={name} cannot be downloaded: nothing arrived")
    return Outcome()


JOBS: Final[dict[str, Callable[..., Outcome]]] = {
    "export": _export,
    "inspect": _inspect,
    "fetch": _fetch,
    "score": _score,
}


def main(job: str, *words: str) -> int:
    """Do one job in the folder named last; print its outcome as JSON on the real standard output."""
    *about, folder = words
    os.chdir(folder)
    with contextlib.redirect_stdout(sys.stderr):
        try:
            outcome = JOBS[job](*about)
        except Misconfigured as error:
            outcome = Outcome(error=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
