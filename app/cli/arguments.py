"""Arguments and options that several commands have, and those that say how a video is looked at."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeAlias, cast

import msgspec
import typer

from app.client.findings import Format
from app.client.videos import Options

Api: TypeAlias = Annotated[
    str | None,
    typer.Option("--api", metavar="URL", help="Where Kadr is; else API_URL, API_PORT or port 8080."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Write JSON, a document a line.")]
VideoId: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="As `submit` printed it.")]
VideoIds: TypeAlias = Annotated[list[str], typer.Argument(metavar="ID…", help="As `submit` printed them.")]
Files: TypeAlias = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Videos.")]
Output: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Else standard output.")
]
AsFormat: TypeAlias = Annotated[Format, typer.Option("--format", "-f", help="How a result is written.")]
OfClass: TypeAlias = Annotated[
    list[str] | None, typer.Option("--class", metavar="NAME", help="Only this class; may be repeated.")
]
Within: TypeAlias = Annotated[
    float | None, typer.Option("--within", min=0, metavar="SECONDS", help="Give up after so long.")
]
From: TypeAlias = Annotated[
    float | None, typer.Option("--from", min=0, metavar="SECONDS", help="Nothing before.")
]
To: TypeAlias = Annotated[
    float | None, typer.Option("--to", min=0, metavar="SECONDS", help="Nothing from then on.")
]

Tags: TypeAlias = Annotated[
    list[str] | None, typer.Option("--tag", metavar="WORD", help="To find it by; may be repeated.")
]
Bucket: TypeAlias = Annotated[str | None, typer.Option(metavar="NAME", help="Where they are kept.")]
Webhook: TypeAlias = Annotated[str | None, typer.Option(metavar="URL", help="Is told what came of it.")]


def read_options(
    *,
    conf: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Least confidence, 0 to 1. [0.25]")
    ] = None,
    iou: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Overlap of two boxes that are one. [0.45]")
    ] = None,
    vid_stride: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Every how manieth frame. [5]")
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="NAME", help="Look for it only, by name or number; may be repeated."),
    ] = None,
    max_det: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Most detections in a frame. [300]")
    ] = None,
    imgsz: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="Longest side that the model sees. [640]")
    ] = None,
    preprocess: Annotated[
        str | None,
        typer.Option(metavar="off|JSON", help='Of pictures. [{"blur": 3, "alpha": 1.3, "beta": 5}]'),
    ] = None,
    start: Annotated[float | None, typer.Option(metavar="SECONDS", help="Look at nothing before.")] = None,
    end: Annotated[float | None, typer.Option(metavar="SECONDS", help="Look at nothing after.")] = None,
) -> Options:
    """Return how a video is to be looked at; what is not said is left to Kadr.

    Raises:
        BadParameter: `preprocess` is neither off nor JSON.
    """
    given = {
        "conf": conf,
        "iou": iou,
        "vid_stride": vid_stride,
        "classes": [int(each) if each.isdecimal() else each for each in classes or []] or None,
        "max_det": max_det,
        "imgsz": imgsz,
        "preprocess": None if preprocess is None else _preprocess(preprocess),
        "start": start,
        "end": end,
    }
    return cast("Options", {name: value for name, value in given.items() if value is not None})


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `read_options`; it gets what they say as `options`."""
    own = inspect.signature(command)
    read = inspect.signature(read_options)
    shown = [each for each in own.parameters.values() if each.name != "options"]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:  # noqa: ANN401 - whatever the command line has
        options = read_options(**{name: given.pop(name) for name in read.parameters})
        command(**given, options=options)

    wrapped.__signature__ = own.replace(parameters=[*shown, *read.parameters.values()])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {**command.__annotations__, **read_options.__annotations__, "return": None}
    del wrapped.__wrapped__  # its signature is not the one that counts
    return wrapped


def _preprocess(text: str) -> object:
    if text == "off":
        return False
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"--preprocess {text} is neither off nor JSON") from error
