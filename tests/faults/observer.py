"""Looks at runner_db all the time: records may only move forward, and while there is work they do move."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import pymongo
from pymongo.errors import PyMongoError

from app.domain.progress import BEFORE

Moment: TypeAlias = tuple[int, str]
"""Attempt and status of a record."""

LOOK_EVERY: Final = 0.1
"""Seconds between two looks."""

FINAL: Final = frozenset({"ready", "failed", "cancelled", "deleted"})

FIELDS: Final = ("attempt", "status", "split_frames", "received_frames")


def is_forward(before: Moment, after: Moment) -> bool:
    """Return whether a record may be seen first as the one and then as the other."""
    if after == before or after[0] > before[0]:
        return True
    allowed: Mapping[str, tuple[str, ...]] = {
        str(name): tuple(map(str, each)) for name, each in BEFORE.items()
    }
    return after[0] == before[0] and before[1] in allowed[after[1]]


@dataclass
class Gaps:
    """The longest time for which nothing moved although there was work.

    Attributes:
        longest: in seconds.
    """

    longest: float = 0.0
    _since: float | None = None
    _seen: object = None

    def note(self, now: float, progress: object, *, is_work_open: bool) -> None:
        """Take a look: how far everything is, and whether anything is left to do."""
        if not is_work_open:
            self._since = None
        elif self._since is None:
            self._since, self._seen = now, progress
        else:
            self.longest = max(self.longest, now - self._since)
            if progress != self._seen:
                self._since, self._seen = now, progress


@dataclass
class Watched:
    """What one step looks like to the observer.

    Attributes:
        ids: the videos of the step, asked for at each look.
        gaps: when nothing moved.
    """

    ids: Callable[[], Iterable[str]] = tuple
    gaps: Gaps = field(default_factory=Gaps)


class Observer:
    """Looks at runner_db from a thread of its own, whatever happens to the server.

    Args:
        uri: of the server.
    """

    def __init__(self, uri: str) -> None:
        self._mongo = pymongo.MongoClient[dict[str, Any]](
            uri, tz_aware=True, serverSelectionTimeoutMS=1000, connectTimeoutMS=1000, socketTimeoutMS=2000
        )
        self._records = self._mongo["runner_db"]["runner_predictions"]
        self._seen: dict[str, Moment] = {}
        self._backward: list[str] = []
        self._watched = Watched()
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self._mongo.close()

    def watch(self, ids: Callable[[], Iterable[str]]) -> Watched:
        """Look at these videos from now on."""
        self._watched = Watched(ids)
        return self._watched

    def look_at_all(self) -> list[str]:
        """Look at every record there is, also those of earlier steps; says nothing itself."""
        with self._lock:  # also while reading: what was read first must be noted first
            found = list(self._records.find({}, list(FIELDS)))
            self._note(found)
            gone = self._seen.keys() - {each["_id"] for each in found}
            self._backward += [f"the record of {each} is gone" for each in sorted(gone)]
            for each in gone:
                del self._seen[each]
        return []

    def backward_moves(self) -> list[str]:
        """Return a sentence for each move back that was seen since the last call."""
        with self._lock:
            moves, self._backward = self._backward, []
        return moves

    def known(self) -> set[str]:
        """Return the id of every video that was ever seen in runner_db."""
        with self._lock:
            return set(self._seen)

    def _run(self) -> None:
        while not self._is_over.wait(LOOK_EVERY):
            watched = self._watched
            ids = list(watched.ids())
            with self._lock:
                try:
                    found = list(self._records.find({"_id": {"$in": ids}}, list(FIELDS)))
                except PyMongoError:
                    continue  # the server is away: that is what faults are for
                self._note(found)
            ended = sum(each["status"] in FINAL for each in found)
            frames = [(each.get("split_frames", 0), each.get("received_frames", 0)) for each in found]
            progress = (len(found), ended, sum(map(sum, frames)))
            watched.gaps.note(time.monotonic(), progress, is_work_open=ended < len(ids))

    def _note(self, found: list[dict[str, Any]]) -> None:
        for each in found:
            after = each["attempt"], each["status"]
            before = self._seen.get(each["_id"], after)
            if not is_forward(before, after):
                self._backward.append(f"the record of {each['_id']} went from {before} to {after}")
            self._seen[each["_id"]] = after
