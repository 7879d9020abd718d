"""The commands that run a stack of their own, or speak to its servers."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.arguments import (
    Api,
    AsFormat,
    AsJson,
    Bucket,
    Files,
    Tags,
    Webhook,
    with_options,
)
from app.cli.written import write_json
from app.client.videos import Options

stack_app = typer.Typer()


@stack_app.command()
def up(*, as_json: AsJson = False) -> None:
    """Run the servers and Kadr's five processes until Ctrl-C."""
    from app.cli.local_stack import run_up
    from app.cli.terminal import create_notes

    run_up(os.environ, create_notes(), as_json=as_json)


@stack_app.command()
def down(*, as_json: AsJson = False) -> None:
    """Stop what `up` runs in another terminal."""
    from app.cli.servers import local_folder
    from app.local.foreground import stop_running

    root = local_folder(os.environ).root
    stopped = stop_running(root)
    if as_json:
        write_json({"folder": str(root), "stopped": stopped})
        return
    typer.echo(f"Stopped what ran on {root}." if stopped else f"Nothing runs on {root}.")


@stack_app.command()
def demo(
    video: Annotated[
        Path | None, typer.Argument(metavar="[VIDEO]", help="A video of your own; else one is drawn.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Start everything, find the objects in one video, and stop everything."""
    from app.cli.demo import run_demo
    from app.cli.terminal import create_notes

    run_demo(video, environment=os.environ, notes=create_notes(), as_json=as_json)


@stack_app.command()
@with_options
def detect(
    files: Files,
    *,
    options: Options,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the results are written.")
    ] = Path("results"),
    form: AsFormat = "json",
    existing: Annotated[
        Literal["refuse", "skip", "replace"],
        typer.Option(help="What becomes of a result that is there already: skip goes on after a stop."),
    ] = "refuse",
    bucket: Bucket = None,
    tags: Tags = None,
    webhook: Webhook = None,
    as_json: AsJson = False,
    api: Api = None,
) -> None:
    """Find the objects in videos: a result for each in DIR, named after it.

    Where no Kadr runs, one is started and stopped again. Ctrl-C cancels what is not done.
    """
    from app.cli.detecting import detect_all, plan_jobs, running_kadr
    from app.cli.following import Wish
    from app.cli.terminal import create_notes
    from app.cli.video_commands import Told
    from app.local.interrupts import interruptible

    jobs = plan_jobs(files, output, form, existing)
    wish, told, notes = Wish(options, bucket, tags or [], webhook), Told(as_json=as_json), create_notes()
    if skipped := len(files) - len(jobs):
        notes.print(f"{skipped} of {len(files)} results are there already.")
    if jobs:
        with interruptible(), running_kadr(os.environ, api, notes) as found:
            detect_all(jobs, wish, form, found=found, notes=notes, told=told.tell)
    told.end()


@stack_app.command()
def recover(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked for again; change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask again for every video without an outcome, after Kafka has lost its data.

    What is in work is begun anew: nothing of it is lost or doubled, but its work is done again.
    """
    from dataclasses import asdict

    from app.cli.recovery import recover as recover_everything
    from app.cli.servers import find_settings

    found = asyncio.run(recover_everything(find_settings(os.environ), is_dry_run=dry_run))
    if as_json:
        write_json({**asdict(found), "dry_run": dry_run})
        return
    typer.echo(found.sentence(is_dry_run=dry_run))
