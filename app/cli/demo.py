"""One video through a stack of its own, from nothing to a table."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import typer
from rich.console import Console

from app.cli.addresses import Addresses, open_async_kadr
from app.cli.bars import open_bars
from app.cli.findings import summarise
from app.cli.following import Wish, follow, upload
from app.cli.local_stack import describe_model, use_stack
from app.cli.servers import addresses_of
from app.cli.tables import list_findings
from app.cli.terminal import create_output
from app.cli.written import write_json
from app.client import Result, VideoFailed
from app.client.documents import UNKNOWN
from app.clients.http.worker_pages import model_of
from app.errors import Rejected
from app.local.interrupts import interruptible, run_interruptible
from app.local.stack import LocalStack

SEED: Final = 8
FRAMES: Final = 150
OBJECTS: Final = 4
SIZE: Final = (640, 360)
"""Pixels of the synthetic clip; the demo model is good from 480 of width."""

RESULTS: Final = Path("results")
"""Below the working directory: where whoever ran the demo looks for it, and for the clip that was drawn."""


def run_demo(
    video: Path | None, *, environment: Mapping[str, str], notes: Console, as_json: bool = False
) -> None:
    """Find the objects in a video and say what they are; what is started here is stopped again.

    Args:
        video: any; None draws one.
        environment: of the stack.
        notes: where progress is shown.
        as_json: whether to say it as JSON.

    Raises:
        KadrError: it did not work; the sentence says why.
    """
    if video is not None:
        video.open("rb").close()
    stack = LocalStack.from_environment(environment)
    with interruptible(), use_stack(stack, notes):
        found = addresses_of(stack)
        _warn_of_other_model(found, environment, notes)
        clip = video or draw_video(RESULTS, notes)
        target = RESULTS / f"{clip.stem}.json"
        result = run_interruptible(_look_at(clip, target, found, notes))
    if as_json:
        write_json(_facts(clip, result, target))
    else:
        _show(clip, result, target)
        if video is None:
            typer.echo(f"video      {clip}")


def draw_video(folder: Path, notes: Console) -> Path:
    """Draw the demo's own clip, always the same."""
    from models.shapes import write_clip  # noqa: PLC0415 - OpenCV and PyAV, which other commands do without

    folder.mkdir(parents=True, exist_ok=True)
    clip = folder / "shapes.mp4"
    with notes.status("Drawing a video of moving shapes …"):
        write_clip(clip, seed=SEED, frames=FRAMES, size=SIZE, objects=OBJECTS)
    return clip


async def _look_at(video: Path, target: Path, found: Addresses, notes: Console) -> Result:
    with open_bars(notes, 1) as bars:
        async with open_async_kadr(found=found) as kadr:
            ended = await follow(kadr, await upload(kadr, video, Wish(), bars))
            if ended.video is None:
                raise Rejected("refused", ended.refusal)
            if not ended.is_ready:
                error = ended.video.error or UNKNOWN
                raise VideoFailed(ended.video.id, error.code, error.message)
            target.parent.mkdir(exist_ok=True)
            await kadr.save_result(ended.video.id, target)
            return await kadr.result(ended.video.id)


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


def _facts(video: Path, result: Result, target: Path) -> dict[str, object]:
    return {
        "file": str(video),
        "id": result.event_id,
        "video": result.video,
        "model": result.model,
        "classes": summarise(result.prediction),
        "frame_errors": result.frame_errors,
        "result": os.path.relpath(target),
    }


def _warn_of_other_model(found: Addresses, environment: Mapping[str, str], notes: Console) -> None:
    """A stack that runs already keeps the model that it was started with."""
    wanted, used = environment.get("MODEL"), model_of(found.inference)
    if wanted and used is not None and Path(wanted).stem != used.name:
        notes.print(f"MODEL={wanted} has no effect here: the running stack uses {used.name}.", soft_wrap=True)
