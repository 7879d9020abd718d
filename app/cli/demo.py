"""One video through a stack of its own, from nothing to a table."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import typer
from rich.console import Console

from app.cli.addresses import addresses_of
from app.cli.exits import VideoFailed
from app.cli.findings import Result, summarise
from app.cli.following import open_follower
from app.cli.local_stack import describe_model, use_stack
from app.cli.results import list_findings, write_result
from app.cli.terminal import create_output
from app.clients.kadr_api import KadrApi, open_kadr_api
from app.errors import Rejected
from app.local.foreground import interruptible
from app.local.stack import LocalStack

SEED: Final = 8
FRAMES: Final = 150
OBJECTS: Final = 4
SIZE: Final = (640, 360)
"""Pixels of the synthetic clip; the demo model is good from 480 of width."""

RESULTS: Final = Path("results")
"""Below the working directory: where whoever ran the demo looks for it."""


def run_demo(video: Path | None, *, environment: Mapping[str, str], notes: Console) -> None:
    """Find the objects in a video and say what they are; what is started here is stopped again.

    Args:
        video: any; None draws one.
        environment: of the stack.
        notes: where progress is shown.

    Raises:
        KadrError: it did not work; the sentence says why.
    """
    if video is not None:
        check_readable(video)
    stack = LocalStack.from_environment(environment)
    with interruptible(), use_stack(stack, notes), open_kadr_api(addresses_of(stack)) as kadr:
        _warn_of_other_model(kadr, environment, notes)
        _look_at(video or draw_video(stack.folder.root / "demo", notes), kadr, notes)


def draw_video(folder: Path, notes: Console) -> Path:
    """Draw the demo's own clip, always the same."""
    from models.shapes import write_clip  # noqa: PLC0415 - OpenCV and PyAV, which other commands do without

    folder.mkdir(parents=True, exist_ok=True)
    clip = folder / "shapes.mp4"
    with notes.status("Drawing a video of moving shapes …"):
        write_clip(clip, seed=SEED, frames=FRAMES, size=SIZE, objects=OBJECTS)
    return clip


def check_readable(file: Path) -> None:
    """Return when a file can be opened.

    Raises:
        OSError: it cannot.
    """
    file.open("rb").close()


def _look_at(video: Path, kadr: KadrApi, notes: Console) -> None:
    with open_follower(kadr, notes) as follower:
        ended = next(follower.wait([follower.upload(video)]))
    if ended.status == "refused":
        raise Rejected("refused", ended.reason)
    if ended.result is None:
        raise VideoFailed(ended.video_id, ended.reason)
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{video.stem}.json"
    write_result(kadr, ended.video_id, target)
    _show(video, ended.result, target)


def _show(video: Path, result: Result, target: Path) -> None:
    facts = result.video
    size = f"{facts.width}x{facts.height}, {facts.duration:.1f} s"
    typer.echo(f"{video.name}: {size}, {facts.frames} frames, of which {facts.sampled} were looked at")
    found = summarise(result.prediction)
    if found:
        create_output().print(list_findings(found))
    else:
        typer.echo("Nothing was found.")
    if result.frame_errors:
        typer.echo(f"{result.frame_errors} frames could not be looked at; the result says why.")
    for line in describe_model(result.model):
        typer.echo(line)
    typer.echo(f"result     {os.path.relpath(target)}")


def _warn_of_other_model(kadr: KadrApi, environment: Mapping[str, str], notes: Console) -> None:
    """A stack that runs already keeps the model that it was started with."""
    wanted, used = environment.get("MODEL"), kadr.model()
    if wanted and used is not None and Path(wanted).stem != used.name:
        notes.print(f"MODEL={wanted} has no effect here: the running stack uses {used.name}.", soft_wrap=True)
