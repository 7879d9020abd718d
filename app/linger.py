"""Items that wait a moment for those of others, so that one message tells of all.

Kafka's producers have a linger of the same purpose, which gathers messages in one request. A message less
also saves its reader a turn, with all that this writes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, TypeVar

T = TypeVar("T")

LONGEST: Final = 0.15
"""Seconds that anything waits. What is ready sooner does not: nobody waits when nothing more is coming."""


@dataclass
class _Group(Generic[T]):
    """Items that go together, and what tells those who brought them how that ended."""

    items: list[T] = field(default_factory=list)
    sent: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Linger(Generic[T]):
    """Sends items together: as many as there may be, or all when nobody is making any more.

    Args:
        send: sends items in the order they came, and returns when that is certain.
        up_to: items that are sent together. Only what is given together can be more.
        longest: seconds that an item waits for others.
    """

    def __init__(
        self, send: Callable[[Sequence[T]], Awaitable[None]], *, up_to: int, longest: float = LONGEST
    ) -> None:
        self._send = send
        self._up_to = up_to
        self._longest = longest
        self._makers = 0
        self._group: _Group[T] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()

    @contextmanager
    def making(self) -> Iterator[None]:
        """Let others wait for what the block makes; give it to `put` right after the block."""
        self._makers += 1
        try:
            yield
        finally:
            self._makers -= 1

    async def put(self, items: Sequence[T]) -> None:
        """Send items, perhaps with those of others, and return when that is certain.

        Who is cancelled meanwhile does not stop it: what is given is sent.

        Raises:
            Exception: what `send` raised, for everybody whose items were among those.
        """
        if self._group and len(self._group.items) + len(items) > self._up_to:
            self._flush()
        group = self._group = self._group or _Group()
        group.items.extend(items)
        if not self._makers or len(group.items) >= self._up_to:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._longest, self._flush)
        await asyncio.shield(group.sent)

    def _flush(self) -> None:
        """Send what waits."""
        if self._timer is not None:
            self._timer.cancel()
        group, self._group, self._timer = self._group, None, None
        if group is None:
            return
        sending = asyncio.ensure_future(self._send(group.items))
        self._sending.add(sending)
        sending.add_done_callback(partial(self._tell, group.sent))

    def _tell(self, sent: asyncio.Future[None], sending: asyncio.Task[None]) -> None:
        """Tell those who wait how it ended."""
        self._sending.discard(sending)
        if sending.cancelled():
            sent.cancel()
        elif (error := sending.exception()) is None:
            sent.set_result(None)
        else:
            sent.set_exception(error)
            sent.exception()  # whoever waited may be gone; asyncio would complain of an error that nobody saw
