"""`python -m benchmarks`: measure, and write `results.json` and `RESULTS.md`."""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast, get_args

import msgspec

from app.clients.http.worker_pages import model_of
from app.detection.export import SUFFIX, Export, load_export
from app.detection.weights import DEMO_MODEL, MODELS, Weights, find_weights
from app.domain.precision import Precision
from app.errors import KadrError, Misconfigured
from app.local.interrupts import interruptible
from app.settings import Settings
from benchmarks.course import Course, check_parity, plan_turns
from benchmarks.findings import SIDES, Findings, Run, Side
from benchmarks.machine import changed_settings, describe_commit, describe_machine, list_versions
from benchmarks.report import render
from benchmarks.rivals import EXPORTED, open_rivals
from benchmarks.service import open_service
from benchmarks.videos import DRAWN, REAL, Video, collect, data_folder, default_names, draw_latency_clip

OUTPUT: Final = Path(__file__).parent


def main() -> int:
    """Run what the command line asks for; return 1 with a sentence when it cannot be done."""
    asked = _parse()
    try:
        with interruptible(), tempfile.TemporaryDirectory(prefix="kadr-bench-") as folder:
            findings = run_benchmark(asked, Path(folder))
    except KadrError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    asked.output.mkdir(parents=True, exist_ok=True)
    data = msgspec.json.format(msgspec.json.encode(findings), indent=1)
    (asked.output / "results.json").write_bytes(data + b"\n")
    (asked.output / "RESULTS.md").write_text(render(findings), encoding="utf-8")
    _say(f"written: {os.path.relpath(asked.output / 'RESULTS.md')}")
    return 0


def run_benchmark(asked: argparse.Namespace, folder: Path) -> Findings:
    """Measure everything that is asked for.

    Args:
        asked: the command line.
        folder: an empty one, for everything that is written meanwhile.

    Raises:
        KadrError: it cannot be done; the sentence says why.
    """
    began = time.monotonic()
    weights, export = asyncio.run(_prepare_model(asked.model, folder, asked.sides))
    findings = Findings(
        began=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=describe_commit(),
        model=(weights.name, weights.sha256),
        machine=describe_machine(),
        versions=list_versions(),
        settings=changed_settings(os.environ),
    )
    _say("collecting the videos")
    videos = collect(asked.videos, folder)
    findings.videos = [video.facts for video in videos]
    courses = []
    for precision in asked.precision:
        run = Run(precision)
        findings.runs.append(run)
        courses.append(
            (run, _run(asked, run, findings, videos=videos, weights=weights, export=export, folder=folder))
        )
    if asked.parity:
        check_parity(videos, courses, weights.path, _say)
    findings.minutes = (time.monotonic() - began) / 60
    return findings


def _run(
    asked: argparse.Namespace,
    run: Run,
    findings: Findings,
    *,
    videos: Sequence[Video],
    weights: Weights,
    export: Export | None,
    folder: Path,
) -> Course:
    """Measure one Kadr against the others."""
    _say(f"starting Kadr at {run.precision} and the others")
    with (
        open_service(
            folder / run.precision, model=weights.path, precision=run.precision, environment=os.environ
        ) as service,
        open_rivals(asked.sides, weights.path, export, folder) as rivals,
    ):
        model = model_of(f"http://127.0.0.1:{service.stack.ports.inference}")
        run.backend = model.backend if model else ""
        course = Course(service, rivals, run, _say)
        course.warm_up(videos)
        course.measure_idle()
        if asked.latency:
            course.measure_latency(draw_latency_clip(folder), times=asked.latency)
        sides: list[Side] = ["kadr", *(rival.side for rival in rivals)]
        until = time.monotonic() + asked.minutes * 60
        course.take(plan_turns(sides, videos, asked.repeats), until=until)
        findings.rivals.update(course.notes)
    return course


async def _prepare_model(
    model: Path | None, folder: Path, sides: Sequence[Side]
) -> tuple[Weights, Export | None]:
    """Copy the weights and what was exported of them into the folder; export them if a side needs it."""
    data = data_folder()
    shared = data / "weights" / "yolov8n.pt" if data else None
    source = model or (shared if shared is not None and shared.is_file() else MODELS / DEMO_MODEL)
    if not source.is_file():
        raise Misconfigured(f"there are no weights {source}")
    copy = folder / source.name
    shutil.copyfile(source, copy)
    settings = Settings(model=str(copy), data_dir=folder)
    weights = await find_weights(settings)
    for made in source.parent.glob(f"*-{weights.sha256[:16]}-*{SUFFIX}"):
        shutil.copytree(made, folder / made.name)
    if EXPORTED.isdisjoint(sides):
        return weights, None
    export = await load_export(weights, settings)
    if not export.facts.graph:
        raise Misconfigured(f"{source.name} cannot be exported, and so not compared: {export.facts.no_graph}")
    return weights, export


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    videos = f"{', '.join((*REAL, *DRAWN))}, or files"
    parser.add_argument("--videos", nargs="+", default=default_names(), help=videos)
    parser.add_argument("--repeats", type=int, default=5, help="of each side with each video (5)")
    parser.add_argument(
        "--minutes", type=float, default=120, help="after which no repetition is begun any more (120)"
    )
    parser.add_argument("--latency", type=int, default=20, help="how often a short clip is timed (20)")
    parser.add_argument(
        "--sides", nargs="+", default=list(SIDES), choices=SIDES, help="whom to measure beside Kadr (all)"
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        default=["f32"],
        choices=get_args(Precision),
        help="of Kadr's model (f32); int8 must have been exported beside the weights",
    )
    parser.add_argument(
        "--no-parity", dest="parity", action="store_false", help="leave the results uncompared"
    )
    parser.add_argument("--model", type=Path, help="weights (yolov8n.pt of the test data, or the demo model)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of results.json and RESULTS.md")
    asked = parser.parse_args()
    asked.sides = cast("list[Side]", asked.sides)
    return asked


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
