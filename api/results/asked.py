"""What a client may ask of a result, as parameters of a URL."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.exports.formats import FormatName
from app.exports.selection import Selection

MOST_ROWS = 1000
"""Rows of one page."""

MOST_NAMED = 100
"""Classes, or tracks, that one request names."""

LONGEST = 10_000_000
"""Seconds that a client may name: more than any video lasts."""

Seconds = Annotated[float, Field(ge=0, le=LONGEST, allow_inf_nan=False)]
ClassName = Annotated[str, Field(min_length=1, max_length=200)]


class Spans(BaseModel):
    """Which part of a video, and which classes."""

    model_config = ConfigDict(populate_by_name=True)

    classes: list[ClassName] = Field(
        [],
        alias="class",
        max_length=MOST_NAMED,
        description="Only these classes; may be given several times.",
    )
    start: Seconds | None = Field(None, alias="from", description="Seconds; nothing before.")
    end: Seconds | None = Field(None, alias="to", description="Seconds; nothing from then on.")


class Pages(Spans):
    """Some rows at a time."""

    limit: int = Field(100, ge=0, le=MOST_ROWS, description="Rows of a page at most; 0 for all, as a file.")
    cursor: str | None = Field(
        None,
        max_length=200,
        description="`next_cursor` of the page before; the other parameters as for that.",
    )


class Detections(Pages):
    """What of a result, and how it is written."""

    format: FormatName | None = Field(None, description="The form; `Accept` says it where this does not.")
    min_conf: float = Field(0.0, ge=0, le=1, allow_inf_nan=False, description="Least confidence.")
    tracks: bool = Field(default=False, description="Whether each object says which track it is part of.")
    track: list[Annotated[int, Field(ge=1, le=2**31)]] = Field(
        [], max_length=MOST_NAMED, description="Only these tracks; may be given several times."
    )

    @property
    def selection(self) -> Selection:
        """The same in the words of those who write."""
        return Selection(self.classes, self.min_conf, self.start, self.end, self.track)


class Tracks(Spans):
    """Which tracks: those of these classes that are to be seen in this part of the video."""

    limit: int = Field(100, ge=1, le=MOST_ROWS, description="Tracks of a page at most.")
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")
