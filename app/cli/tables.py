"""Tables for people: videos, what was found in one, and what was followed through it."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from rich.table import Table

from app.cli.findings import ClassFound
from app.cli.wording import local_time, progress_of, reason_of
from app.client.findings import ClassSummary, Segment, Track
from app.client.videos import Operation, Video

MOST_SPANS: Final = 8
"""Spans of one class in a table; `--json` has all of them."""


def list_operations(operations: Iterable[Operation]) -> Table:
    """Videos and how far each is, in a sentence."""
    table = Table("video", "status", "description", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for each in operations:
        table.add_row(each.video_id, each.status_code, each.status_description)
    return table


def list_videos(videos: Iterable[Video]) -> Table:
    """Videos, a row for each."""
    table = Table("video", "status", "created", "file", "tags", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for each in videos:
        table.add_row(
            each.id, each.status, local_time(each.created_at), each.filename or "-", ",".join(each.tags)
        )
    return table


def show_video(video: Video) -> Table:
    """Everything that is known of one video."""
    table = Table("", "", box=None, pad_edge=False, show_header=False)
    table.columns[0].no_wrap = True
    chosen = [(name, value) for name, value in video.options.items() if value is not None]
    facts = {
        "video": video.id,
        "file": video.filename,
        "status": video.status,
        "progress": None if video.has_ended else progress_of(video),
        "reason": reason_of(video),
        "attempt": str(video.attempt),
        "tags": ", ".join(video.tags),
        "options": "  ".join(f"{name}={_said(value)}" for name, value in chosen),
        "stored at": f"{video.bucket}/{video.object}" if video.bucket else None,
    }
    times = video.times
    for name in times.__struct_fields__ if times else ():
        facts[name] = local_time(at) if (at := getattr(times, name)) else None
    for heading, text in facts.items():
        if text:
            table.add_row(heading, text)
    return table


def list_findings(found: Iterable[ClassFound]) -> Table:
    """What was found, a row per class."""
    table = Table("class")
    for heading in ("detections", "frames", "first s", "last s", "best confidence"):
        table.add_column(heading, justify="right")
    for each in found:
        counts = (str(each.detections), str(each.frames))
        table.add_row(each.name, *counts, _seconds(each.first), _seconds(each.last), f"{each.best:.2f}")
    return table


def list_classes(classes: Iterable[ClassSummary]) -> Table:
    """What there is of each class, with the spans of time in which it is to be seen."""
    table = Table("class", box=None, pad_edge=False)
    for heading in ("detections", "frames", "at once", "best confidence"):
        table.add_column(heading, justify="right")
    table.add_column("seen, s")
    for each in classes:
        counts = (str(each.detections), str(each.frames), str(each.most_at_once))
        table.add_row(each.class_, *counts, f"{each.conf:.2f}", _spans(each.segments))
    return table


def list_tracks(tracks: Iterable[Track]) -> Table:
    """What was followed, a row per track."""
    table = Table("track", "class", box=None, pad_edge=False)
    for heading in ("from s", "to s", "frames", "best confidence"):
        table.add_column(heading, justify="right")
    for each in tracks:
        spans = (_seconds(each.start), _seconds(each.end))
        table.add_row(str(each.track), each.class_, *spans, str(each.frames), f"{each.conf:.2f}")
    return table


def _spans(segments: Sequence[Segment]) -> str:
    said = ", ".join(f"{span.start:.2f}-{span.end:.2f}" for span in segments[:MOST_SPANS])
    more = len(segments) - MOST_SPANS
    return f"{said}, … {more} more" if more > 0 else said


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _said(value: object) -> str:
    """Return an option as the command line takes it."""
    if value is False:
        return "off"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
