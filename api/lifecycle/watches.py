"""Who waits for news of which video: one look a second for each video, however many wait for it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal, TypeAlias

from api.lifecycle.looks import Look, Looks
from api.lifecycle.video_answers import shown
from api.problems import Busy
from app.domain.states import ENDED
from app.errors import RetryLater

LOOK_EVERY: Final = 0.9
"""Seconds between two looks: a little less than one, so that there is news once a second in any case."""

MOST_LISTENERS: Final = 256
"""Listeners at a time; each holds one of the connections (`api.protocol.MAX_CONNECTIONS`) and some 40 KB."""

News: TypeAlias = dict[str, Any] | Literal["quiet", "deleted"]
"""What `GET /api/v1/videos/{id}` answers now; or that it would answer the same for `QUIET_FOR`, or 404."""

QUIET_FOR: Final = 15.0
"""Seconds without news after which a listener is told that there is none."""


class Watches:
    """The videos that somebody waits for.

    Args:
        looks: looks at one.
        stopping: is set when the process is told to stop; nobody waits any longer then.
        most: listeners at a time.
    """

    def __init__(self, looks: Looks, stopping: asyncio.Event, *, most: int = MOST_LISTENERS) -> None:
        self._looks = looks
        self._stopping = stopping
        self._most = most
        self._watches: dict[str, _Watch] = {}
        self.listeners = 0

    @property
    def videos(self) -> int:
        """How many videos are looked at."""
        return len(self._watches)

    @contextmanager
    def listening(self, first: Look) -> Iterator[AsyncGenerator[News]]:
        """Yield the news of a video from now on: how it is now, then each change until it has ended.

        Args:
            first: what was just seen of it.

        Raises:
            Busy: too many listen.
        """
        if self.listeners >= self._most:
            raise Busy(f"All {self._most} places for listeners are taken")
        watch = self._watch(first)
        self.listeners += 1
        watch.listeners += 1
        try:
            yield watch.news(self._stopping)
        finally:
            self.listeners -= 1
            watch.listeners -= 1
            if not watch.listeners:
                watch.end()
                if self._watches.get(first.video.id) is watch:
                    del self._watches[first.video.id]

    def _watch(self, first: Look) -> "_Watch":
        watch = self._watches.get(first.video.id)
        if watch is None or watch.has_ended:  # that one is of an attempt before
            watch = self._watches[first.video.id] = _Watch(self._looks, first)
        return watch


class _Watch:
    """One video that somebody waits for.

    Attributes:
        listeners: how many wait for it.
    """

    def __init__(self, looks: Looks, first: Look) -> None:
        self.listeners = 0
        self._looks = looks
        self._video_id = first.video.id
        self._news: News = shown(first)
        self._turn = asyncio.Event()
        self._looking = asyncio.create_task(self._look_on())

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return isinstance(self._news, str) or self._news["status"] in ENDED

    def end(self) -> None:
        """Look no more."""
        self._looking.cancel()

    async def news(self, stopping: asyncio.Event) -> AsyncGenerator[News]:
        """Yield the news, each when it is there, until the last one; who is slow misses some in between."""
        stop = asyncio.create_task(stopping.wait())
        try:
            while not stop.done():
                told = self._news
                yield told
                if told is self._news and self.has_ended:
                    return
                while told is self._news and not stop.done():
                    if not await self._wait(stop):
                        yield "quiet"
        finally:
            stop.cancel()

    async def _wait(self, stop: asyncio.Task[Any]) -> bool:
        """Wait for news, or the stop; return False when there was none for a while."""
        turn = asyncio.create_task(self._turn.wait())
        try:
            done, _ = await asyncio.wait(
                (turn, stop, self._looking), timeout=QUIET_FOR, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            turn.cancel()
        if self._looking in done:
            self._looking.result()  # raises what has ended it, if that is no end of the video
        return bool(done)

    async def _look_on(self) -> None:
        due = time.monotonic()
        while not self.has_ended:
            due = max(due + LOOK_EVERY, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            with suppress(RetryLater):  # Mongo is away: what was told holds
                look = await self._looks.look(self._video_id)
                self._tell("deleted" if look is None else shown(look))

    def _tell(self, news: News) -> None:
        if news != self._news:
            self._news = news
            self._turn.set()
            self._turn = asyncio.Event()
