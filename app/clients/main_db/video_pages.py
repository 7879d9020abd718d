"""Lists of videos, newest first, page by page: `main_db.outbox`, each question answered by an index.

A page costs the same however many videos there are. MongoDB stops at the page's end by itself. The server of
the local stack reads everything that matches before it gives the first, so nothing is asked about all times:
a page is looked for in spans of time, each longer than the one before, until it is full.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from app.clients.main_db.video_records import Cursor, Page, Video, to_video
from app.clients.mongo import Document, Documents
from app.domain.states import KEPT_AS, STATES, State

FIRST_SPAN: Final = timedelta(seconds=15)
WIDER: Final = 16
SPANS: Final = 5
"""Spans of 15 s, 4 min, 1 h, 17 h and 11 days with nothing in them, then everything that is older."""

READ_AT_MOST: Final = 500
"""Documents that one page reads where they are chosen from what an index gives: a page may be short then."""

READ_AT_ONCE: Final = 100
"""Of these, how many at a time at least."""

NEWEST_FIRST: Final = [("created_at", -1), ("_id", -1)]

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""No video is older, and spans of time reach no further."""

MILLISECOND: Final = timedelta(milliseconds=1)
"""How finely Mongo keeps times."""


@dataclass(frozen=True)
class Wanted:
    """Which videos are to be listed.

    Attributes:
        states: in one of these; none is any.
        tags: with all of these.
        after: accepted later than this.
        before: accepted earlier than this.
        owner: of this key; None is anybody's.
    """

    states: frozenset[State] = frozenset()
    tags: tuple[str, ...] = ()
    after: datetime | None = None
    before: datetime | None = None
    owner: str | None = None

    def is_chosen(self, video: Video) -> bool:
        """Return whether a video is one of them, as far as its tags and its state say."""
        return set(self.tags) <= set(video.tags) and (not self.states or video.state in self.states)


class VideoPages:
    """Lists of videos. Every method raises `Unavailable` when Mongo does not answer.

    Args:
        videos: the collection `outbox`.
        now: the clock.
    """

    def __init__(self, videos: Documents, *, now: Callable[[], datetime]) -> None:
        self._videos = videos
        self._now = now

    async def prepare(self) -> None:
        """Create the indexes: one for each kind of shelf, with an owner and without."""
        order = [("created_at", -1), ("_id", -1)]
        for owner in ([], [("owner", 1)]):
            for kept in ([], [("outcome", 1), ("status", 1)], [("tags", 1)]):
                await self._videos.ensure_index([*owner, ("deleted_at", 1), *kept, *order])

    async def page(self, wanted: Wanted, *, limit: int, after: Cursor | None = None) -> Page:
        """Return some videos, newest first; a page that is not the last may be short, or empty.

        Args:
            wanted: which.
            limit: how many at most.
            after: where the page before ended.
        """
        shelves = [self._shelf(kept, wanted, after) for kept in _kept(wanted)]
        if wanted.tags:
            return await _chosen(shelves[0], wanted, limit)
        found = await asyncio.gather(*(shelf.read(limit + 1) for shelf in shelves))
        videos = sorted(map(to_video, (each for some in found for each in some)), key=_place, reverse=True)
        return Page(videos[:limit], _place(videos[limit - 1]) if len(videos) > limit else None)

    def _shelf(self, kept: Document, wanted: Wanted, after: Cursor | None) -> "_Shelf":
        match = {"deleted_at": None} | kept | ({} if wanted.owner is None else {"owner": wanted.owner})
        until = None if wanted.before is None else _whole(wanted.before, up=True)
        if after is not None and (until is None or after[0] < until):
            return _Shelf(self._videos, match, wanted.after, until=after[0], after=after, now=self._now)
        return _Shelf(self._videos, match, wanted.after, until=until, after=None, now=self._now)


