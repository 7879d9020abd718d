"""Which rows and objects of a result are asked for."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from app.domain.results import Row


class Selection(Struct, frozen=True, omit_defaults=True):
    """What is asked for of a result; everything when nothing is said.

    Attributes:
        classes: names of classes; empty for all.
        min_conf: least confidence, 0 to 1.
        start: seconds; frames before are left out, and those whose time is not known.
        end: seconds; frames from then on are left out, likewise.
        tracks: numbers of tracks; empty for all objects, those of no track among them.
    """

    classes: list[str] = msgspec.field(default_factory=list)
    min_conf: float = 0.0
    start: float | None = None
    end: float | None = None
    tracks: list[int] = msgspec.field(default_factory=list)

    @property
    def is_timed(self) -> bool:
        """Whether frames are chosen by their time."""
        return self.start is not None or self.end is not None

    @property
    def is_picky(self) -> bool:
        """Whether objects are chosen, so that a frame without any says nothing."""
        return bool(self.classes or self.tracks or self.min_conf > 0)

    def is_over(self, row: Row) -> bool:
        """Return whether this row, and so every later one, comes after what is asked for."""
        return self.end is not None and row.time is not None and row.time >= self.end

    def apply(self, row: Row) -> Row | None:
        """Return the row with the objects that are asked for; None when the frame is not asked for."""
        if self.is_timed and (
            row.time is None
            or row.time < (self.start or 0.0)
            or (self.end is not None and row.time >= self.end)
        ):
            return None
        if not self.is_picky:
            return row
        objects = [
            each
            for each in row.objects
            if each.conf >= self.min_conf
            and (not self.classes or each.class_ in self.classes)
            and (not self.tracks or each.track in self.tracks)
        ]
        return msgspec.structs.replace(row, objects=objects)

    def select(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the frames that are asked for, with the objects that are; the rest is not read."""
        for row in rows:
            if self.is_over(row):
                return
            chosen = self.apply(row)
            if chosen is not None:
                yield chosen

    def says_nothing(self, row: Row) -> bool:
        """Return whether a frame is left out of lists because no object of it was asked for."""
        return self.is_picky and not row.objects
