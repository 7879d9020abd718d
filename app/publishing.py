"""Publishing that says "done" only when the broker has said so."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any

from app.domain.messages import M, encode
from app.topics import Contract


class Publisher:
    """Sends messages of the contract through a role's own producer.

    Args:
        topics: Faust's topic for each contract that this role writes, by name.
    """

    def __init__(self, topics: dict[str, Any]) -> None:
        self._topics = topics

    async def publish(self, contract: Contract[M], message: M, *, key: str) -> None:
        """Send a message and return when it is on the broker."""
        await self.publish_all(contract, [(key, message)])

    async def publish_all(self, contract: Contract[M], messages: Sequence[tuple[str, M]]) -> None:
        """Send messages, given with their keys, and return when all of them are on the broker."""
        sent = [
            await self.send(contract, key=key.encode(), value=encode(message)) for key, message in messages
        ]
        # Shielded, because Faust takes it ill when the future of a message is cancelled.
        await asyncio.gather(*map(asyncio.shield, sent))

    async def send(
        self, contract: Contract[Any], *, key: bytes, value: bytes, headers: dict[str, bytes] | None = None
    ) -> Awaitable[Any]:
        """Queue a message; the awaitable that is returned is done when it is on the broker."""
        return await self._topics[contract.name].send(key=key, value=value, headers=headers)  # type: ignore[no-any-return]  # Faust has no types


class ConfirmedPrefix:
    """How many of the messages sent in order are on the broker without a hole.

    Args:
        start: how many were there already.
    """

    def __init__(self, start: int) -> None:
        self.count = start
        self._waiting: deque[asyncio.Future[Any]] = deque()

    def add(self, sent: asyncio.Future[Any]) -> None:
        """Follow one more message.

        Raises:
            Exception: what the producer raised for an earlier one.
        """
        self._waiting.append(sent)
        self.advance()
        if self._waiting and self._waiting[0].done():
            self._waiting[0].result()

    @property
    def unconfirmed(self) -> int:
        """How many messages are on their way, or did not get there."""
        self.advance()
        return len(self._waiting)

    def advance(self) -> int:
        """Count what is confirmed by now, up to the first message that is not, and return the count."""
        while self._waiting and _is_confirmed(self._waiting[0]):
            self._waiting.popleft()
            self.count += 1
        return self.count

    async def finish(self) -> int:
        """Wait until everything is confirmed and return the count.

        Raises:
            Exception: what the producer raised for a message.
        """
        if self._waiting:
            await asyncio.wait(self._waiting)
        for sent in self._waiting:
            sent.result()
        return self.advance()


def _is_confirmed(sent: asyncio.Future[Any]) -> bool:
    return sent.done() and not sent.cancelled() and sent.exception() is None