class _Shelf:
    """Videos that one index holds in order, read from the newest to the oldest.

    Args:
        documents: the collection.
        match: the fields with which the index begins, and their values.
        since: those that were accepted later; None is all.
        until: those that were accepted earlier; None is all.
        after: also those that were accepted at this very time and come after this one.
        now: the clock.
    """

    def __init__(
        self,
        documents: Documents,
        match: Document,
        since: datetime | None,
        *,
        until: datetime | None,
        after: Cursor | None,
        now: Callable[[], datetime],
    ) -> None:
        self._documents = documents
        self._match = match
        self._first = EARLIEST if since is None else max(EARLIEST, _whole(since) + MILLISECOND)
        self._until = until
        self._after = after
        self._now = now
        self._span = FIRST_SPAN
        # Of those that are few in any case there is no part worth asking for.
        self._vain = SPANS if match.get("outcome") and match["status"] == "new" else 0
        self._is_read = False

    async def read(self, count: int) -> list[Document]:
        """Return the next ones; fewer are the last."""
        found = await self._rest_of_a_moment(count)
        while len(found) < count and not self._is_read:
            end, begin = self._ends()
            missing = count - len(found)
            some = await self._find({"created_at": self._bounds(begin)}, missing)
            found += some
            if len(some) < missing:
                self._is_read = begin <= self._first
                self._until = begin
                # Where there are some, the others are expected to lie as close.
                self._span *= min(WIDER, 1 + missing / len(some)) if some else WIDER
                self._vain += not some
            else:
                self._span = max(FIRST_SPAN, end - found[-1]["created_at"])
                self._vain = 0
        if found:
            self._after = _place_of(found[-1])
        if len(found) == count:
            self._until = found[-1]["created_at"]
        return found

    async def _rest_of_a_moment(self, count: int) -> list[Document]:
        """Return what was accepted in the same millisecond as the last one; Mongo orders it by id."""
        if self._after is None or self._after[0] < self._first:
            return []
        at, key = self._after
        return await self._find({"created_at": at, "_id": {"$lt": key}}, count)

    def _ends(self) -> tuple[datetime, datetime]:
        """Return where the next span of time ends, and where it begins."""
        end = self._now() if self._until is None else self._until
        reaches_back = self._vain >= SPANS or end - self._first <= self._span
        return end, self._first if reaches_back else _whole(end - self._span)

    def _bounds(self, begin: datetime) -> dict[str, datetime]:
        # The server of the local stack leaves the bound of `$gte` out where the index is in descending order.
        return {"$gt": begin - MILLISECOND} | ({} if self._until is None else {"$lt": self._until})

    async def _find(self, place: Document, count: int) -> list[Document]:
        order = NEWEST_FIRST if isinstance(place["created_at"], dict) else NEWEST_FIRST[1:]
        return await self._documents.find(self._match | place, sort=order, limit=count)


async def find_beyond(
    documents: Documents, match: Document, after: Cursor | None, *, limit: int, direction: Literal[1, -1]
) -> list[Document]:
    """Return documents in the order of their acceptance, those of one moment by their ids.

    An index answers both questions of this, and would not answer them asked as one with `$or`.

    Args:
        documents: the collection.
        match: what they have in common.
        after: the one before the first.
        limit: how many at most.
        direction: 1 for the oldest first, -1 for the newest.
    """
    order = [("created_at", direction), ("_id", direction)]
    if after is None:
        return await documents.find(match, sort=order, limit=limit)
    beyond = "$gt" if direction > 0 else "$lt"
    at, key = after
    found = await documents.find(
        match | {"created_at": at, "_id": {beyond: key}}, sort=order[1:], limit=limit
    )
    if len(found) < limit:
        later = match | {"created_at": {beyond: at}}
        found += await documents.find(later, sort=order, limit=limit - len(found))
    return found


async def _chosen(shelf: _Shelf, wanted: Wanted, limit: int) -> Page:
    """Return those of a shelf that are wanted, out of `READ_AT_MOST`."""
    chosen: list[Video] = []
    read = 0
    while read < READ_AT_MOST:
        count = min(max(limit + 1, READ_AT_ONCE), READ_AT_MOST - read)
        some = [to_video(each) for each in await shelf.read(count)]
        read += len(some)
        chosen += filter(wanted.is_chosen, some)
        if len(chosen) > limit:
            return Page(chosen[:limit], _place(chosen[limit - 1]))
        if len(some) < count:
            return Page(chosen, None)
    return Page(chosen, _place(some[-1]))


def _kept(wanted: Wanted) -> Iterable[Document]:
    """Return what the documents on each shelf have in common."""
    if wanted.tags:
        return [{"tags": wanted.tags[0]}]
    if not wanted.states or wanted.states == set(STATES):
        return [{}]
    kept: Sequence[tuple[Any, Any]] = [each for state in sorted(wanted.states) for each in KEPT_AS[state]]
    return [{"outcome": outcome, "status": status} for outcome, status in kept]


def _place_of(document: Document) -> Cursor:
    return document["created_at"], document["_id"]


def _place(video: Video) -> Cursor:
    return video.created_at, video.id


def _whole(time: datetime, *, up: bool = False) -> datetime:
    """Return a time in whole milliseconds."""
    rest = timedelta(microseconds=time.microsecond % 1000)
    return time - rest + (MILLISECOND if up and rest else timedelta())
