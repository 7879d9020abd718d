"""The stage that publishes what the API accepted: a message leaves, then its document is marked `sent`.

A crash between the two publishes again; everything after it is idempotent.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from faust.web import View

from app.clients.main_db.claims import Claims
from app.clients.main_db.video_records import Claimed
from app.domain.failures import failure
from app.domain.messages import Failure
from app.errors import Conflict, RetryLater
from app.failpoints import failpoint
from app.publishing import Publisher
from app.suspects import Suspects
from app.telemetry.metrics import OUTBOX_FAILED_TRIES, OUTBOX_PUBLISHED, OUTBOX_REDRIVEN
from app.telemetry.stages import note_stage
from app.topics import OUTBOX_EVENTS
from app.worker import Worker

logger = logging.getLogger(__name__)

POLL_EVERY: Final = 2.0
"""Seconds between two looks when nobody wakes us: the wake call is best effort. A look is two questions."""

REDRIVE_EVERY: Final = 15.0
"""Seconds between two looks for videos that were published but of which nothing came."""

FIRST_PAUSE: Final = 0.2
"""Seconds after the first failed try; doubled with each further one."""

CLAIM: Final = 50
"""Documents per round: few enough to publish within a lease, enough to drain a queue fast."""


class OutboxClients(Protocol):
    """What this stage needs."""

    @property
    def claims(self) -> Claims:
        """Return what is to be published, and by whom."""


@dataclass
class OutboxPublisher:
    """Claims documents, publishes them and marks them.

    Attributes:
        suspects: the documents in hand, so that one that kills its worker each time is found out.
        left: what is claimed and nobody works on: by our last life, or when Mongo went away under us.
        due: what was asked for since it was begun last: to look for what is `new`, or what is lost (`again`).
        is_at_work: whether somebody does what is due.
    """

    worker: Worker[OutboxClients]
    publisher: Publisher
    suspects: Suspects
    left: set[str] = field(default_factory=set)
    due: set[str] = field(default_factory=set)
    is_at_work: bool = False

    def __post_init__(self) -> None:
        self.left |= self.suspects.awaited

    async def do_what_is_due(self) -> None:
        """Publish until nothing more is asked for."""
        self.is_at_work = True
        try:
            await self.take_up()
            while self.due:
                if "new" in self.due:
                    self.due.discard("new")
                    await self.publish_new()
                else:
                    self.due.clear()
                    await self.publish_again()
        finally:
            self.is_at_work = False

    async def publish_new(self) -> None:
        """Publish everything that is new; who brings more meanwhile knocks."""
        claims = self.worker.clients.claims
        while claimed := await claims.take(limit=(limit := self._at_once)):
            with self._in_hand(claimed):
                sent = await self._publish_all(claimed)
                for each in sent:
                    failpoint("outbox.published", each.asked.video_id)
                    if await claims.mark_sent(each):
                        fields = {"video_id": each.asked.video_id, "kind": each.asked.kind}
                        logger.info("event sent", extra=fields)
                        note_sent(each)
                self.suspects.clear([each.key for each in sent])
            if len(sent) < limit:
                return

    async def publish_again(self) -> None:
        """Publish once more what has had no outcome for too long."""
        claims, after = self.worker.clients.claims, self.worker.settings.redrive_after
        while claimed := await claims.take_overdue(after, limit=self._at_once):
            with self._in_hand(claimed):
                sent = await self._publish_all(claimed)
                for each in sent:
                    if await claims.mark_redriven(each):
                        logger.warning("event sent again", extra={"video_id": each.asked.video_id})
                        OUTBOX_REDRIVEN.inc()
                self.suspects.clear([each.key for each in sent])
            if len(sent) < len(claimed) or not self.suspects.any_left:
                return
        self.suspects.clear(self.suspects.awaited)  # everything that could come has come: others have them

    async def take_up(self) -> None:
        """Let what was left lying be taken at once; its lease holds for a while yet."""
        if self.left:
            await self.worker.clients.claims.free(self.left)
            self.left.clear()

    @property
    def _at_once(self) -> int:
        """How many documents to claim: after a death one by one, to find out which of them it was."""
        return 1 if self.suspects.any_left else CLAIM

    @contextmanager
    def _in_hand(self, claimed: Sequence[Claimed]) -> Iterator[None]:
        """Note what is in hand; a stop in order, or a server that is away, proves nothing."""
        keys = [each.key for each in claimed]
        self.suspects.take(keys)
        try:
            yield
        except RetryLater:
            self.left.update(keys)
            raise
        finally:
            self.suspects.put_down(keys)

    async def _publish_all(self, claimed: Sequence[Claimed]) -> list[Claimed]:
        results = await asyncio.gather(*(self._publish(each) for each in claimed))
        return [each for each in results if each is not None]

    async def _publish(self, claimed: Claimed) -> Claimed | None:
        """Publish one document within a bounded number of tries; return it if the broker has it."""
        if claimed.refusal is not None or self.suspects.is_guilty(claimed.key):
            await self._give_up(claimed, claimed.refusal or failure("worker_crashed"))
            return None
        claims, pause = self.worker.clients.claims, FIRST_PAUSE
        for number in range(self.worker.settings.outbox_retries):
            try:
                if number:  # before the first try it was claimed just now
                    claimed = await claims.renew(claimed)
                failpoint("outbox.claimed", claimed.asked.video_id)
                await self.publisher.publish(OUTBOX_EVENTS, claimed.asked, key=claimed.asked.video_id)
            except Conflict:
                return None  # somebody else has it now
            except Exception as error:  # noqa: BLE001 - whatever the producer raises, the document stays
                cause = str(error) or type(error).__name__
                logger.warning("not sent: %s", cause, extra={"video_id": claimed.asked.video_id})
                OUTBOX_FAILED_TRIES.inc()
                await claims.note_error(claimed, cause)
                await asyncio.sleep(pause)
                pause *= 2
            else:
                return claimed
        await claims.release(claimed)
        return None

    async def _give_up(self, claimed: Claimed, reason: Failure) -> None:
        """Publish no more what cannot be read, or has killed its worker each time; its video has failed."""
        claims, video_id = self.worker.clients.claims, claimed.asked.video_id
        if await claims.refuse(claimed, reason):
            fields = {"video_id": video_id, "kind": claimed.asked.kind, "code": reason.code}
            logger.error("not sent: %s", reason.message, extra=fields)
        else:
            await claims.mark_redriven(claimed)  # it was published before and may end by itself
        self.suspects.clear([claimed.key])


def note_sent(claimed: Claimed) -> None:
    """Count what was published; of a first attempt it is known since when it has waited."""
    asked = claimed.asked
    OUTBOX_PUBLISHED.labels(asked.kind).inc()
    if not claimed.is_command and asked.attempt == 1:
        note_stage("outbox", asked.video_id, claimed.created_at.timestamp(), time.time())


def attach(worker: Worker[Any]) -> None:
    """Let this worker publish what the API accepted."""
    events = Publisher({OUTBOX_EVENTS.name: worker.stream_topic(OUTBOX_EVENTS)})
    publisher = OutboxPublisher(worker, events, worker.suspects_of("outbox"))
    ticks = worker.channel()

    @worker.agent(ticks, name="outbox")  # type: ignore[untyped-decorator]  # Faust has no types
    async def outbox(stream: Any) -> None:  # noqa: ANN401 - Faust has no types
        """Publish what the API accepted."""
        async for _ in stream:
            try:
                await publisher.do_what_is_due()
            except RetryLater:
                pass  # the client has said that the server is away; the next tick tries again
            except Exception as error:  # noqa: BLE001 - the agent would be restarted without a word
                await worker.stop_unsafe("the outbox failed", error)

    async def tick(what: str) -> None:
        publisher.due.add(what)
        # Never into a full channel: when partitions are given out anew Faust cancels whoever waits for room.
        if not publisher.is_at_work:
            await ticks.put(what)

    @worker.task  # type: ignore[untyped-decorator]  # Faust has no types
    async def begin() -> None:
        """Look for what came while nobody published."""
        await tick("new")

    @worker.timer(interval=POLL_EVERY)  # type: ignore[untyped-decorator]  # Faust has no types
    async def poll() -> None:
        """Look for what is new."""
        await tick("new")

    @worker.timer(interval=REDRIVE_EVERY)  # type: ignore[untyped-decorator]  # Faust has no types
    async def redrive() -> None:
        """Look for what was lost on the way."""
        await tick("again")

    _answer_knocks(worker, tick)


def _answer_knocks(worker: Worker[Any], tick: Callable[[str], Awaitable[None]]) -> None:
    @worker.page("/wake")
    class Wake(View):  # type: ignore[misc]  # Faust has no types
        """Called by the API when something new is there."""

        async def post(self, _request: Any) -> Any:  # noqa: ANN401 - Faust has no types
            """Look at once."""
            await tick("new")
            return self.json({"status": "ok"})
