"""Brings messages to receivers: makes deliveries of what has ended, and posts those that are due."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from api.webhooks.messages import delivery_of
from app.clients.http.receivers import Receivers, Reply
from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.main_db.webhook_deliveries import Delivery, Try, WebhookDeliveries
from app.domain.webhooks import Next, Signer, next_step
from app.errors import RetryLater
from app.failpoints import failpoint
from app.telemetry.metrics import WEBHOOK_TRIES
from app.telemetry.stages import note_stage

logger = logging.getLogger(__name__)

ENDS_AT_ONCE: Final = 50
"""Videos per round that become deliveries; a round is a second."""

TRIES_AT_ONCE: Final = 32
"""Tries under way in one process of the API."""

PER_HOST: Final = 2
"""Of these to one host: 16 receivers that let each try run into its time limit hold up nobody else."""

IN_A_ROW: Final = 100
"""Messages that a receiver which takes them quickly is given without waiting for the next round."""

QUICK: Final = 1.0
"""Seconds. Whoever takes longer, or fails, lets others have the turn."""

HOSTS_AT_ONCE: Final = 64
"""Hosts that a round looks at; the next one goes on behind them."""


class Courier:
    """Brings messages to receivers. Several processes may do so at the same time.

    Args:
        outbox: what has ended.
        deliveries: what is due.
        receivers: posts it.
        signer: signs it.
        dice: returns a number from 0 to 1.
    """

    def __init__(
        self,
        *,
        outbox: VideoOutbox,
        deliveries: WebhookDeliveries,
        receivers: Receivers,
        signer: Signer,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._deliveries = deliveries
        self._receivers = receivers
        self._signer = signer
        self._dice = dice
        self._under_way: set[asyncio.Task[None]] = set()
        self._per_host: Counter[str] = Counter()
        self._last_host = ""

    async def go_round(self) -> None:
        """Take up what is due, as far as there is room, and return without waiting for any receiver."""
        for task in [each for each in self._under_way if each.done()]:
            self._under_way.discard(task)
            task.result()  # a mistake of ours ends the process, as in all background work
        await self.take_up_ends()
        await self._set_out()

    async def take_up_ends(self) -> None:
        """Make a delivery of each end that somebody is to be told of. Repeated, it is the same delivery."""
        for video, endings in await self._outbox.endings.due(limit=ENDS_AT_ONCE):
            for ending in endings:
                if video.webhook is not None:
                    now = self._deliveries.now()
                    await self._deliveries.add(delivery_of(video, video.webhook, ending, now=now))
                    failpoint("webhook.added", video.id)
                await self._outbox.endings.settle(video.id, ending)

    async def _set_out(self) -> None:
        """Hosts take turns, beginning behind the one that was looked at last."""
        first = self._last_host
        is_round_the_corner = False
        for _ in range(HOSTS_AT_ONCE):
            if len(self._under_way) >= TRIES_AT_ONCE:
                return
            host = await self._deliveries.next_host(self._last_host)
            if host is None or (is_round_the_corner and host > first):
                if is_round_the_corner or not first:
                    self._last_host = ""
                    return
                is_round_the_corner, self._last_host = True, ""
                continue
            self._last_host = host
            await self._set_out_for(host)

    async def _set_out_for(self, host: str) -> None:
        room = min(PER_HOST - self._per_host[host], TRIES_AT_ONCE - len(self._under_way))
        for delivery in await self._deliveries.take(host, limit=room) if room > 0 else ():
            self._per_host[host] += 1
            task = asyncio.create_task(self._visit(host, delivery))
            task.add_done_callback(lambda _, host=host: self._come_back(host))  # type: ignore[misc]
            self._under_way.add(task)

    def _come_back(self, host: str) -> None:
        self._per_host[host] -= 1
        if not self._per_host[host]:
            del self._per_host[host]

    async def _visit(self, host: str, first: Delivery) -> None:
        """Deliver a message, and what else is due for its host as long as that is quick."""
        waiting, left = [first], IN_A_ROW
        try:
            while waiting and await self._deliver(waiting[0]) and (left := left - 1):
                waiting = await self._deliveries.take(host, limit=1)
        except RetryLater as error:  # the claim ends, and it is due again
            logger.debug("webhook not noted", extra={"host": host, "cause": str(error)})

    async def _deliver(self, delivery: Delivery) -> bool:
        """Make one try; return whether the receiver would take the next message as quickly."""
        if await self._outbox.get(delivery.video_id) is None:  # it was deleted
            await self._deliveries.forget(delivery.video_id)
            return True
        at = self._deliveries.now()
        signed = self._signer.headers(delivery.id, at=at, body=delivery.body, owner=delivery.owner)
        reply = await self._receivers.post(delivery.url, signed, delivery.body.encode())
        failpoint("webhook.posted", delivery.video_id)
        following = next_step(
            reply.status,
            tries=delivery.count,
            random=self._dice(),
            now=self._deliveries.now(),
            retry_after=reply.retry_after,
        )
        made = Try(at, reply.seconds, reply.status, reply.error, reply.text)
        if await self._deliveries.note(delivery, made, following):
            note_try(delivery, reply, following)
        return following.state == "delivered" and reply.seconds < QUICK

    async def stop(self) -> None:
        """Break off what is under way; it is due again when the claims end."""
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)
            self._under_way.clear()


@asynccontextmanager
async def ending(courier: Courier) -> AsyncIterator[Courier]:
    """Yield a courier, and break off what it has under way at the end."""
    try:
        yield courier
    finally:
        await courier.stop()


def note_try(delivery: Delivery, reply: Reply, following: Next) -> None:
    """Count a try, and log how a delivery ended; what is tried again is listed, and not logged."""
    facts = {
        "video_id": delivery.video_id,
        "delivery_id": delivery.id,
        "type": delivery.type,
        "host": delivery.host,
        "tries": delivery.count,
    }
    outcome = "retried" if following.state == "waiting" else following.state
    WEBHOOK_TRIES.labels(outcome).inc()
    note_stage("webhook", delivery.video_id, (now := time.time()) - reply.seconds, now, outcome=outcome)
    if following.state == "delivered":
        logger.info("webhook delivered", extra=facts)
    elif following.state == "failed":
        logger.warning(
            "webhook given up", extra=facts | {"status": reply.status, "cause": reply.error or reply.text}
        )
