"""How slow a client may be, and how many at a time: a place held for nothing is given to somebody else.

Time is counted only while we wait for the client: where S3 is slow, nobody is to blame who sends.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from api.problems import Busy, Stalled
from app.settings import Settings


@dataclass(frozen=True)
class Patience:
    """How slow an upload may be.

    Attributes:
        idle: how long nothing may come. Within each such span `rate` must be kept on average, so that a line
            passes that is slow, or gone for half of it.
        rate: bytes per second.
        whole: how long the whole of it may take.
    """

    idle: timedelta
    rate: int
    whole: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "Patience":
        """Return what the settings say."""
        return cls(settings.upload_idle, settings.upload_rate, settings.upload_within)


class Paced(AsyncIterator[bytes]):
    """A body that ends with `Stalled` when it comes too slowly.

    Args:
        body: the pieces.
        patience: what is too slow.
    """

    def __init__(self, body: AsyncIterator[bytes], patience: Patience) -> None:
        self._body = body
        self._idle = patience.idle.total_seconds()
        self._least = patience.rate * self._idle
        self._left = patience.whole.total_seconds()
        self._waited = 0.0
        self._came = 0

    async def __anext__(self) -> bytes:
        clock = asyncio.get_running_loop().time
        is_enough = self._came >= self._least
        within = self._idle if is_enough else self._idle - self._waited
        begun = clock()
        try:
            async with asyncio.timeout(min(within, self._left)):
                piece = await anext(self._body)
        except TimeoutError:
            raise Stalled from None
        self._note(len(piece), clock() - begun)
        return piece

    def _note(self, size: int, waited: float) -> None:
        self._left -= waited
        self._waited += waited
        self._came += size
        if self._waited >= self._idle:
            if self._came < self._least:
                raise Stalled
            self._waited, self._came = 0.0, 0


class Places:
    """The uploads, or other things, that are under way at the same time.

    Args:
        count: how many there may be.
        what: they are.
    """

    def __init__(self, count: int, what: str = "uploads") -> None:
        self._count = count
        self._what = what
        self._taken = 0

    @property
    def under_way(self) -> int:
        """How many there are now."""
        return self._taken

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a place until the end of the block.

        Raises:
            Busy: all of them are taken.
        """
        if self._taken >= self._count:
            raise Busy(f"All {self._count} places for {self._what} are taken")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
