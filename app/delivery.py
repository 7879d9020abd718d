"""The one loop that acknowledges: retry in place, set aside, or stop the process; never skip.

Faust acknowledges a message when an agent raises, at SIGTERM and in a crash. Here a message is acknowledged
only after its handler has returned, and a handler returns only when everything it caused is on the broker:

* `RetryLater`: the same handler is called again, with back-off, for as long as it takes;
* `Rejected`: the message goes to the topic `rejected` with its reason, then it is acknowledged;
* anything else is our own mistake: the process stops before acknowledging and is started again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, Generic, Protocol

from app.clients.broker import Partition
from app.domain.messages import M, decode
from app.errors import Rejected, RetryLater
from app.suspects import Suspects
from app.topics import Contract

logger = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.2
CRASHED: Final = Rejected("worker_crashed", "handling this message crashed its worker three times")

LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries: short enough that work goes on soon after the world is back."""


@dataclass(frozen=True)
class Delivered(Generic[M]):
    """A message as it was delivered: what it says, its key, and Faust's event."""

    message: M
    key: bytes
    event: Any


Handler = Callable[[Sequence[Delivered[M]]], Awaitable[None]]
OnRejected = Callable[[Any, Rejected], Awaitable[None]]


async def _ignore(_event: Any, _reason: Rejected) -> None:  # noqa: ANN401 - Faust has no types
    """Nobody waits for this message."""


@dataclass(frozen=True)
class Route(Generic[M]):
    """What happens to the messages of one topic.

    Attributes:
        contract: the topic.
        handle: called with a batch; returns when everything it caused is durable. It is repeatable.
        on_rejected: told the event of a message before it is set aside, so that its video still ends.
    """

    contract: Contract[M]
    handle: Handler[M]
    on_rejected: OnRejected = _ignore


class Keeper(Protocol):
    """What a delivery loop needs of its worker."""

    async def first_unread(self) -> Mapping[Partition, int]:
        """Return from which offset each assigned partition must go on, as the broker knows it."""

    async def set_aside(self, event: Any, reason: Rejected) -> None:  # noqa: ANN401 - Faust has no types
        """Write a message into the topic `rejected` and wait for the broker."""

    async def stop_unsafe(self, reason: str, error: BaseException | None = None) -> None:
        """Stop the process without acknowledging anything more; does not return."""


@dataclass
class Holding:
    """What a delivery loop is doing, for the watchdog.

    Attributes:
        taken: when each batch in hand was taken (monotonic seconds), by its first position.
        waiting_for: the named dependency or bound it waits for, None when it works.
    """

    taken: dict[str, float] = field(default_factory=dict)
    waiting_for: str | None = None

    def held(self, now: float) -> float:
        """Return for how many seconds the oldest batch has been in hand without an excuse."""
        return 0.0 if self.waiting_for is not None else now - min(self.taken.values(), default=now)

    def restart_clock(self, now: float) -> None:
        """Count from now: the loop waited for the world, which is no fault of the batches in hand."""
        self.taken = dict.fromkeys(self.taken, now)


