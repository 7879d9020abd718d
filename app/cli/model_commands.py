"""`kadr model`: its commands with their options; what they do is imported when they are called."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.arguments import AsJson
from app.cli.exits import say
from app.cli.written import write_json
from app.domain.precision import Precision
from app.errors import EXIT_MISCONFIGURED

if TYPE_CHECKING:
    from app.settings import Settings

model_app = typer.Typer(help="The model: make its exports, compare them, say what runs here.")

Model = Annotated[
    str | None,
    typer.Argument(metavar="[MODEL]", help="A .pt file or a name that Ultralytics knows; else the setting."),
]


@model_app.command()
def info(model: Model = None, *, as_json: AsJson = False) -> None:
    """Say which weights are used, what runs them here and why; nothing is changed."""
    from app.cli.models import report_model

    report = asyncio.run(report_model(_settings(model)))
    _print(report.lines, as_json=as_json)
    if report.refusal:
        raise typer.Exit(say(report.refusal, exit_code=EXIT_MISCONFIGURED))


@model_app.command()
def export(
    model: Model = None,
    *,
    precision: Annotated[Precision | None, typer.Option(help="Else DETECTOR_PRECISION.")] = None,
    calibrate: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH", help="For int8: a video, a picture or a folder of them; may be repeated."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Export the weights for OpenVINO, unless that was done before.

    An INT8 export is calibrated on your own pictures or frames of your own videos, 300 at most. In bf16 the
    f32 export is run.
    """
    from app.cli.models import export_model
    from app.cli.terminal import create_notes

    settings = _settings(model)
    wanted = precision or settings.detector_precision
    if wanted == "int8" and not calibrate:
        raise typer.BadParameter(
            "--precision int8 needs --calibrate: your videos, pictures or folders of them"
        )
    if wanted != "int8" and calibrate:
        raise typer.BadParameter("--calibrate is for --precision int8")
    with create_notes().status(f"Exporting at {wanted} …"):
        exported = asyncio.run(export_model(settings, wanted, calibrate or []))
    _note(exported.notes)
    folder = str(exported.export.folder)
    write_json({"folder": folder, "precision": wanted}) if as_json else typer.echo(folder)


@model_app.command()
def compare(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH…", help="Videos, pictures or folders of them.")
    ],
    *,
    model: Annotated[str | None, typer.Option(help="As for `export`.")] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="int8 or bf16; else DETECTOR_PRECISION, else int8.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what INT8 or bf16 changes, in boxes and in time: both look at the same pictures as f32.

    Where pictures have labels in YOLO's format (`images/…/a.jpg` beside `labels/…/a.txt`), how well both
    agree with them is said too.
    """
    from app.cli.differences import compare_model
    from app.cli.terminal import create_notes

    settings = _settings(model)
    if precision == "f32":
        raise typer.BadParameter("--precision f32 is what the others are compared with")
    by_setting = "int8" if settings.detector_precision == "f32" else settings.detector_precision
    with create_notes().status("Comparing …"):
        differences = asyncio.run(compare_model(settings, precision or by_setting, paths))
    _note(differences.notes)
    _print(differences.lines, as_json=as_json)


def _settings(model: str | None) -> "Settings":
    from app.cli.servers import read_settings

    settings = read_settings()
    return settings if model is None else settings.model_copy(update={"model": model})


def _print(lines: Iterable[tuple[str, str]], *, as_json: bool) -> None:
    if as_json:
        write_json({heading.replace(" ", "_"): text for heading, text in lines})
        return
    for heading, text in lines:
        typer.echo(f"{heading:<10} {text}")


def _note(notes: Iterable[str]) -> None:
    for note in notes:
        say(note)
