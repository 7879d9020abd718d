"""The stage that publishes what the API accepted: a message leaves, then its document is marked `sent`.

A crash between the two publishes again; everything after it is idempotent.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from faust.web import View

from app.clients.video_outbox import Claimed, VideoOutbox
from app.errors import Conflict, RetryLater
from app.publishing import Publisher
from app.topics import OUTBOX_EVENTS
from app.worker import Worker

logger = logging.getLogger(__name__)

POLL_EVERY: Final = 1.0
"""Seconds between two looks when nobody wakes us: the wake call is best effort."""

REDRIVE_EVERY: Final = 15.0
"""Seconds between two looks for videos that were published but of which nothing came."""

FIRST_PAUSE: Final = 0.2
"""Seconds after the first failed try; doubled with each further one."""

CLAIM: Final = 50
"""Documents per round: few enough to publish within a lease, enough to drain a queue fast."""


class OutboxClients(Protocol):
    """What this stage needs."""

    @property
    def outbox(self) -> VideoOutbox:
        """Return what was asked for which video."""


@dataclass
class OutboxPublisher:
    """Claims documents, publishes them and marks them."""

    worker: Worker[OutboxClients]
    publisher: Publisher

    async def publish_new(self) -> None:
        """Publish everything that is new."""
        outbox = self.worker.clients.outbox
        while claimed := await outbox.claim(limit=CLAIM):
            sent = await self._publish_all(claimed)
            for each in sent:
                if await outbox.mark_sent(each):
                    fields = {"video_id": each.asked.video_id, "kind": each.asked.kind}
                    logger.info("event sent", extra=fields)
            if len(sent) < len(claimed):
                return

    async def publish_again(self) -> None:
        """Publish once more what has had no outcome for too long."""
        outbox = self.worker.clients.outbox
        claimed = await outbox.due_for_redrive(self.worker.settings.redrive_after, limit=CLAIM)
        for each in await self._publish_all(claimed):
            if await outbox.mark_redriven(each):
                logger.warning("event sent again", extra={"video_id": each.asked.video_id})

    async def _publish_all(self, claimed: Sequence[Claimed]) -> list[Claimed]:
        results = await asyncio.gather(*(self._publish(each) for each in claimed))
        return [each for each in results if each is not None]

    async def _publish(self, claimed: Claimed) -> Claimed | None:
        """Publish one document within a bounded number of tries; return it if the broker has it."""
        outbox, pause = self.worker.clients.outbox, FIRST_PAUSE
        for _ in range(self.worker.settings.outbox_retries):
            try:
                claimed = await outbox.renew(claimed)
                await self.publisher.publish(OUTBOX_EVENTS, claimed.asked, key=claimed.asked.video_id)
            except Conflict:
                return None  # somebody else has it now
            except Exception as error:  # noqa: BLE001 - whatever the producer raises, the document stays
                cause = str(error) or type(error).__name__
                logger.warning("not sent: %s", cause, extra={"video_id": claimed.asked.video_id})
                await outbox.note_error(claimed, cause)
                await asyncio.sleep(pause)
                pause *= 2
            else:
                return claimed
        await outbox.release(claimed)
        return None


def attach(worker: Worker[Any]) -> None:
    """Let this worker publish what the API accepted."""
    publisher = OutboxPublisher(worker, Publisher({OUTBOX_EVENTS.name: worker.stream_topic(OUTBOX_EVENTS)}))
    ticks = worker.channel(maxsize=1)

    @worker.agent(ticks, name="outbox")  # type: ignore[untyped-decorator]  # Faust has no types
    async def outbox(stream: Any) -> None:  # noqa: ANN401 - Faust has no types
        """Publish what the API accepted."""
        async for tick in stream:
            try:
                await (publisher.publish_again() if tick == "again" else publisher.publish_new())
            except RetryLater:
                pass  # the client has said that the server is away; the next tick tries again
            except Exception as error:  # noqa: BLE001 - the agent would be restarted without a word
                await worker.stop_unsafe("the outbox failed", error)

    async def tick(what: str) -> None:
        if ticks.empty():
            await ticks.put(what)

    @worker.timer(interval=POLL_EVERY)  # type: ignore[untyped-decorator]  # Faust has no types
    async def poll() -> None:
        """Look for what is new."""
        await tick("new")

    @worker.timer(interval=REDRIVE_EVERY)  # type: ignore[untyped-decorator]  # Faust has no types
    async def redrive() -> None:
        """Look for what was lost on the way."""
        await ticks.put("again")

    @worker.page("/wake")
    class Wake(View):  # type: ignore[misc]  # Faust has no types
        """Called by the API when something new is there."""

        async def post(self, _request: Any) -> Any:  # noqa: ANN401 - Faust has no types
            """Look at once."""
            await tick("new")
            return self.json({"status": "ok"})
