"""JSON, JSON Lines and CSV: one thing after the other, as it stands in the result."""

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from app.domain.result_rows import RESULT
from app.domain.results import Document, Row
from app.exports.selection import Selection

COLUMNS: Final = ("frame", "time", "class", "conf", "left", "top", "right", "bottom")
"""Of a CSV file. A ninth, `track`, is there where tracks were looked for."""

FLUSHED_AT: Final = 1 << 16
"""Characters of CSV that are gathered before they are written."""

_encoder = msgspec.json.Encoder()


def write_json(document: Document, selection: Selection, out: BinaryIO) -> None:
    """Write a result with what was asked for, otherwise the same."""
    out.write(document.prefix + RESULT.opening)
    separator = b""
    for row in _listed(document, selection):
        out.write(separator + _encoder.encode(row))
        separator = b","
    out.write(b"]}")


def write_jsonl(document: Document, selection: Selection, out: BinaryIO) -> None:
    """Write a line for each frame."""
    out.writelines(_encoder.encode(row) + b"\n" for row in _listed(document, selection))


def write_csv(document: Document, selection: Selection, out: BinaryIO) -> None:
    """Write a line for each object, as RFC 4180 has it; frames without any have none."""
    text = io.StringIO()
    lines = csv.writer(text)
    has_tracks = document.head.has_tracks
    lines.writerow((*COLUMNS, "track") if has_tracks else COLUMNS)
    for row in selection.select(document.rows()):
        for each in row.objects:
            line = (row.frame, row.time, each.class_, each.conf, *each.box)
            lines.writerow((*line, each.track) if has_tracks else line)
        if text.tell() > FLUSHED_AT:
            _flush(text, out)
    _flush(text, out)


def _flush(text: io.StringIO, out: BinaryIO) -> None:
    out.write(text.getvalue().encode())
    text.seek(0)
    text.truncate()


def _listed(document: Document, selection: Selection) -> Iterator[Row]:
    return (row for row in selection.select(document.rows()) if not selection.says_nothing(row))