@dataclass
class Delivery:
    """The delivery loop of one agent.

    Args:
        keeper: the worker.
        suspects: remembers what was in hand.
        routes: topics and their handlers, by topic name.
        up_to: most messages given to a handler at once.
        in_flight: most batches handled at the same time; they are acknowledged in order all the same.
    """

    keeper: Keeper
    suspects: Suspects
    routes: Mapping[str, Route[Any]]
    up_to: int = 1
    in_flight: int = 1
    holding: Holding = field(default_factory=Holding)
    last_offsets: dict[Partition, int] = field(default_factory=dict)
    _expected: dict[Partition, int] = field(default_factory=dict)
    _asked: bool = False

    def forget_assignment(self) -> None:
        """Ask the broker again where each partition goes on: the assignment has changed."""
        self._asked = False
        self._expected.clear()

    async def run(self, stream: Any) -> None:  # noqa: ANN401 - Faust has no types
        """Deliver a stream for ever."""
        stream = stream.noack()
        pipeline = _Pipeline(self, stream)
        batch: list[Any] = []
        try:
            async for event in stream.events():
                await self._check_contiguous(event)
                batch.append(event)
                limit = 1 if self.suspects.any_left else self.up_to
                if len(batch) < limit and not stream.channel.queue.empty():
                    continue
                taken, batch = batch, []
                for _topic, run in groupby(taken, key=lambda each: each.message.topic):
                    await pipeline.put(list(run))
        finally:
            pipeline.close()

    async def _check_contiguous(self, event: Any) -> None:  # noqa: ANN401 - Faust has no types
        """Stop when an offset is larger than the next unread one: events were skipped.

        A member that was expelled from its group and joined again in the same process can otherwise skip
        events and commit past them.
        """
        message = event.message
        partition = Partition(message.topic, message.partition)
        if partition not in self._expected and not self._asked:
            self._expected.update(await self._retrying("Kafka", self.keeper.first_unread))
            self._asked = True
        expected = self._expected.get(partition, message.offset)
        if message.offset > expected:
            await self.keeper.stop_unsafe(
                f"{message.topic}/{message.partition}: offset {expected} was expected, {message.offset} came"
            )
        self._expected[partition] = max(expected, message.offset + 1)

    async def handle(self, events: list[Any]) -> None:
        """Handle messages of one topic until they are done or set aside."""
        positions = [position_of(event) for event in events]
        self.holding.taken[positions[0]] = time.monotonic()
        try:
            self.suspects.take(positions)
            await self._handle_all(events)
        except asyncio.CancelledError:
            self.suspects.put_down(positions)
            raise
        except Exception as error:  # noqa: BLE001 - the one place where everything is caught
            await self.keeper.stop_unsafe(f"handling {', '.join(positions)} failed", error)
        finally:
            self.holding.taken.pop(positions[0], None)
        self.suspects.clear(positions)

    async def _handle_all(self, events: list[Any]) -> None:
        route = self.routes[events[0].message.topic]
        readable: list[Delivered[Any]] = []
        for event in events:
            if self.suspects.is_guilty(position_of(event)):
                await self._set_aside(route, event, CRASHED)
                continue
            try:
                message = decode(event.message.value, route.contract.message)
            except Rejected as reason:
                await self._set_aside(route, event, reason)
            else:
                readable.append(Delivered(message, event.message.key or b"", event))
        await self._try(route, readable)

    async def _try(self, route: Route[Any], batch: list[Delivered[Any]]) -> None:
        if not batch:
            return
        positions = [position_of(each.event) for each in batch]
        try:
            await self._retrying("", lambda: route.handle(batch), positions=positions)
        except Rejected as reason:
            if len(batch) > 1:  # find out which one it was
                for each in batch:
                    await self._try(route, [each])
            else:
                await self._set_aside(route, batch[0].event, reason)

    async def _set_aside(self, route: Route[Any], event: Any, reason: Rejected) -> None:  # noqa: ANN401
        logger.error("set aside: %s", reason, extra={"position": position_of(event), "code": reason.code})
        positions = [position_of(event)]
        await self._retrying("", lambda: route.on_rejected(event, reason), positions=positions)
        await self._retrying("Kafka", lambda: self.keeper.set_aside(event, reason), positions=positions)

    async def _retrying(
        self, what: str, call: Callable[[], Awaitable[Any]], *, positions: Sequence[str] = ()
    ) -> Any:  # noqa: ANN401 - whatever the call gives
        """Call until it does not raise `RetryLater`; say once that it waits, and once that it goes on."""
        pause, since = FIRST_PAUSE, time.monotonic()
        while True:
            try:
                result = await call()
            except RetryLater as error:
                if self.holding.waiting_for is None:
                    logger.warning("waiting: %s", error, extra={"service": getattr(error, "service", what)})
                self.holding.waiting_for = str(error)
                self.suspects.put_down(positions)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                self.suspects.take(positions)
            else:
                if self.holding.waiting_for is not None:
                    logger.info(
                        "going on after a wait", extra={"seconds": round(time.monotonic() - since, 1)}
                    )
                    self.holding.waiting_for = None
                    self.holding.restart_clock(time.monotonic())
                return result


class _Pipeline:
    """Handles several batches at the same time and acknowledges them in the order they came."""

    def __init__(self, delivery: Delivery, stream: Any) -> None:  # noqa: ANN401 - Faust has no types
        self._delivery = delivery
        self._stream = stream
        self._order: asyncio.Queue[tuple[asyncio.Task[None], list[Any]]] = asyncio.Queue()
        self._slots = asyncio.Semaphore(delivery.in_flight)
        self._acknowledging: asyncio.Task[None] | None = None

    async def put(self, events: list[Any]) -> None:
        """Handle a batch: at once when batches go one by one, else as soon as a place is free."""
        if self._delivery.in_flight == 1 or self._delivery.suspects.any_left:
            await self._order.join()
            await self._delivery.handle(events)
            await self._acknowledge(events)
            return
        await self._slots.acquire()
        self._order.put_nowait((asyncio.create_task(self._delivery.handle(events)), events))
        if self._acknowledging is None:
            self._acknowledging = asyncio.create_task(self._acknowledge_in_order())

    def close(self) -> None:
        """Give up everything that is not acknowledged: it will be delivered again."""
        if self._acknowledging is not None:
            self._acknowledging.cancel()
        while not self._order.empty():
            self._order.get_nowait()[0].cancel()

    async def _acknowledge_in_order(self) -> None:
        while True:
            handling, events = await self._order.get()
            try:
                await handling
            except asyncio.CancelledError:
                handling.cancel()
                raise
            await self._acknowledge(events)
            self._slots.release()
            self._order.task_done()

    async def _acknowledge(self, events: list[Any]) -> None:
        for event in events:
            message = event.message
            self._delivery.last_offsets[Partition(message.topic, message.partition)] = message.offset
            await self._stream.ack(event)


def position_of(event: Any) -> str:  # noqa: ANN401 - Faust has no types
    """Return where a message stands: `topic/partition/offset`."""
    message = event.message
    return f"{message.topic}/{message.partition}/{message.offset}"
