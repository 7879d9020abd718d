"""The forms that a result is given in, and how a client says which one it wants."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from app.domain.filenames import content_disposition

FormatName: TypeAlias = Literal["json", "jsonl", "csv", "coco", "yolo", "mot", "vtt", "parquet"]


@dataclass(frozen=True)
class Format:
    """A form.

    Attributes:
        media_type: what it is called over HTTP.
        ending: of a file's name.
    """

    media_type: str
    ending: str


FORMATS: Final[Mapping[FormatName, Format]] = {
    "json": Format("application/json", ".json"),
    "jsonl": Format("application/x-ndjson", ".jsonl"),
    "csv": Format("text/csv; charset=utf-8; header=present", ".csv"),
    "coco": Format("application/json", ".coco.json"),
    "yolo": Format("application/zip", ".yolo.zip"),
    "mot": Format("text/plain; charset=utf-8", ".mot.txt"),
    "vtt": Format("text/vtt; charset=utf-8", ".vtt"),
    "parquet": Format("application/vnd.apache.parquet", ".parquet"),
}

ACCEPTED: Final[Mapping[str, FormatName]] = {
    "*/*": "json",
    "application/*": "json",
    "application/json": "json",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "text/csv": "csv",
    "text/*": "csv",
    "text/vtt": "vtt",
    "application/zip": "yolo",
    "application/vnd.apache.parquet": "parquet",
}
"""What each media type of `Accept` stands for. COCO and MOT have none of their own."""


def choose_format(accept: str | None) -> FormatName | None:
    """Return what a client likes best of what there is; None when it takes none of it.

    Args:
        accept: the header `Accept` (RFC 9110, 12.5.1); None or empty for anything.
    """
    if not (accept or "").strip():
        return "json"
    liked = sorted((_weigh(each) for each in (accept or "").split(",")), key=lambda pair: -pair[1])
    return next((ACCEPTED[kind] for kind, weight in liked if weight > 0 and kind in ACCEPTED), None)


def disposition(filename: str | None, video_id: str, name: FormatName) -> str:
    """Return the header `Content-Disposition` for a result in this form.

    Args:
        filename: of the video, as people call it; None where nobody said.
        video_id: stands for it then.
        name: of the form.
    """
    stem = (filename or video_id).rpartition(".")[0] or filename or video_id
    return content_disposition(f"{stem}{FORMATS[name].ending}")


def _weigh(part: str) -> tuple[str, float]:
    kind, *parameters = (each.strip().lower() for each in part.split(";"))
    for each in parameters:
        name, _, value = each.partition("=")
        if name.strip() == "q":
            try:
                return kind, float(value)
            except ValueError:
                return kind, 0.0
    return kind, 1.0
