"""The commands about what was found: results in many forms, tracks, and the video with its boxes drawn."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.addresses import open_kadr
from app.cli.arguments import Api, AsFormat, AsJson, From, OfClass, Output, To, VideoId, Within
from app.cli.written import write_json, write_lines
from app.client.findings import BINARY
from app.errors import Missing

result_app = typer.Typer()


@result_app.command()
def result(video_id: VideoId, *, output: Output = None, as_json: AsJson = False, api: Api = None) -> None:
    """Write a video's result as Kadr keeps it, as JSON."""
    from app.client import NotFound

    with open_kadr(api) as kadr:
        try:
            size = kadr.save_result(video_id, output or sys.stdout.buffer)
        except NotFound as error:
            raise Missing(f"the video {video_id}") from error
    if as_json and output:
        write_json({"id": video_id, "file": str(output), "bytes": size})


@result_app.command()
def export(
    video_id: VideoId,
    *,
    output: Output = None,
    form: AsFormat = "json",
    classes: OfClass = None,
    min_conf: Annotated[float | None, typer.Option(min=0, max=1, help="Least confidence.")] = None,
    start: From = None,
    end: To = None,
    tracks: Annotated[bool, typer.Option("--tracks", help="Say which track each object is part of.")] = False,
    as_json: AsJson = False,
    api: Api = None,
) -> None:
    """Write what was found in a video, in a form that other tools read.

    With `--json`, what was written is told as JSON, which needs `--output`.
    """
    if as_json and output is None:
        raise typer.BadParameter("--json needs --output: standard output is the result's")
    if form in BINARY and output is None and sys.stdout.isatty():
        raise typer.BadParameter(f"--format {form} is nothing for a terminal: it needs --output")
    with open_kadr(api) as kadr:
        size = kadr.export(
            video_id,
            output or sys.stdout.buffer,
            format=form,
            classes=classes or (),
            min_conf=min_conf,
            start=start,
            end=end,
            tracks=tracks,
        )
    if as_json:
        write_json({"id": video_id, "file": str(output), "format": form, "bytes": size})


@result_app.command()
def summary(
    video_id: VideoId,
    *,
    classes: OfClass = None,
    gap: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Sights that are no further apart are one. [1 or more]"),
    ] = None,
    as_json: AsJson = False,
    api: Api = None,
) -> None:
    """Say what is in a video, and when."""
    from app.cli.tables import list_classes
    from app.cli.terminal import create_notes, create_output

    with open_kadr(api) as kadr:
        found = kadr.summary(video_id, gap=gap, classes=classes or ())
    if as_json:
        write_json(found)
        return
    create_output().print(list_classes(found.classes))
    create_notes().print(f"{found.looked_at} frames were looked at, {found.interval:.3g} s apart")
    if found.not_looked_at:
        create_notes().print(
            f"frames that could not be looked at: {found.not_looked_at}; the result says why"
        )


@result_app.command()
def tracks(
    video_id: VideoId,
    *,
    classes: OfClass = None,
    start: From = None,
    end: To = None,
    as_json: AsJson = False,
    api: Api = None,
) -> None:
    """List the objects that were followed through a video, in the order in which they begin."""
    from app.cli.tables import list_tracks
    from app.cli.terminal import create_notes, create_output

    with open_kadr(api) as kadr:
        found = kadr.tracks(video_id, classes=classes or (), start=start, end=end)
        if as_json:
            write_lines(found)
            return
        rows = list(found)
    create_output().print(list_tracks(rows))
    create_notes().print(f"{len(rows)} track{'' if len(rows) == 1 else 's'}")


@result_app.command("open")
def open_command(
    video_id: VideoId,
    *,
    what: Annotated[
        Literal["annotated", "preview", "media"],
        typer.Option(help="With its boxes, small and for every browser, or as it was sent."),
    ] = "annotated",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Keep the video here.")
    ] = None,
    within: Within = 600.0,
    as_json: AsJson = False,
    api: Api = None,
) -> None:
    """Show a video in the browser, and print its address.

    It is made first where it is not there yet. Where a key is needed, which no browser sends, or with
    `--output`, it is saved and the file is shown.
    """
    from app.cli.opening import open_video
    from app.cli.terminal import create_notes

    url, is_shown = open_video(video_id, what, output=output, within=within, api=api, notes=create_notes())
    if as_json:
        write_json({"id": video_id, "what": what, "url": url, "opened": is_shown})
    else:
        typer.echo(url)
