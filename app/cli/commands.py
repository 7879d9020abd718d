"""Every command with its options; the exit codes stand in `app.cli.exits`."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from app.cli.addresses import find_addresses, find_settings, local_folder
from app.cli.demo import check_readable, run_demo
from app.cli.exits import EXIT_FAILED
from app.cli.following import Followed, Follower, describe_progress, open_follower, reason_of
from app.cli.local_stack import run_up
from app.cli.model_commands import model_app
from app.cli.recovery import recover as recover_everything
from app.cli.results import list_operations, write_result
from app.cli.set_aside import find_message, find_messages, list_messages, resend_message, show_message
from app.cli.terminal import create_notes, create_output
from app.clients.kadr_api import KadrApi, open_kadr_api
from app.local.foreground import stop_running

typer_app = typer.Typer(
    help="Find the objects in videos, on your own machine.",
    add_completion=False,
    rich_markup_mode=None,
)
rejected = typer.Typer(help="Messages that the pipeline has set aside.")
typer_app.add_typer(rejected, name="rejected")
typer_app.add_typer(model_app, name="model")

Api = Annotated[str | None, typer.Option("--api", help="Where Kadr is; else API_URL, API_PORT or port 8080.")]
VideoId = Annotated[str, typer.Argument(metavar="ID", help="As `submit` printed it.")]
OneVideo = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="As `submit` printed it; else the newest.")
]
Position = Annotated[str, typer.Argument(help="TOPIC/PARTITION/OFFSET, as `rejected list` prints it.")]


@typer_app.command()
def up() -> None:
    """Run the servers and Kadr's five processes until Ctrl-C."""
    run_up(os.environ, create_notes())


@typer_app.command()
def down() -> None:
    """Stop what `up` runs in another terminal."""
    root = local_folder(os.environ).root
    stopped = stop_running(root)
    typer.echo(f"Stopped what ran on {root}." if stopped else f"Nothing runs on {root}.")


@typer_app.command()
def demo(
    video: Annotated[Path | None, typer.Argument(help="A video of your own; else one is drawn.")] = None,
) -> None:
    """Start everything, find the objects in one video, and stop everything."""
    run_demo(video, environment=os.environ, notes=create_notes())


@typer_app.command()
def submit(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Videos.")],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until each is ready or has failed.")] = False,
    bucket: Annotated[str | None, typer.Option(help="Where they are kept.")] = None,
    api: Api = None,
) -> None:
    """Upload videos."""
    for file in files:
        check_readable(file)
    with (
        open_kadr_api(find_addresses(os.environ, api=api)) as kadr,
        open_follower(kadr, create_notes()) as bars,
    ):
        uploaded = _upload(files, bucket, bars)
        ended = list(bars.wait(uploaded)) if wait else uploaded
    for each in ended:
        typer.echo(each.line)
    if any(each.status in {"failed", "refused"} for each in ended):
        raise typer.Exit(EXIT_FAILED)


@typer_app.command()
def status(
    video_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One video; else the newest.")
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest.")] = 20,
    api: Api = None,
) -> None:
    """Show how far videos are."""
    with open_kadr_api(find_addresses(os.environ, api=api)) as kadr:
        if video_id is not None:
            typer.echo(_status_line(kadr, video_id))
            return
        found = kadr.newest(limit)
    create_output().print(list_operations(found.operations))
    create_notes().print(f"{len(found.operations)} of {found.total} videos, newest first")


@typer_app.command()
def result(
    video_id: VideoId,
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Else standard output.")] = None,
    api: Api = None,
) -> None:
    """Write a video's result, as JSON."""
    with open_kadr_api(find_addresses(os.environ, api=api)) as kadr:
        write_result(kadr, video_id, output)


@typer_app.command()
def recover(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked for again; change nothing.")
    ] = False,
) -> None:
    """Ask again for every video without an outcome, after Kafka has lost its data.

    What is in work is begun anew: nothing of it is lost or doubled, but its work is done again.
    """
    found = asyncio.run(recover_everything(find_settings(os.environ), is_dry_run=dry_run))
    typer.echo(found.sentence(is_dry_run=dry_run))


@rejected.command("list")
def list_command() -> None:
    """List what is set aside, oldest first."""
    found = asyncio.run(find_messages(find_settings(os.environ)))
    if found:
        create_output().print(list_messages(found))
    create_notes().print(f"{len(found)} message{'' if len(found) == 1 else 's'} set aside")


@rejected.command()
def show(position: Position) -> None:
    """Show one message: its headers and its body."""
    show_message(asyncio.run(find_message(find_settings(os.environ), position)))


@rejected.command()
def resend(position: Position) -> None:
    """Publish one message again; it is no longer set aside."""
    asyncio.run(resend_message(find_settings(os.environ), position))
    typer.echo(f"{position} is sent again.")


commands = typer.main.get_command(typer_app)
"""The command line as one object that can be called with arguments."""


def _upload(files: list[Path], bucket: str | None, follower: Follower) -> list[Followed]:
    return [follower.upload(file, bucket=bucket) for file in files]


def _status_line(kadr: KadrApi, video_id: str) -> str:
    note, progress = kadr.note_of(video_id), kadr.progress(video_id)
    said = reason_of(note) if note.status == "failed" else describe_progress(progress) if progress else ""
    return f"{video_id}  {note.status}  {said}".rstrip()
