"""How long what has ended is kept: after `RETENTION_DAYS` a video goes as if somebody had deleted it."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from app.clients.http.wake import Waker
from app.clients.main_db.retirements import AT_ONCE, Retirements
from app.clients.main_db.webhook_deliveries import WebhookDeliveries

logger = logging.getLogger(__name__)

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before every end."""

QUESTIONS: Final = 10
"""Questions per round, of 100 videos each: a million that have come of age are gone in less than a day, and
in between the pipeline does what else there is to do."""


class Retention:
    """Deletes what has ended long enough ago, some at a time. Several processes may do so at the same time.

    A video of which somebody is still to be told stays until that is done, or given up.

    Args:
        retirements: deletes videos.
        deliveries: what is to be told of them.
        waker: knocks at the outbox worker.
        keep: for how long a video stays after its end.
        now: the clock.
    """

    def __init__(
        self,
        retirements: Retirements,
        deliveries: WebhookDeliveries,
        waker: Waker,
        *,
        keep: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._retirements = retirements
        self._deliveries = deliveries
        self._waker = waker
        self._keep = keep
        self._now = now
        self._after = EVER

    async def retire_some(self) -> int:
        """Delete some of what has come of age; return how many videos.

        Raises:
            Unavailable: Mongo does not answer; the next round goes on with what is left.
        """
        before = self._now() - self._keep
        retired = 0
        for _ in range(QUESTIONS):
            found = await self._retirements.ended(after=self._after, before=before)
            told = await self._deliveries.awaited([video.id for video in found if video.webhook])
            free = [video.id for video in found if video.id not in told and not video.is_due]
            retired += await self._retirements.retire(free, before=before) if free else 0
            # Those that stay must not be in the way of those behind them; the next walk comes by again.
            if len(found) < AT_ONCE or found[-1].outcome_at is None:
                self._after = EVER
                break
            self._after = found[-1].outcome_at
        if await self._retirements.ask():
            self._waker.wake()
        if retired:
            logger.info("videos deleted after their time", extra={"deleted": retired, "ended_before": before})
        return retired
