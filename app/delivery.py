"""The one loop that acknowledges: retry in place, set aside, or stop the process; never skip.

Faust acknowledges a message when an agent raises, at SIGTERM and in a crash. Here a message is acknowledged
only after its handler has returned, and a handler returns only when everything it caused is on the broker:

* `RetryLater`: the same handler is called again, with back-off, for as long as it takes;
* `Rejected`: the message goes to the topic `rejected` with its reason, then it is acknowledged;
* anything else is our own mistake: the process stops before acknowledging and is started again.

What was taken before the partitions were given out anew is neither tried again nor acknowledged when it is
not done: it is delivered again, here or to whoever owns its partition now.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from app.clients.kafka.broker import Partition
from app.domain.messages import M, decode
from app.errors import Rejected, RetryLater, StartAgain
from app.failpoints import failpoint
from app.suspects import DEATHS, Suspects
from app.telemetry.metrics import MESSAGES_HANDLED, MESSAGES_REJECTED, known_code
from app.topics import Contract

logger = logging.getLogger(__name__)

T = TypeVar("T")

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
        waits: what each of them waits for, by the same position; empty when all are worked on.
    """

    taken: dict[str, float] = field(default_factory=dict)
    waits: dict[str, str] = field(default_factory=dict)

    @property
    def waiting_for(self) -> str | None:
        """Return the dependency that is waited for, None when the loop works."""
        return next(iter(self.waits.values()), None)

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is in hand, and nothing is waited for."""
        return not self.taken and not self.waits

    def held(self, now: float) -> float:
        """Return for how many seconds the oldest batch has been in hand without an excuse."""
        return 0.0 if self.waits else now - min(self.taken.values(), default=now)

    def restart_clock(self, now: float) -> None:
        """Count from now: the loop waited for the world, which is no fault of the batches in hand."""
        self.taken = dict.fromkeys(self.taken, now)


class _Outdated(Exception):
    """The partitions were given out anew since this was taken; it will be delivered again."""


@dataclass(frozen=True)
class _Batch:
    """Events of one topic, and the assignment under which they were taken."""

    events: list[Any]
    assignment: int

    @property
    def positions(self) -> list[str]:
        return [position_of(event) for event in self.events]


@dataclass
class Delivery:
    """The delivery loop of one agent.

    Args:
        keeper: the worker.
        suspects: remembers what was in hand.
        route: the topic, and what happens to its messages.
        up_to: most messages given to a handler at once.
        in_flight: most batches handled at the same time; they are acknowledged in order all the same.
    """

    keeper: Keeper
    suspects: Suspects
    route: Route[Any]
    up_to: int = 1
    in_flight: int = 1
    holding: Holding = field(default_factory=Holding)
    last_offsets: dict[Partition, int] = field(default_factory=dict)
    _expected: dict[Partition, int] = field(default_factory=dict)
    _assignment: int = 0

    def forget_assignment(self) -> None:
        """Ask the broker again where each partition goes on: partitions were taken away."""
        self._assignment += 1
        self._expected.clear()

    def is_current(self, batch: _Batch) -> bool:
        """Return whether no partition was taken away since a batch was taken."""
        return batch.assignment == self._assignment

    async def run(self, stream: Any) -> None:  # noqa: ANN401 - Faust has no types
        """Deliver a stream for ever."""
        await self.or_stop("delivering", self._run(stream.noack()))

    async def _run(self, stream: Any) -> None:  # noqa: ANN401 - Faust has no types
        pipeline = _Pipeline(self, stream)
        batch = _Batch([], self._assignment)
        try:
            async for event in stream.events():
                if not self.is_current(batch):
                    batch = _Batch([], self._assignment)
                await self._check_contiguous(event)
                batch.events.append(event)
                limit = 1 if self.suspects.any_left else self.up_to
                if len(batch.events) < limit and not stream.channel.queue.empty():
                    continue
                taken, batch = batch, _Batch([], self._assignment)
                await pipeline.put(taken)
        finally:
            pipeline.close()

    async def or_stop(self, doing: str, work: Coroutine[Any, Any, T], positions: Sequence[str] = ()) -> T:
        """Await our own work; stop the process when it fails.

        An exception that left the loop would restart the agent with the next event, and acknowledge past
        this one.
        """
        try:
            return await work
        except _Outdated:
            raise
        except Exception as error:  # the one place where everything is caught
            if isinstance(error, StartAgain):
                self.suspects.put_down(positions)
            else:
                self.suspects.seal(positions)
            await self.keeper.stop_unsafe(f"{doing} failed", error)
            raise

    async def _check_contiguous(self, event: Any) -> None:  # noqa: ANN401 - Faust has no types
        """Stop when an offset is larger than the next unread one: events were skipped.

        A member that was expelled from its group and joined again in the same process can otherwise skip
        events and commit past them.
        """
        message = event.message
        partition = Partition(message.topic, message.partition)
        taken_under = self._assignment
        if partition not in self._expected:
            first_unread = await self._retrying("Kafka", self.keeper.first_unread)
            if taken_under != self._assignment:
                return  # the answer and the event are of the past; the event will not be handled
            self._expected.update(first_unread)
            self.suspects.expect(first_unread)
        expected = self._expected.get(partition, message.offset)
        if message.offset > expected:
            await self.keeper.stop_unsafe(
                f"{message.topic}/{message.partition}: offset {expected} was expected, {message.offset} came"
            )
        self._expected[partition] = max(expected, message.offset + 1)

    async def handle(self, batch: _Batch) -> bool:
        """Handle messages of one topic until they are done or set aside.

        Returns:
            Whether they may be acknowledged; False when they were not done and will be delivered again.
        """
        positions = batch.positions
        self.holding.taken[positions[0]] = time.monotonic()
        try:
            await self.or_stop(f"handling {', '.join(positions)}", self._handle_all(batch), positions)
        except (asyncio.CancelledError, _Outdated) as error:
            self.suspects.put_down(positions)
            if isinstance(error, asyncio.CancelledError):
                raise
            return False
        finally:
            self.holding.taken.pop(positions[0], None)
        return True

    async def _handle_all(self, batch: _Batch) -> None:
        self.suspects.take(batch.positions)
        route = self.route
        readable: list[Delivered[Any]] = []
        for event in batch.events:
            if self.suspects.is_guilty(position_of(event)):
                await self._set_aside(route, _Batch([event], batch.assignment), CRASHED)
                self.suspects.condemn(position_of(event))
                continue
            try:
                message = decode(event.message.value, route.contract.message)
            except Rejected as reason:
                await self._set_aside(route, _Batch([event], batch.assignment), reason)
            else:
                readable.append(Delivered(message, event.message.key or b"", event))
        for each in readable:
            failpoint(f"handle.{route.contract.name}", each.key.decode(errors="replace"))
        await self._try(route, readable, batch.assignment)
        self.suspects.clear(batch.positions)

    async def _try(self, route: Route[Any], readable: list[Delivered[Any]], assignment: int) -> None:
        if not readable:
            return
        batch = _Batch([each.event for each in readable], assignment)
        try:
            await self._retrying("", lambda: route.handle(readable), batch)
        except Rejected as reason:
            if len(readable) > 1:  # find out which one it was
                for each in readable:
                    await self._try(route, [each], assignment)
            else:
                await self._set_aside(route, batch, reason)

    async def _set_aside(self, route: Route[Any], batch: _Batch, reason: Rejected) -> None:
        event, position = batch.events[0], batch.positions[0]
        fields = {"video_id": video_of(event), "position": position, "code": reason.code}
        logger.error("set aside: %s", reason, extra=fields)
        if self.suspects.deaths(position) <= DEATHS:  # with more it has killed us while being set aside
            try:
                await self._retrying("", lambda: route.on_rejected(event, reason), batch)
            except Rejected as second:
                logger.error("no video is told: %s", second, extra=fields)  # noqa: TRY400 - expected
        await self._retrying("Kafka", lambda: self.keeper.set_aside(event, reason), batch)
        MESSAGES_REJECTED.labels(route.contract.name, known_code(reason.code)).inc()

    async def _retrying(self, what: str, call: Callable[[], Awaitable[T]], batch: _Batch | None = None) -> T:
        """Call until it does not raise `RetryLater`; say once that it waits, and once that it goes on.

        Raises:
            _Outdated: the batch is of an earlier assignment, and not done.
        """
        positions = batch.positions if batch else []
        name = positions[0] if positions else what
        pause, since = FIRST_PAUSE, time.monotonic()
        try:
            while True:
                if batch and not self.is_current(batch):
                    raise _Outdated
                try:
                    return await call()
                except RetryLater as error:
                    if not self.holding.waits:
                        service = getattr(error, "service", what)
                        logger.warning("waiting: %s", error, extra={"service": service})
                    self.holding.waits[name] = str(error)
                    self.suspects.put_down(positions)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                    self.suspects.take(positions)
        finally:
            if self.holding.waits.pop(name, None) is not None and not self.holding.waits:
                logger.info("going on after a wait", extra={"seconds": round(time.monotonic() - since, 1)})
                self.holding.restart_clock(time.monotonic())


class _Pipeline:
    """Handles several batches at the same time and acknowledges them in the order they came."""

    def __init__(self, delivery: Delivery, stream: Any) -> None:  # noqa: ANN401 - Faust has no types
        self._delivery = delivery
        self._stream = stream
        self._order: asyncio.Queue[tuple[asyncio.Task[bool], _Batch]] = asyncio.Queue()
        self._slots = asyncio.Semaphore(delivery.in_flight)
        self._acknowledging: asyncio.Task[None] | None = None

    async def put(self, batch: _Batch) -> None:
        """Handle a batch: at once when batches go one by one, else as soon as a place is free."""
        if self._delivery.in_flight == 1 or self._delivery.suspects.any_left:
            await self._order.join()
            if await self._delivery.handle(batch):
                await self._acknowledge(batch)
            return
        await self._slots.acquire()
        self._order.put_nowait((asyncio.create_task(self._delivery.handle(batch)), batch))
        if self._acknowledging is None:
            work = self._delivery.or_stop("acknowledging", self._acknowledge_in_order())
            self._acknowledging = asyncio.create_task(work)

    def close(self) -> None:
        """Give up everything that is not acknowledged: it will be delivered again."""
        if self._acknowledging is not None:
            self._acknowledging.cancel()
        while not self._order.empty():
            self._order.get_nowait()[0].cancel()

    async def _acknowledge_in_order(self) -> None:
        while True:
            handling, batch = await self._order.get()
            try:
                is_done = await handling
            except asyncio.CancelledError:
                handling.cancel()
                raise
            if is_done:
                await self._acknowledge(batch)
            self._slots.release()
            self._order.task_done()

    async def _acknowledge(self, batch: _Batch) -> None:
        if not self._delivery.is_current(batch):
            return  # it is delivered again, and whoever read its partition meanwhile may be further or not
        for event in batch.events:
            message = event.message
            self._delivery.last_offsets[Partition(message.topic, message.partition)] = message.offset
            await self._stream.ack(event)
        MESSAGES_HANDLED.labels(self._delivery.route.contract.name).inc(len(batch.events))


def position_of(event: Any) -> str:  # noqa: ANN401 - Faust has no types
    """Return where a message stands: `topic/partition/offset`."""
    message = event.message
    return f"{message.topic}/{message.partition}/{message.offset}"


def video_of(event: Any) -> str:  # noqa: ANN401 - Faust has no types
    """Return the id of the video that a message is about: every key is one, or begins with it."""
    return (event.message.key or b"").decode(errors="replace").partition("/")[0]
